"""What one file is called, R10 of the reliability catalogue; lakes are in `test_survey.py`."""

from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.errors import NewerVersionError
from data_platform.storage import footer, parquet_file
from data_platform.storage.atomic import FileState, hash_file
from data_platform.storage.examine import Depth, examine, examine_unknown
from data_platform.storage.found_files import FoundFile
from data_platform.storage.inventory import Chosen, Expected, read_inventory
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import candles, commit, partition, series


@pytest.fixture
def place(store: PartitionStore) -> Path:
    commit(store, candles(range(30)))
    return store.layout.partition(partition())


def expected(store: PartitionStore) -> Expected:
    (only,) = read_inventory(store.layout, store.state, Chosen()).values()
    return only


def vouched(store: PartitionStore, place: Path, content: bytes) -> Expected:
    """Let the journal vouch for other bytes than the store would ever write."""
    place.write_bytes(content)
    known, state = expected(store), hash_file(place)
    return Expected(known.path, known.key, "partition", state, known.rows, known.content_hash)


def fault(store: PartitionStore, what: Expected, depth: Depth = "full") -> str:
    look = examine(store.layout, what, depth)
    return look.finding.fault if look.finding else ""


@pytest.mark.parametrize("depth", ["quick", "full", "deep"])
def test_a_file_as_it_was_written_is_sound(
    store: PartitionStore, place: Path, depth: Depth
) -> None:
    assert place.exists()
    assert fault(store, expected(store), depth) == ""


def test_a_file_whose_footer_contradicts_the_journal_is_damaged(
    store: PartitionStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = partition(series(pair="ETH/USDT"))
    rows = candles(range(30))
    wrong = vouched(store, place, parquet_file.encode(other, rows))
    assert "written as binance/ohlcv_1h ETH-USDT|2024-01" in fault(store, wrong)
    short = vouched(store, place, parquet_file.encode(partition(), rows.head(29)))
    assert fault(store, short) == "it holds 29 rows, the journal tells of 30"
    with monkeypatch.context() as later:
        later.setattr(footer, "SCHEMA_VERSION", 2)
        newer = vouched(store, place, parquet_file.encode(partition(), rows))
    with pytest.raises(NewerVersionError, match="Install that version or newer"):
        fault(store, newer)


def test_other_rows_than_the_journal_tells_of_are_found_by_reading_them(
    store: PartitionStore, place: Path
) -> None:
    other = vouched(store, place, parquet_file.encode(partition(), candles(range(30), price=7.0)))
    assert fault(store, other) == ""
    assert "not those that the journal tells of" in fault(store, other, "deep")


ROWS = candles(range(30))
DRIFTS = {
    "extra column": ROWS.with_columns(vwap=pl.lit(1.0)),
    "missing column": ROWS.drop("volume"),
    "retyped column": ROWS.with_columns(pl.col("close").cast(pl.Float32)),
    "naive time": ROWS.with_columns(pl.col("open_time").dt.replace_time_zone(None)),
    "microseconds": ROWS.with_columns(pl.col("open_time").cast(pl.Datetime("us", "UTC"))),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_r10_schema_drift_in_a_sealed_file_is_named(
    store: PartitionStore, place: Path, drift: str
) -> None:
    known = expected(store)
    place.write_bytes(parquet_file.encode(partition(), DRIFTS[drift]))
    look = examine(store.layout, known, "full")
    assert look.finding
    assert look.finding.kind == "damaged"
    assert look.finding.fault.startswith("expected ")
    vouched_for = vouched(store, place, parquet_file.encode(partition(), DRIFTS[drift]))
    assert fault(store, vouched_for, "deep").startswith("expected ")


def test_a_file_of_unknown_size_is_compared_by_its_hash(store: PartitionStore, place: Path) -> None:
    known = expected(store)
    only_hash = Expected(known.path, known.key, "history", FileState(0, known.state.sha256, ""))
    assert fault(store, only_hash) == ""
    place.unlink()
    assert fault(store, only_hash) == "gone; it was written"


def test_a_foreign_file_of_any_size_is_not_read_whole(
    store: PartitionStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write_bytes(b"x" * (1 << 20))
    monkeypatch.setattr(parquet_file, "prove", None)
    found = examine_unknown(
        store.layout, FoundFile(store.layout.relative(place), 1 << 20, "stamp", 0.0)
    )
    assert found
    assert found.kind == "unknown"
    assert "1,048,576 bytes that this platform has not written" in found.fault
