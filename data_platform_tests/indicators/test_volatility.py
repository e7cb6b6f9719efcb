import math
from fractions import Fraction

import polars as pl
import pytest

from data_platform.indicators.columns import add_indicators


def test_the_average_range_is_wilders_from_its_first_value(filled: pl.DataFrame) -> None:
    frame = filled.head(300)
    high, low, close = (frame[name].to_list() for name in ("high", "low", "close"))
    ranges = [high[0] - low[0]]
    ranges += [
        max(high[row], close[row - 1]) - min(low[row], close[row - 1]) for row in range(1, 300)
    ]
    expected = [math.fsum(ranges[:14]) / 14]
    for value in ranges[14:]:
        expected.append(expected[-1] + (value - expected[-1]) / 14)
    values = add_indicators(frame, ("atr_14",))["atr_14"].to_list()
    assert values[:13] == [None] * 13
    assert values[13:] == pytest.approx(expected, rel=1e-11)


def test_a_jump_between_candles_is_part_of_the_range(filled: pl.DataFrame) -> None:
    jump = filled.head(20).with_columns(
        pl.when(pl.int_range(pl.len()) >= 10).then(pl.col(name) * 2).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    calm = add_indicators(filled.head(20), ("atr_1",))["atr_1"]
    wild = add_indicators(jump, ("atr_1",))["atr_1"]
    assert wild[10] == pytest.approx(jump["high"][10] - jump["close"][9])
    assert wild[10] > 100 * calm[10]


def test_bands_are_exact_where_running_sums_drift(filled: pl.DataFrame) -> None:
    # A close of 10^9 among small ones ruins a running sum of squares for all later windows.
    spiked = filled.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 50).then(1e9).otherwise("close")
    )
    result = add_indicators(spiked, ("bb_20_2",))
    closes = [Fraction(close) for close in spiked["close"].to_list()]
    for row in (19, 40, 60, 75, 500, 2999):
        window = closes[row - 19 : row + 1]
        mean = sum(window) / 20
        deviation = math.sqrt(sum((close - mean) ** 2 for close in window) / 20)
        assert result["bb_middle_20_2"][row] == pytest.approx(float(mean), rel=1e-15)
        width = result["bb_upper_20_2"][row] - result["bb_lower_20_2"][row]
        assert width == pytest.approx(4 * deviation, abs=1e-12 * float(mean))


def test_bands_of_a_still_market_lie_on_its_price(filled: pl.DataFrame) -> None:
    still = filled.head(50).with_columns(close=pl.lit(0.1))
    result = add_indicators(still, ("bb_20_2",)).tail(1)
    for band in ("bb_upper_20_2", "bb_middle_20_2", "bb_lower_20_2"):
        assert result[band][0] == pytest.approx(0.1, rel=1e-14)
