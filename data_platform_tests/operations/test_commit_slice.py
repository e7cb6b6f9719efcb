import polars as pl

from data_platform.domain.errors import TransientError
from data_platform.operations.collect import Slice
from data_platform.operations.commit_slice import SliceCommitter
from data_platform.operations.lake import Lake
from data_platform.sources.base import Outcome, Window
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    gaps_in,
    grid,
    journal_of,
    month_of,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.venues import rules_of

SERIES = series_of()
NOW = time("2024-03-15 10:07:23")


def committer(lake: Lake) -> SliceCommitter:
    return SliceCommitter(lake, rules_of([partition_of()]), NOW)


def piece(
    start: str, end: str, candles: pl.DataFrame | None = None, outcome: Outcome = "answered"
) -> Slice:
    error = TransientError("timed out") if outcome == "failed" else None
    window = Window(time(start), time(end), outcome, NOW, error)
    rows = candles_at(grid(start, end)) if candles is None else candles
    return Slice(SERIES, month_of(start[:7]), (window,), rows)


def test_commit_notes_where_candles_came_from(lake: Lake) -> None:
    result = committer(lake).commit(piece("2024-01-01", "2024-01-03"))
    assert (result.rows, result.added, result.written) == (48, 48, True)
    row = journal_of(lake, partition_of())
    assert (row.source, row.run_id, row.code_version) == ("ccxt:binance", "run-1", "1")
    assert (row.fetched_at, row.reason) == (NOW, "new")


def test_every_rule_is_judged_with_the_commit(lake: Lake) -> None:
    calm = candles_at(grid("2024-01-01", "2024-01-03"), price=10_000)
    committer(lake).commit(piece("2024-01-01", "2024-01-03", calm))
    found = lake.verdicts.newest("binance", "ohlcv", SERIES.timeframe)
    assert {"times_increasing", "times_unique", "times_on_grid"} <= set(found["rule"])
    assert found["count"].unique().to_list() == [0]


def test_slice_speaks_only_of_its_own_range(lake: Lake) -> None:
    plant_gaps(lake, gap_of(SERIES, "2024-01-05", "2024-01-06", "outage", confirmed=True))
    committer(lake).commit(piece("2024-01-01", "2024-01-03"))
    committer(lake).commit(piece("2024-01-10", "2024-01-11"))
    assert gaps_in(lake, SERIES) == [("2024-01-05 00:00", "2024-01-06 00:00", "outage", True)]
    assert journal_of(lake, partition_of()).rows == 72


def test_candle_that_is_not_closed_is_refused(lake: Lake) -> None:
    # The window ends before it, yet the source handed it on.
    rows = candles_at(grid("2024-03-15 08:00", "2024-03-15 11:00"))
    result = committer(lake).commit(piece("2024-03-15 08:00", "2024-03-15 10:00", rows))
    assert (result.rows, result.refused) == (2, 1)


def test_edges_of_a_series_are_remembered_between_its_slices(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2023-12-01", "2023-12-05")))
    same = committer(lake)
    # Nothing in January: open, for nothing is known after it.
    same.commit(piece("2024-01-01", "2024-02-01", candles_at([])))
    same.commit(piece("2024-02-01", "2024-03-01"))
    same.commit(piece("2024-03-01", "2024-03-05", candles_at([])))
    assert [gap[2] for gap in gaps_in(lake, SERIES)] == ["open", "open"]
    assert same.settle() == []
    assert gaps_in(lake, SERIES) == [
        ("2024-01-01 00:00", "2024-02-01 00:00", "outage", True),
        ("2024-03-01 00:00", "2024-03-05 00:00", "open", True),
    ]


def test_lost_slice_leaves_a_gap_and_no_partition(lake: Lake) -> None:
    committer(lake).note_failure(piece("2024-01-01", "2024-02-01", candles_at([]), "failed"))
    assert gaps_in(lake, SERIES) == [("2024-01-01 00:00", "2024-02-01 00:00", "open", False)]
    assert lake.store.journal(partition_of()) is None


def test_lost_slice_over_stored_candles_leaves_only_the_holes(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-01-20")))
    committer(lake).note_failure(piece("2024-01-19", "2024-01-21", candles_at([]), "failed"))
    assert gaps_in(lake, SERIES) == [("2024-01-20 00:00", "2024-01-21 00:00", "open", False)]


def test_month_before_that_is_damaged_does_not_stop_the_commit(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-01")))
    [path] = lake.store.files("ohlcv", SERIES, [month_of("2024-01")])
    path.write_bytes(b"torn")
    assert committer(lake).commit(piece("2024-02-01", "2024-02-02")).rows == 24
    path.unlink()
    assert committer(lake).commit(piece("2024-02-02", "2024-02-03")).rows == 48
    assert stored_rows(lake) == 48


def stored_rows(lake: Lake) -> int:
    february = month_of("2024-02")
    return lake.store.read_range("ohlcv", SERIES, february.start, february.end).height


def test_same_slice_again_writes_nothing(lake: Lake) -> None:
    committer(lake).commit(piece("2024-01-01", "2024-01-03"))
    before = journal_of(lake, partition_of())
    assert not committer(lake).commit(piece("2024-01-01", "2024-01-03")).written
    assert journal_of(lake, partition_of()) == before
    assert stored(lake, SERIES).equals(candles_at(grid("2024-01-01", "2024-01-03")))
