import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.errors import DamagedFileError, NotStoredError, WrongUseError
from data_platform.domain.periods import Period
from data_platform.storage.complete import Wanted, read_complete
from data_platform.storage.manifest import Manifest
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.snapshots import SnapshotReader, Snapshots
from data_platform_tests.storage.lake import at, candles, commit, everything, partition, series, utc

FEBRUARY = Period(2024, 2)
WANTED = Wanted("ohlcv", series(), utc(2024, 1), utc(2024, 3))


def pin(store: PartitionStore, name: str = "one") -> Manifest:
    blank = Manifest(name, datetime(2024, 3, 1, tzinfo=UTC), "0.1", "abc", ())
    return Snapshots(store.root).create(store, store.journal_rows(), blank)


def read(store: PartitionStore, name: str = "one") -> pl.DataFrame:
    snapshots = Snapshots(store.root)
    return read_complete(SnapshotReader(snapshots, snapshots.load(name)), WANTED)


@pytest.fixture
def lake(store: PartitionStore) -> PartitionStore:
    """January has two candles, February none."""
    commit(store, candles([1, 2]))
    commit(store, candles([]), partition(period=FEBRUARY))
    return store


def test_a_snapshot_reads_the_same_after_corrections_extensions_and_removal(
    lake: PartitionStore, root: Path
) -> None:
    pin(lake)
    commit(lake, candles([2, 3], price=900))
    commit(lake, candles([4], period=FEBRUARY), partition(period=FEBRUARY))
    assert read(lake).equals(candles([1, 2]))
    for path in (root / "ohlcv").rglob("*.parquet"):
        path.unlink()
    assert read(lake).equals(candles([1, 2]))


def test_a_pin_is_the_file_itself_until_the_lake_replaces_it(
    lake: PartitionStore, root: Path
) -> None:
    made = pin(lake)
    (pinned,) = (root / "snapshots" / "files").rglob("*.parquet")
    (stored,) = (root / "ohlcv").rglob("*.parquet")
    assert pinned.samefile(stored)
    assert made.files == {pinned.stem}
    commit(lake, candles([3]))
    assert not pinned.samefile(stored)


def test_a_disk_without_hard_links_gets_copies(
    lake: PartitionStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    pin(lake)
    (pinned,) = (root / "snapshots" / "files").rglob("*.parquet")
    (stored,) = (root / "ohlcv").rglob("*.parquet")
    assert not pinned.samefile(stored)
    assert pinned.read_bytes() == stored.read_bytes()


def test_a_name_is_taken_once_and_is_one_word(lake: PartitionStore) -> None:
    first = pin(lake)
    commit(lake, candles([3]))
    with pytest.raises(WrongUseError, match="'one' exists; a snapshot never changes"):
        pin(lake)
    assert Snapshots(lake.root).load("one") == first
    for name in ("../x", "", "a/b", ".hidden"):
        with pytest.raises(WrongUseError, match="expected up to 64 letters"):
            pin(lake, name)


def test_a_month_that_it_does_not_hold_is_an_error(lake: PartitionStore) -> None:
    pin(lake)
    snapshots = Snapshots(lake.root)
    reader = SnapshotReader(snapshots, snapshots.load("one"))
    with pytest.raises(NotStoredError, match="2024-03"):
        read_complete(reader, Wanted("ohlcv", series(), utc(2024, 1), utc(2024, 4)))
    assert reader.read_range("ohlcv", series(), at(2), at(3)).height == 1
    with pytest.raises(NotStoredError, match=r"no snapshot 'two'. Known: one"):
        snapshots.load("two")


def test_a_damaged_file_is_not_pinned_and_leaves_nothing(
    lake: PartitionStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stored,) = (root / "ohlcv").rglob("*.parquet")
    stored.write_bytes(stored.read_bytes()[:-1])
    before = everything(root)
    monkeypatch.setattr("data_platform.storage.snapshots._PATIENCE_SECONDS", 0)
    with pytest.raises(DamagedFileError, match=r"BTC-USDT\|2024-01: .* not those"):
        pin(lake)
    assert everything(root) == before
    assert Snapshots(root).names() == []


def test_damage_of_a_pin_is_found_and_named(lake: PartitionStore, root: Path) -> None:
    made, snapshots = pin(lake), Snapshots(root)
    assert list(snapshots.damaged(made)) == []
    (pinned,) = (root / "snapshots" / "files").rglob("*.parquet")
    content = bytearray(pinned.read_bytes())
    content[len(content) // 2] ^= 1
    pinned.unlink()
    pinned.write_bytes(content)
    [(one, fault)] = snapshots.damaged(made)
    assert one.partition == partition()
    assert "not those that were pinned" in fault
    with pytest.raises(DamagedFileError, match="changed since it was pinned"):
        read(lake)
    pinned.unlink()
    [(_, fault)] = snapshots.damaged(made)
    assert "No such file" in fault
    with pytest.raises(DamagedFileError, match="gone"):
        read(lake)


def test_a_damaged_manifest_is_refused(lake: PartitionStore, root: Path) -> None:
    pin(lake)
    path = root / "snapshots" / "one.json"
    path.rename(root / "snapshots" / "two.json")
    with pytest.raises(DamagedFileError, match="was written as 'one'"):
        Snapshots(root).load("two")
    (root / "snapshots" / "two.json").write_text("{}")
    with pytest.raises(DamagedFileError, match="snapshot two: the manifest"):
        Snapshots(root).pinned()


def test_removing_a_snapshot_keeps_what_others_pin(lake: PartitionStore, root: Path) -> None:
    pin(lake)
    commit(lake, candles([1], price=500))
    pin(lake, "two")
    commit(lake, candles([1], price=700))
    pin(lake, "three")
    commit(lake, candles([1], price=900))
    snapshots = Snapshots(root)
    assert len(snapshots.pinned()) == 3
    assert snapshots.delete("two") == 1
    assert snapshots.names() == ["one", "three"]
    assert read(lake).equals(candles([1, 2]))
    assert read(lake, "three")["close"].to_list() == [701.0, 102.0]
    assert snapshots.delete("one") == snapshots.delete("three") == 1
    assert list((root / "snapshots" / "files").rglob("*.parquet")) == []
    with pytest.raises(NotStoredError):
        snapshots.delete("one")


def test_a_snapshot_beside_a_writer_holds_what_the_journal_said(lake: PartitionStore) -> None:
    """The file is renamed before the journal tells of it: a pin between the two must wait."""
    done = threading.Event()

    def write() -> None:
        for count in range(3, 60):
            commit(lake, candles(range(1, count)))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    number = 0
    while not done.is_set():
        number += 1
        made = pin(lake, f"s{number}")
        [filled] = [it for it in made.partitions if it.rows]
        assert read(lake, f"s{number}").equals(candles(range(1, filled.rows + 1)))
    writer.join()
    assert number > 1
