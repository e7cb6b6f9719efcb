"""Rows from outside are audited by the clock and the rules of their exchange."""

import polars as pl

from data_platform.domain.candles import merge_candles
from data_platform.operations.lake import Lake
from data_platform.operations.outside import OutsideCommitter
from data_platform.storage.change import CommitResult
from data_platform_tests.factories import (
    candles_at,
    grid,
    journal_of,
    partition_of,
    series_of,
    stored,
    time,
)
from data_platform_tests.operations.venues import rules_of

SERIES = series_of()
MONTH = partition_of(SERIES)
DAY = candles_at(grid("2024-01-01", "2024-01-02"))


def commit(lake: Lake, rows: pl.DataFrame, now: str, fetched_at: str) -> CommitResult:
    committer = OutsideCommitter(lake, rules_of([MONTH]), time(now))
    return committer.commit(MONTH, rows, merge_candles, "somewhere", time(fetched_at))


def test_candle_that_has_not_closed_is_refused(lake: Lake) -> None:
    done = commit(lake, DAY, "2024-01-01 23:59", "2024-01-01 23:00")
    assert (done.added, done.refused) == (23, 1)
    assert stored(lake, SERIES)["open_time"][-1] == time("2024-01-01 22:00")
    assert journal_of(lake, MONTH).source == "somewhere"


def test_what_a_later_fetch_has_brought_wins(lake: Lake) -> None:
    changed = DAY.with_columns(volume=pl.lit(9.0))
    assert commit(lake, DAY, "2024-02-01", "2024-01-20").added == 24
    done = commit(lake, changed, "2024-02-01", "2024-01-10")
    assert (done.changed, done.outdated) == (0, 24)
    assert stored(lake, SERIES).equals(DAY)
    done = commit(lake, changed, "2024-02-01", "2024-01-30")
    assert (done.changed, done.outdated) == (24, 0)
