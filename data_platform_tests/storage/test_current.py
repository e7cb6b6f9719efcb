import polars as pl
import pytest

from data_platform.domain.candles import content_hash
from data_platform.storage import parquet_file
from data_platform.storage.change import Change
from data_platform.storage.current import Current
from data_platform.storage.journal import ABSENT
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import candles, commit, filled, partition

FILLED = partition(layer="filled")


def changed(current: Current, rows: pl.DataFrame) -> Change:
    return current.change_to(rows, content_hash(rows))


def found(store: PartitionStore) -> Current:
    commit(store, candles([1, 2, 3]))
    row = store.journal(partition())
    assert row
    return Current(row, b"", row.content_hash, "", "", lambda: candles([1, 2, 3]))


def unread(store: PartitionStore) -> Current:
    def refuse() -> pl.DataFrame:
        raise AssertionError("the rows were parsed")

    whole = found(store)
    return Current(whole.row, b"", whole.content_hash, "", "", refuse)


def test_rows_added_at_the_end_are_seen_without_parsing_what_is_stored(
    store: PartitionStore,
) -> None:
    assert changed(unread(store), candles(range(1, 6))) == Change(2, 0, 0, inserted=False)


def test_the_same_rows_are_seen_without_parsing_what_is_stored(store: PartitionStore) -> None:
    assert changed(unread(store), candles([1, 2, 3])) == Change(0, 0, 0, inserted=False)


@pytest.mark.parametrize(
    ("rows", "change"),
    [
        (candles([1, 2, 3, 4], price=7), Change(1, 3, 0, inserted=False)),
        (candles([0, 1, 2, 3]), Change(1, 0, 0, inserted=True)),
        (candles([1, 2]), Change(0, 0, 1, inserted=False)),
        (candles([1, 2, 4]), Change(1, 0, 1, inserted=False)),
        (candles([1, 2, 3, 4]), Change(1, 0, 0, inserted=False)),
    ],
)
def test_parsed_or_not_the_change_is_the_same(
    store: PartitionStore, rows: pl.DataFrame, change: Change
) -> None:
    fresh, parsed = found(store), found(store)
    assert parsed.frame is not None
    assert changed(fresh, rows) == changed(parsed, rows) == change


def test_nothing_stored_differs_from_all_but_nothing() -> None:
    nothing = Current(None, b"", ABSENT, ABSENT, "")
    assert not nothing.is_sound
    assert changed(nothing, candles([1, 2])) == Change(2, 0, 0, inserted=False)
    assert changed(nothing, candles([])) == Change(0, 0, 0, inserted=False)


def test_a_derived_partition_that_grows_at_its_end_is_never_parsed(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, filled(candles([1, 2])), FILLED, merge=None)
    parsed: list[bytes] = []
    decode = parquet_file.decode

    def note(content: bytes, columns: list[str] | None = None) -> pl.DataFrame:
        parsed.append(content)
        return decode(content, columns)

    monkeypatch.setattr(parquet_file, "decode", note)
    result = commit(store, filled(candles([1, 2, 3])), FILLED, merge=None)
    assert (result.added, result.changed, parsed) == (1, 0, [])
    again = commit(store, filled(candles([1, 2, 3])), FILLED, merge=None)
    assert (again.written, parsed) == (False, [])
    other = commit(store, filled(candles([1, 2, 3], price=7)), FILLED, merge=None)
    assert (other.changed, len(parsed)) == (3, 1)
    row = store.journal(FILLED)
    assert row
    assert row.reason == "correction"
