import math

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


def test_the_ulcer_is_the_root_of_the_mean_squared_fall(filled: pl.DataFrame) -> None:
    closes = filled["close"].head(60).to_list()
    falls = {row: 100 * (closes[row] / max(closes[row - 4 : row + 1]) - 1) for row in range(4, 60)}
    values = add_indicators(filled.head(60), ("ulcer_5",))["ulcer_5"].to_list()
    assert values[:8] == [None] * 8
    for row in range(8, 60):
        expected = math.sqrt(math.fsum(falls[it] ** 2 for it in range(row - 4, row + 1)) / 5)
        assert values[row] == pytest.approx(expected, abs=1e-12)
