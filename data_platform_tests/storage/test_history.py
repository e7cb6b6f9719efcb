from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.errors import StorageError
from data_platform.domain.periods import Period
from data_platform.storage.history import fetched_later
from data_platform.storage.journal import CommitNote, partition_key
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import (
    JANUARY,
    at,
    candles,
    commit,
    filled,
    partition,
    series,
    utc,
)

NOON = utc(2024, 2, 1, 12)


def note(hours: int, run: str = "run") -> CommitNote:
    return CommitNote(run_id=run, fetched_at=NOON + timedelta(hours=hours))


def times(frame: pl.DataFrame, *names: str) -> list[tuple[object, ...]]:
    return frame.select(names).rows()


def test_nothing_was_replaced_where_rows_were_only_added(store: PartitionStore) -> None:
    commit(store, candles([2, 3]), note=note(0))
    commit(store, candles([1, 4]), note=note(1))
    found = store.replaced(partition())
    assert found.is_empty()
    assert found.columns[:2] == ["open_time", "old_open"]
    assert store.replaced(partition(layer="filled")).is_empty()


def test_a_replaced_candle_is_told_with_both_values_and_both_fetch_times(
    store: PartitionStore,
) -> None:
    commit(store, candles([1, 2, 3]), note=note(0))
    commit(store, candles([4, 5]), note=note(1))
    commit(store, candles([3, 4, 5], price=500), note=note(7, "later"))
    found = store.replaced(partition())
    assert times(found, "open_time", "old_close", "new_close") == [
        (at(3), 103.0, 503.0),
        (at(4), 104.0, 504.0),
        (at(5), 105.0, 505.0),
    ]
    fetched = [NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=1)]
    assert found["fetched_at"].to_list() == fetched
    assert set(found["replaced_at"]) == {NOON + timedelta(hours=7)}
    assert set(found["version"]) == {3}
    assert set(found["run_id"]) == {"later"}


def test_values_that_stayed_are_not_among_the_replaced(store: PartitionStore) -> None:
    commit(store, candles([1, 2, 3]), note=note(0))
    changed = candles([1, 2, 3]).with_columns(
        volume=pl.when(pl.col("open_time") == at(2)).then(7.5).otherwise("volume")
    )
    commit(store, changed, note=note(1))
    (row,) = store.replaced(partition()).to_dicts()
    assert (row["open_time"], row["old_volume"], row["new_volume"]) == (at(2), 1.0, 7.5)
    assert row["old_close"] == row["new_close"] == 102.0


def test_each_replacement_is_kept_and_can_be_asked_for_alone(store: PartitionStore) -> None:
    commit(store, candles([1]), note=note(0))
    commit(store, candles([1], price=200), note=note(1))
    commit(store, candles([1], price=300), note=note(2))
    found = store.replaced(partition())
    assert times(found, "version", "old_close", "new_close") == [
        (2, 101.0, 201.0),
        (3, 201.0, 301.0),
    ]
    assert found["fetched_at"].to_list() == [NOON, NOON + timedelta(hours=1)]
    assert times(store.replaced(partition(), 3), "old_close") == [(201.0,)]


def test_a_removed_row_has_no_new_values(store: PartitionStore) -> None:
    one = partition(layer="filled")
    commit(store, filled(candles([1, 2])), one, merge=None)
    commit(store, filled(candles([1])), one, merge=None)
    found = store.replaced(one)
    assert times(found, "open_time", "old_close", "new_close", "fetched_at", "replaced_at") == [
        (at(2), 102.0, None, None, None)
    ]


def test_a_file_that_is_not_in_history_any_more_is_named(store: PartitionStore, root: Path) -> None:
    commit(store, candles([1]), note=note(0))
    commit(store, candles([1], price=200), note=note(1))
    (kept,) = (root / "history").rglob("*.parquet")
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(StorageError, match=f"{kept.name} is gone or was changed"):
        store.replaced(partition())
    kept.unlink()
    with pytest.raises(StorageError, match="Put the file back"):
        store.replaced(partition())


def test_commits_that_only_added_rows_are_told_once_a_month(store: PartitionStore) -> None:
    february = Period(2024, 2)
    for hour in range(4):
        commit(store, candles([hour]))
        commit(store, candles([hour], period=february), partition(period=february))
        commit(store, candles([hour]), partition(series(pair="ETH/USDT")))
    commit(store, candles([2], price=500))
    commit(store, candles([4]))
    commit(store, candles([5]))
    told = [(row.period, row.version, row.reason) for row in store.telling("ohlcv", series())]
    assert told == [
        (JANUARY, 1, "new"),
        (JANUARY, 5, "correction"),
        (JANUARY, 7, "extend"),
        (february, 1, "new"),
        (february, 4, "extend"),
    ]
    assert store.telling("filled", series()) == []


def test_later_fetches_are_found_by_when_they_began(store: PartitionStore) -> None:
    for hours, rows in ((-1, 2), (0, 3), (1, 4)):
        commit(store, candles(range(rows)), note=note(hours))
    with store.state.read() as connection:
        assert fetched_later(connection, partition_key(partition()), NOON) == [(at(0), at(3))]


def test_a_partition_is_cut_where_a_file_was_replaced(store: PartitionStore) -> None:
    for hours, price in (([1], 100), ([2], 100), ([2], 200), ([3], 200), ([1], 300)):
        commit(store, candles(hours, price=price))
    stretches = store.stretches(partition())
    assert [[row.version for row in rows] for rows, _ in stretches] == [[1, 2], [3, 4], [5]]
    kept = [store.kept(partition(), sha)["close"].to_list() for _, sha in stretches]
    assert kept == [[101.0, 102.0], [101.0, 202.0, 203.0], [301.0, 202.0, 203.0]]
    assert [row.version for row in store.rewrites(partition(), 5)] == [5, 3]
    assert [row.version for row in store.rewrites(partition(), 1)] == [5]
    assert store.stretches(partition(layer="filled")) == []
