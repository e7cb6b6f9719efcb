import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA, TimeRange, empty_candles
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.resample import resample_candles

START = datetime(2024, 1, 1, tzinfo=UTC)
FIVE, HOUR = to_timeframe("5m"), to_timeframe("1h")


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


# Two days and a half, less the windows that lie wholly in one of the two holes.
@pytest.mark.parametrize(
    ("timeframe", "windows"),
    [("5m", 720 - 1 - 8), ("15m", 240 - 2), ("1h", 60), ("4h", 15), ("1d", 2)],
)
def test_r24_prices_are_exact_and_volume_within_1e_12(
    minutes: pl.DataFrame, timeframe: str, windows: int
) -> None:
    row = to_timeframe(timeframe)
    found = resample_candles(minutes, row, [], at(3600))
    assert found.schema == CANDLE_SCHEMA
    assert found.height == windows
    for candle in found.iter_rows(named=True):
        end = candle["open_time"] + row.duration
        inside = minutes.filter(pl.col("open_time").is_between(candle["open_time"], end, "left"))
        assert candle["open"] == inside["open"][0]
        assert candle["high"] == max(inside["high"])
        assert candle["low"] == min(inside["low"])
        assert candle["close"] == inside["close"][-1]
        assert candle["volume"] == pytest.approx(math.fsum(inside["volume"]), rel=1e-12)


def test_a_window_that_may_still_gain_a_candle_does_not_exist(minutes: pl.DataFrame) -> None:
    unknown = [TimeRange(at(7), at(8)), TimeRange(at(59), at(66))]
    found = resample_candles(minutes.head(120), FIVE, unknown, at(118))
    opened = [(time - START) // timedelta(minutes=1) for time in found["open_time"]]
    assert opened == [0, *range(10, 55, 5), *range(70, 115, 5)]


def test_a_window_that_closes_at_the_end_exists(minutes: pl.DataFrame) -> None:
    assert resample_candles(minutes, HOUR, [], at(60)).height == 1
    assert resample_candles(minutes, HOUR, [], at(59)).height == 0


def test_a_window_without_finer_candles_has_none(minutes: pl.DataFrame) -> None:
    apart = pl.concat([minutes.head(3), minutes.slice(60, 3)])
    opened = resample_candles(apart, FIVE, [], at(600))["open_time"].to_list()
    assert opened == [at(0), at(60)]
    assert resample_candles(empty_candles(), HOUR, [], at(600)).equals(empty_candles())
