"""R9 of the reliability catalogue on a whole lake, and what a person is told to do."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.domain.errors import NotStoredError, StorageError
from data_platform.domain.periods import Period
from data_platform.operations.verify import Verification, remedy_of, verify_lake
from data_platform.storage.catalog import build_catalog, open_catalog
from data_platform.storage.examine import Depth
from data_platform.storage.inventory import Chosen
from data_platform.storage.manifest import Manifest
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.snapshots import Snapshots
from data_platform_tests.damage import damage
from data_platform_tests.storage.lake import open_store, partition, series, store_every_kind

FEBRUARY = Period(2024, 2)
OTHERS = "SELECT count(*) FROM candles"


@pytest.fixture
def lake(root: Path) -> Iterator[PartitionStore]:
    store = open_store(root)
    store_every_kind(store)
    build_catalog(root)
    yield store
    store.state.close()


def check(
    lake: PartitionStore, depth: Depth = "full", chosen: Chosen | None = None
) -> Verification:
    return verify_lake(lake.root, f"sqlite:///{lake.root}/state.db", chosen or Chosen(), depth)


def count(lake: PartitionStore, sql: str = OTHERS) -> int:
    with open_catalog(lake.root, lake.state) as door:
        return int(door.sql(sql).fetchall()[0][0])


@pytest.mark.parametrize("depth", ["quick", "full", "deep"])
def test_a_sound_lake_is_left_as_it_is(lake: PartitionStore, depth: Depth) -> None:
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*.parquet")}
    found = check(lake, depth)
    assert (found.verdict, found.left_out, found.catalog) == ("sound", (), "")
    assert {path: path.stat().st_mtime_ns for path in lake.root.rglob("*.parquet")} == before


@pytest.mark.parametrize("how", ["empty", "torn", "foreign", "rotten"])
def test_r9_the_others_stay_queryable_beside_a_damaged_partition(
    lake: PartitionStore, how: str
) -> None:
    place = lake.layout.partition(partition(period=FEBRUARY))
    path, spare = lake.layout.relative(place), lake.root.parent / "spare"
    shutil.copy2(place, spare)
    damage(place, how)
    found = check(lake)
    assert (found.verdict, found.left_out) == ("damaged", (path,))
    assert [(it.kind, it.path) for it in found.survey.findings] == [("damaged", path)]
    assert found.catalog == "The catalogue was built again without 1 of its files."
    assert count(lake) == 90
    again = check(lake, "quick")
    assert (again.verdict, again.left_out, again.catalog) == ("damaged", (path,), "")
    spare.replace(place)
    restored = check(lake)
    assert (restored.verdict, restored.left_out) == ("sound", ())
    assert count(lake) == 120


def test_r9_a_stray_file_in_the_place_of_a_partition_is_left_out_too(lake: PartitionStore) -> None:
    stray = lake.layout.partition(partition(series("okx")))
    stray.parent.mkdir(parents=True)
    shutil.copy(lake.layout.partition(partition()), stray)
    assert count(lake) == 150
    found = check(lake)
    assert [it.kind for it in found.survey.findings] == ["unknown"]
    assert found.survey.findings[0].fault.endswith("written as binance/ohlcv_1h BTC-USDT|2024-01")
    assert count(lake) == 120


def test_what_was_not_chosen_stays_left_out(lake: PartitionStore) -> None:
    first, second = (
        lake.layout.partition(partition(period=it)) for it in (FEBRUARY, Period(2024, 1))
    )
    damage(first, "empty")
    check(lake)
    damage(second, "empty")
    found = check(lake, chosen=Chosen(last="2024-01"))
    assert len(found.survey.findings) == 1
    assert set(found.left_out) == {lake.layout.relative(it) for it in (first, second)}
    assert count(lake) == 60


def test_every_kind_of_finding_has_its_remedy(lake: PartitionStore) -> None:
    for layer in ("ohlcv", "filled"):
        damage(lake.layout.partition(partition(layer=layer)), "torn")
    for folder in ("history", "quarantine", "exports"):
        damage(next((lake.root / folder).rglob("*.parquet")), "flipped")
    (lake.root / "stray.parquet").write_bytes(b"")
    left = lake.layout.partition(partition()).with_name(".candles.parquet.0123456789abcdef.tmp")
    left.write_bytes(b"half")
    found = {(it.kind, it.area): remedy_of(it) for it in check(lake).survey.findings}
    assert set(found) == {
        ("damaged", "ohlcv"),
        ("damaged", "filled"),
        ("damaged", "history"),
        ("unknown", "quarantine"),
        ("damaged", "exports"),
        ("unknown", ""),
        ("leftover", "ohlcv"),
    }
    assert all(text.endswith((".", "anew.")) for text in found.values())


def test_a_leftover_alone_is_no_damage(lake: PartitionStore) -> None:
    left = lake.root / ".catalog.duckdb.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    found = check(lake)
    assert found.verdict == "sound"
    assert [it.kind for it in found.survey.findings] == ["leftover"]


def test_what_a_snapshot_pins_is_no_stranger(lake: PartitionStore) -> None:
    rows = [row for row in lake.journal_rows() if row.layer == "ohlcv"]
    blank = Manifest("one", datetime(2024, 3, 1, tzinfo=UTC), "0.1", "abc", ())
    Snapshots(lake.root).create(lake, rows, blank)
    assert check(lake).verdict == "sound"


def test_without_a_lake_or_a_journal_nothing_can_be_checked(lake: PartitionStore) -> None:
    with pytest.raises(NotStoredError, match="no lake"):
        verify_lake(lake.root / "nowhere", "sqlite:////nowhere/state.db", Chosen())
    lake.state.close()
    path = lake.root / "state.db"
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="is gone"):
        check(lake)
    path.unlink()
    with pytest.raises(StorageError, match="is gone"):
        check(lake)
    assert not path.exists(), "a look began a new journal"


def test_a_damaged_journal_vouches_for_nothing(lake: PartitionStore) -> None:
    with lake.state.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    lake.state.close()
    path = lake.root / "state.db"
    content = bytearray(path.read_bytes())
    for place in range(3 * 4096, len(content), 4096):
        content[place : place + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="state database"):
        check(lake)


def test_a_lake_that_cannot_be_written_is_checked_all_the_same(
    lake: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("cannot write: Read-only file system.")

    damage(lake.layout.partition(partition()), "torn")
    monkeypatch.setattr("data_platform.operations.verify.note_damage", refuse)
    found = check(lake)
    assert found.verdict == "damaged"
    assert found.catalog == "The catalogue is as it was: cannot write: Read-only file system."
