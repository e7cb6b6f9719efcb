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


def test_macd_is_the_difference_of_two_averages_and_its_own_average(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("ema_3", "ema_6", "macd_3_6_2"))
    line = (result["ema_3"] - result["ema_6"]).to_list()
    assert result["macd_3_6_2"].to_list() == line
    expected = (line[5] + line[6]) / 2
    for row in range(7, 50):
        expected += (line[row] - expected) * 2 / 3
        assert result["macd_signal_3_6_2"][row] == pytest.approx(expected, abs=1e-9)
        histogram = result["macd_histogram_3_6_2"][row]
        assert histogram == pytest.approx(line[row] - expected, abs=1e-9)


def wilder(values: list[float], rows: int) -> list[float]:
    average = sum(values[:rows]) / rows
    averages = [average]
    for value in values[rows:]:
        average += (value - average) / rows
        averages.append(average)
    return averages


def test_the_directional_index_is_wilders(filled: pl.DataFrame) -> None:
    frame, rows = filled.head(200), 14
    high, low, close = (frame[name].to_list() for name in ("high", "low", "close"))
    up, down, ranges = [], [], []
    for row in range(1, 200):
        rise, fall = high[row] - high[row - 1], low[row - 1] - low[row]
        up.append(rise if rise > fall and rise > 0 else 0.0)
        down.append(fall if fall > rise and fall > 0 else 0.0)
        ranges.append(max(high[row], close[row - 1]) - min(low[row], close[row - 1]))
    averages = zip(wilder(up, rows), wilder(down, rows), wilder(ranges, rows), strict=True)
    shares = [(100 * plus / true, 100 * minus / true) for plus, minus, true in averages]
    index = wilder([100 * abs(p - m) / (p + m) for p, m in shares], rows)
    result = add_indicators(frame, ("adx_14",))
    assert result["plus_di_14"].to_list()[14:] == pytest.approx([p for p, _ in shares], abs=1e-10)
    assert result["minus_di_14"].to_list()[14:] == pytest.approx([m for _, m in shares], abs=1e-10)
    assert result["adx_14"].to_list()[27:] == pytest.approx(index, abs=1e-10)


def test_a_market_that_never_moved_has_no_direction() -> None:
    result = add_indicators(of_closes([5.0] * 100), ("adx_14",))
    assert result.select("adx_14", "plus_di_14", "minus_di_14").null_count().row(0) == (100,) * 3


def test_a_range_that_goes_nowhere_is_no_trend() -> None:
    frame = of_closes([5.0] * 100).with_columns(high=pl.lit(6.0), low=pl.lit(4.0))
    result = add_indicators(frame, ("adx_14",)).tail(10)
    assert result["adx_14"].to_list() == [0.0] * 10
    assert result["plus_di_14"].to_list() == [0.0] * 10
