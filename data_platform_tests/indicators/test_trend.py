from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.domain.errors import WrongUseError
from data_platform.indicators.columns import add_indicators, to_recipe


def of_closes(closes: list[float]) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        (start + timedelta(minutes=row), close, close, close, close, 1.0, False, None, start)
        for row, close in enumerate(closes)
    ]
    return pl.DataFrame(rows, schema=FILLED_SCHEMA, orient="row")


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


def test_the_stop_is_under_a_rising_price_and_turns_where_it_is_touched(
    filled: pl.DataFrame,
) -> None:
    result = add_indicators(filled, ("psar_0.02_0.2",)).slice(1)
    is_up = result["psar_trend_0.02_0.2"] > 0
    stop = result["psar_0.02_0.2"]
    assert (stop.filter(is_up) <= result["low"].filter(is_up)).all()
    assert (stop.filter(~is_up) >= result["high"].filter(~is_up)).all()
    assert 50 < int((is_up != is_up.shift(1)).sum()) < 1000


@pytest.mark.parametrize("name", ["psar_0.3_0.2", "psar_0.5_2"])
def test_an_acceleration_beyond_its_limit_is_refused(name: str) -> None:
    with pytest.raises(WrongUseError, match="must be at most the limit"):
        to_recipe(name)


def test_of_equal_extremes_the_oldest_counts() -> None:
    result = add_indicators(of_closes([3.0, 1.0, 3.0, 2.0, 1.0]), ("aroon_4",))
    assert result["aroon_up_4"][4] == 0.0
    assert result["aroon_down_4"][4] == 25.0
    assert result["aroon_oscillator_4"][4] == -25.0


def test_a_steady_rise_is_all_upward_vortex() -> None:
    result = add_indicators(of_closes([1.0, 2.0, 3.0, 4.0]), ("vortex_2",))
    assert result["vortex_plus_2"].to_list() == [None, None, 1.0, 1.0]
    assert result["vortex_difference_2"].to_list() == [None, None, 0.0, 0.0]


def test_ichimokus_cloud_is_what_was_known_before() -> None:
    frame = of_closes([1.0, 5.0, 2.0, 8.0, 4.0, 6.0])
    result = add_indicators(frame, ("ichimoku_1_2_3", "ichimoku_cloud_1_2_3"))
    assert result["ichimoku_conversion_1_2_3"].to_list() == [1.0, 5.0, 2.0, 8.0, 4.0, 6.0]
    assert result["ichimoku_base_1_2_3"].to_list() == [None, 3.0, 3.5, 5.0, 6.0, 5.0]
    assert result["ichimoku_a_1_2_3"].to_list() == [None, 4.0, 2.75, 6.5, 5.0, 5.5]
    assert result["ichimoku_b_1_2_3"].to_list() == [None, None, 3.0, 5.0, 5.0, 6.0]
    for span in ("a", "b"):
        drawn = result[f"ichimoku_cloud_{span}_1_2_3"].to_list()
        assert drawn == [None, None, *result[f"ichimoku_{span}_1_2_3"].to_list()[:4]]


def test_a_range_that_does_not_change_has_a_mass_of_its_rows() -> None:
    frame = of_closes([5.0] * 60).with_columns(high=pl.lit(6.0), low=pl.lit(4.0))
    values = add_indicators(frame, ("mass_index_9_25",))["mass_index_9_25"]
    assert values[40] == pytest.approx(25.0)


def test_the_detrended_price_is_of_half_a_window_ago() -> None:
    values = add_indicators(of_closes([1.0, 2.0, 3.0, 7.0, 8.0]), ("dpo_2",))["dpo_2"].to_list()
    assert values == [None, None, 1.0 - 2.5, 2.0 - 5.0, 3.0 - 7.5]
