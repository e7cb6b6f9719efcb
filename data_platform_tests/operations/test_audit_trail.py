from datetime import timedelta

import polars as pl
import pytest

from data_platform.operations.audit_trail import Trail, trace_candle
from data_platform.operations.lake import Lake
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    plant_gaps,
    punch,
    series_of,
    time,
)
from data_platform_tests.operations.lines import derive_line
from data_platform_tests.operations.scripted import ScriptedSource

SERIES = series_of()
MONTH = [partition_of(SERIES)]
WHOLE = candles_at(grid("2024-01-01", "2024-02-01"))
NOON = time("2024-01-10 12:00")


def with_volume(volume: float) -> pl.DataFrame:
    at = pl.col("open_time") == NOON
    return WHOLE.with_columns(volume=pl.when(at).then(volume).otherwise("volume"))


def told(trail: Trail) -> list[tuple[str, float | None, float | None]]:
    def volume(values: object) -> float | None:
        return values["volume"] if isinstance(values, dict) else None

    return [(it.commit.reason, volume(it.before), volume(it.after)) for it in trail.changes]


def test_a_corrected_candle_tells_both_values_times_and_runs(lake: Lake) -> None:
    source = ScriptedSource({SERIES: WHOLE})
    source.update(lake, MONTH)
    first = source.clock
    for days, volume in ((2, 9.0), (4, 12.5)):
        source.clock = first + timedelta(days=days)
        source.candles[SERIES] = with_volume(volume)
        source.update(lake, MONTH, compare_from=time("2024-01-01"))
    trail = trace_candle(lake, SERIES, NOON + timedelta(minutes=59))
    assert trail.time == NOON
    assert told(trail) == [("new", None, 1.5), ("correction", 1.5, 9.0), ("correction", 9.0, 12.5)]
    fetched = [it.commit.fetched_at for it in trail.changes]
    assert fetched == [first, first + timedelta(days=2), first + timedelta(days=4)]
    assert {it.commit.run_id for it in trail.changes} == {"run-1"}
    neighbour = trace_candle(lake, SERIES, NOON + timedelta(hours=1))
    assert told(neighbour) == [("new", None, 1.5)]


def test_a_candle_added_by_a_tick_names_the_tick_not_the_month(lake: Lake) -> None:
    early = WHOLE.filter(pl.col("open_time") < time("2024-01-10"))
    source = ScriptedSource({SERIES: early}, clock=time("2024-01-10"))
    source.update(lake, MONTH)
    source.clock, source.candles[SERIES] = time("2024-01-10 13:00:10"), WHOLE
    source.update(lake, MONTH)
    source.clock = time("2024-01-10 15:00:10")
    source.update(lake, MONTH)
    [change] = trace_candle(lake, SERIES, NOON).changes
    assert (change.commit.reason, change.commit.version) == ("extend", 2)
    assert change.commit.fetched_at == time("2024-01-10 13:00:10")


def test_a_refilled_hole_tells_that_the_candle_was_gone(lake: Lake) -> None:
    source = ScriptedSource({SERIES: WHOLE})
    source.update(lake, MONTH)
    punch(lake, SERIES, NOON, NOON + timedelta(hours=1))
    gone = trace_candle(lake, SERIES, NOON)
    assert told(gone) == [("new", None, 1.5), ("correction", 1.5, None)]
    source.update(lake, MONTH)
    trail = trace_candle(lake, SERIES, NOON)
    assert told(trail)[2:] == [("repair", None, 1.5)]


def test_a_time_without_a_candle_tells_what_the_ledger_knows(lake: Lake) -> None:
    hole = ((pl.col("open_time") < NOON) | (pl.col("open_time") > NOON)).alias("kept")
    ScriptedSource({SERIES: WHOLE.filter(hole)}).update(lake, MONTH)
    derive_line(lake, SERIES, [MONTH[0].period])
    trail = trace_candle(lake, SERIES, NOON)
    assert trail.changes == ()
    assert trail.gap is not None
    assert trail.gap.status == "outage"
    assert trail.is_filled
    assert trail.filled is not None
    assert trail.filled["fill_method"] == "carry"
    assert not trace_candle(lake, SERIES, NOON - timedelta(hours=1)).is_filled


def test_a_refused_row_is_told_with_its_reason(lake: Lake) -> None:
    broken = pl.when(pl.col("open_time") == NOON).then(-1.0).otherwise("volume")
    ScriptedSource({SERIES: WHOLE.with_columns(volume=broken)}).update(lake, MONTH)
    trail = trace_candle(lake, SERIES, NOON)
    assert trail.changes == ()
    assert trail.refused["reason"].to_list() == ["volume below zero"]
    assert trail.gap is not None
    assert trail.gap.status == "refused"


def test_nothing_known_is_nothing_told(lake: Lake) -> None:
    trail = trace_candle(lake, SERIES, NOON)
    assert (trail.changes, trail.gap, trail.filled) == ((), None, None)
    assert lake.store.telling("ohlcv", SERIES) == []


@pytest.mark.parametrize("status", ["no_trades", "repaired"])
def test_the_ledger_is_told_whatever_its_status(lake: Lake, status: str) -> None:
    day = ("2024-01-10", "2024-01-11")
    plant_gaps(lake, gap_of(SERIES, *day, status=status, confirmed=True))  # type: ignore[arg-type]
    gap = trace_candle(lake, SERIES, NOON).gap
    assert gap is not None
    assert gap.status == status
