from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.indicators.columns import add_indicators

# Worked example of the exponential average of 10 days, published with two decimals:
# https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays/
# technical-overlays/moving-averages-simple-and-exponential
CLOSES = [22.2734, 22.194, 22.0847, 22.1741, 22.184, 22.1344, 22.2337, 22.4323, 22.2436, 22.2933]
CLOSES += [22.1542, 22.3926, 22.3816, 22.6109, 23.3558, 24.0519, 23.753, 23.8324]
PUBLISHED_EMA = [22.22, 22.21, 22.24, 22.27, 22.33, 22.52, 22.80, 22.97, 23.13]


def of_closes(closes: list[float]) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        (start + timedelta(minutes=row), close, close, close, close, 1.0, False, None, start)
        for row, close in enumerate(closes)
    ]
    return pl.DataFrame(rows, schema=FILLED_SCHEMA, orient="row")


def test_the_exponential_average_is_the_published_one() -> None:
    values = add_indicators(of_closes(CLOSES), ("ema_10",))["ema_10"].to_list()
    assert values[:9] == [None] * 9
    assert [round(value, 2) for value in values[9:]] == PUBLISHED_EMA


def test_the_simple_average_is_the_mean() -> None:
    values = add_indicators(of_closes([1.0, 2.0, 6.0, 3.0]), ("sma_3",))["sma_3"].to_list()
    assert values == [None, None, 3.0, pytest.approx(11 / 3, rel=1e-15)]


def test_the_weighted_average_weighs_the_newest_most() -> None:
    values = add_indicators(of_closes([1.0, 2.0, 6.0, 3.0]), ("wma_3",))["wma_3"].to_list()
    assert values == [None, None, pytest.approx((1 + 4 + 18) / 6), pytest.approx(23 / 6)]


def test_kama_is_fast_in_a_straight_move_and_slow_in_a_mixed_one() -> None:
    straight = add_indicators(of_closes([1.0, 2.0, 3.0, 4.0]), ("kama_2_2_30",))["kama_2_2_30"]
    # From the close before, 2, with the weight (2 / 3) ** 2 of an efficient move.
    assert straight.to_list() == [
        None,
        None,
        pytest.approx(2 + 4 / 9),
        pytest.approx(2 + 4 / 9 + 56 / 81),
    ]
    mixed = add_indicators(of_closes([2.0, 3.0, 2.0]), ("kama_2_2_30",))["kama_2_2_30"]
    assert mixed[2] == pytest.approx(3 - (2 / 31) ** 2)
