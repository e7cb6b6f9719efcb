from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TIME, TimeRange
from data_platform.domain.errors import StorageError
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.features.timeframes import add_coarser, coarse_range, joined_name

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE, QUARTER, HOUR = to_timeframe("1m"), to_timeframe("15m"), to_timeframe("1h")
PAIRS = [(fine, coarse) for coarse in TIMEFRAMES for fine in TIMEFRAMES if fine.ms < coarse.ms]


def times(first: datetime, step: timedelta, rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"open_time": [first + row * step for row in range(rows)]}, schema={"open_time": TIME}
    )


def opening_as_value(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        value=pl.col("open_time").dt.epoch("s").cast(pl.Float64), is_filled=pl.lit(value=False)
    )


def test_a_coarser_candle_appears_with_the_finer_one_that_closes_with_it() -> None:
    coarse = opening_as_value(times(START, HOUR.duration, 3))
    found = add_coarser(times(START, MINUTE.duration, 130), coarse, MINUTE, HOUR, ["value"])
    values = found["value_1h"].to_list()
    assert values[:59] == [None] * 59
    assert values[59:119] == [START.timestamp()] * 60
    assert values[119] == (START + HOUR.duration).timestamp()


@pytest.mark.parametrize(("fine", "coarse"), PAIRS, ids=str)
def test_no_coarser_candle_is_used_before_its_close_nor_an_old_one(
    fine: Timeframe, coarse: Timeframe
) -> None:
    frame = times(START, fine.duration, 400)
    history = opening_as_value(times(START - coarse.duration, coarse.duration, 500))
    found = add_coarser(frame, history, fine, coarse, ["value"])
    for opened, value in found.select("open_time", joined_name("value", coarse)).rows():
        closes = datetime.fromtimestamp(value, UTC) + coarse.duration
        assert closes <= opened + fine.duration < closes + coarse.duration


def test_a_missing_candle_is_not_replaced_by_an_older_one() -> None:
    coarse = opening_as_value(times(START, QUARTER.duration, 4)).filter(pl.int_range(4) != 1)
    found = add_coarser(times(START, MINUTE.duration, 60), coarse, MINUTE, QUARTER, ["value"])
    known = found.filter(pl.col("value_15m").is_not_null())["open_time"].dt.minute().to_list()
    assert known == [*range(14, 29), *range(44, 60)]


def test_the_range_to_read_is_exactly_what_is_used() -> None:
    first, end = START + timedelta(minutes=40), START + timedelta(minutes=200)
    needed = coarse_range(first, end, MINUTE, HOUR)
    assert needed == TimeRange(START - HOUR.duration, START + timedelta(hours=3))
    whole = opening_as_value(times(START - 5 * HOUR.duration, HOUR.duration, 20))
    inside = whole.filter(pl.col("open_time").is_between(needed.start, needed.end, "left"))
    frame = times(first, MINUTE.duration, 160)
    expected = add_coarser(frame, whole, MINUTE, HOUR, ["value"])
    assert add_coarser(frame, inside, MINUTE, HOUR, ["value"]).equals(expected)
    for row in (0, inside.height - 1):
        less = inside.filter(pl.int_range(pl.len()) != row)
        assert not add_coarser(frame, less, MINUTE, HOUR, ["value"]).equals(expected)


def test_a_coarser_time_stored_twice_is_refused() -> None:
    coarse = opening_as_value(times(START, HOUR.duration, 1))
    with pytest.raises(StorageError, match="found 2024-01-01 00:00 after itself"):
        add_coarser(
            times(START, MINUTE.duration, 60), pl.concat([coarse] * 2), MINUTE, HOUR, ["value"]
        )
