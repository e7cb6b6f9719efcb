import polars as pl
import pytest

from data_platform.domain.candles import content_hash
from data_platform.storage import parquet_file
from data_platform.storage.journal import CommitNote
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.prepared import prepare
from data_platform_tests.storage.lake import candles, partition

PART = partition()
ROWS = candles([1, 2, 3])


def test_what_is_prepared_is_stored_as_its_rows_are(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = prepare(PART, ROWS)
    assert made.content_hash == content_hash(ROWS)
    assert parquet_file.encode(PART, ROWS) == made.file[0]
    monkeypatch.delattr(parquet_file, "encode_and_hash")
    note = CommitNote(source="test")
    result = store.commit(
        PART, made, merge=None, audit=lambda rows: (rows, rows.clear()), note=note
    )
    assert result.written
    assert result.content_hash == content_hash(ROWS)
    stored = store.read(PART)
    assert stored is not None
    assert stored.frame.equals(ROWS)


def test_what_the_audit_refuses_is_not_stored_though_it_was_prepared(
    store: PartitionStore,
) -> None:
    result = store.commit(
        PART,
        prepare(PART, ROWS),
        merge=None,
        audit=lambda rows: (rows.head(2), rows.tail(1).with_columns(reason=pl.lit("odd"))),
        note=CommitNote(source="test"),
    )
    assert (result.rows, result.refused) == (2, 1)
    assert result.content_hash == content_hash(ROWS.head(2))
    stored = store.read(PART)
    assert stored is not None
    assert stored.frame.equals(ROWS.head(2))
