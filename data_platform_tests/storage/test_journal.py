from dataclasses import replace

import pytest
import sqlalchemy as sa

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.periods import Period
from data_platform.storage import journal
from data_platform.storage.journal import CommitNote, Entry, partition_key
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.tables import COMMITS
from data_platform_tests.storage.lake import JANUARY, at, partition, series, utc


def entry(rows: int = 2, content: str = "aa") -> Entry:
    return Entry(
        rows=rows,
        first=at(0),
        last=at(rows - 1),
        content_hash=content,
        file_sha256="bb",
        path="ohlcv/x",
        reason="new",
        schema_version=1,
        fetched=(at(0), at(rows - 1)),
    )


KEY = partition_key(partition())


def add(
    connection: sa.Connection, told: journal.Entry, to: Partition | None = None
) -> journal.JournalRow:
    key = partition_key(to or partition())
    newest = journal.newest_row(connection, key)
    return journal.append_row(connection, key, newest, told, CommitNote())


def test_a_row_comes_back_as_it_was_written(store: PartitionStore) -> None:
    note = CommitNote(
        source="binance", run_id="run", code_version="3", fetched_at=utc(2024, 2, 1, 5)
    )
    with store.state.write() as connection:
        journal.append_row(connection, KEY, None, entry(), note)
    with store.state.read() as connection:
        row = journal.newest_row(connection, KEY)
    assert row is not None
    assert (row.layer, row.series, row.period, row.feature_set) == (
        "ohlcv",
        series(),
        JANUARY,
        None,
    )
    assert (row.version, row.rows, row.first, row.last) == (1, 2, at(0), at(1))
    assert (row.content_hash, row.file_sha256, row.path) == ("aa", "bb", "ohlcv/x")
    assert (row.source, row.run_id, row.code_version) == ("binance", "run", "3")
    assert row.fetched_at == utc(2024, 2, 1, 5)
    assert row.reason == "new"
    assert row.committed_at > utc(2024)


def test_a_partition_knows_its_newest_rewrite_behind_later_extensions(
    store: PartitionStore,
) -> None:
    ids = []
    for replaced in (None, "aa", None):
        with store.state.write() as connection:
            row = add(connection, replace(entry(), replaced=replaced))
        ids.append((row.id, row.rewrite_id))
    assert [rewrite for _, rewrite in ids] == [0, ids[1][0], ids[1][0]]
    with store.state.read() as connection:
        newest = journal.newest_row(connection, KEY)
    assert newest is not None
    assert (newest.id, newest.rewrite_id) == ids[2]


def test_versions_count_up_and_old_rows_stay(store: PartitionStore) -> None:
    for content in ("a", "b", "c"):
        with store.state.write() as connection:
            add(connection, entry(content=content))
    with store.state.read() as connection:
        newest = journal.newest_row(connection, KEY)
        kept = connection.execute(
            sa.select(COMMITS.c.version, COMMITS.c.content_hash).order_by(COMMITS.c.version)
        ).all()
    assert newest is not None
    assert (newest.version, newest.content_hash) == (3, "c")
    assert [tuple(row) for row in kept] == [(1, "a"), (2, "b"), (3, "c")]


def test_partitions_do_not_mix(store: PartitionStore) -> None:
    others = [
        partition(period=Period(2024, 2)),
        partition(layer="filled"),
        partition(series(exchange="okx")),
        partition(series(pair="ETH/USDT")),
        partition(layer="features", feature_set="base-v1"),
        partition(layer="features", feature_set="base-v2"),
    ]
    with store.state.write() as connection:
        for position, other in enumerate(others):
            add(connection, entry(position + 1), other)
    with store.state.read() as connection:
        assert journal.newest_row(connection, KEY) is None
        for position, other in enumerate(others):
            row = journal.newest_row(connection, partition_key(other))
            assert row is not None
            assert (row.rows, row.version) == (position + 1, 1)


def test_two_writers_of_one_version_are_noticed(store: PartitionStore) -> None:
    with store.state.write() as connection:
        seen = add(connection, entry())
        add(connection, entry())
    for stale in (None, seen):
        with pytest.raises(StorageError, match="two writers"), store.state.write() as connection:
            journal.append_row(connection, KEY, stale, entry(), CommitNote())
    row = store.journal(partition())
    assert row is not None
    assert row.version == 2
