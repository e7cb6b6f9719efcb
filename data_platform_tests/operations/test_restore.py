"""What is brought back is whole and proven, or nothing is there."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.domain.errors import (
    DamagedFileError,
    NotStoredError,
    StorageError,
    WrongUseError,
)
from data_platform.operations.backup import Source, back_up
from data_platform.operations.restore import Places, prove, restore, state_url
from data_platform.storage.backup_store import BackupStore
from data_platform.storage.generation import Generation
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.damage import damage
from data_platform_tests.storage.lake import (
    candles,
    commit,
    everything,
    open_store,
    store_every_kind,
)


@pytest.fixture
def lake(root: Path) -> Iterator[PartitionStore]:
    store = open_store(root)
    store_every_kind(store)
    yield store
    store.state.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def made(lake: PartitionStore, target: Path) -> Generation:
    return back_up(
        Source(lake.root, f"sqlite:///{lake.root}/state.db", None, "1"), target
    ).generation


@pytest.mark.usefixtures("made")
def test_a_restored_lake_is_written_to_as_before(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    place = tmp_path / "now"
    place.mkdir()
    restore(target, Places(place))
    assert everything(place) == everything(lake.root)
    again = open_store(place)
    assert commit(again, candles([44])).added == 1
    again.state.close()
    assert prove(Places(place)).exit_code == 0
    assert state_url(place) == f"sqlite:///{place}/state.db"
    assert sorted(it.name for it in tmp_path.iterdir()) == ["backups", "data", "now"]


@pytest.mark.usefixtures("made")
def test_what_is_there_is_never_written_over(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    before = everything(lake.root)
    file = tmp_path / "file"
    file.touch()
    for place in (lake.root, file):
        with pytest.raises(WrongUseError, match="is not empty"):
            restore(target, Places(place))
        with pytest.raises(WrongUseError, match="is not empty"):
            restore(target, Places(tmp_path / "now", home=place))
    assert everything(lake.root) == before
    assert not (tmp_path / "now").exists()


@pytest.mark.usefixtures("lake")
def test_a_backup_that_lost_something_leaves_no_lake(
    made: Generation, target: Path, tmp_path: Path
) -> None:
    lost = made.files[len(made.files) // 2]
    damage(BackupStore(target).content(lost.sha256), "rotten")
    with pytest.raises(DamagedFileError, match=lost.path):
        restore(target, Places(tmp_path / "now"))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["backups", "data"]


@pytest.mark.usefixtures("made")
def test_a_full_disk_leaves_no_lake(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StorageError, match=r"No space left.*free space"):
        restore(target, Places(tmp_path / "now"))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["backups", "data"]


def test_there_is_no_backup_and_none_of_dagster(
    made: Generation, target: Path, tmp_path: Path
) -> None:
    assert not made.in_area("dagster")
    with pytest.raises(WrongUseError, match="nothing of Dagster"):
        restore(target, Places(tmp_path / "now", tmp_path / "home"))
    with pytest.raises(NotStoredError, match="no backup made by"):
        restore(target, Places(tmp_path / "now"), datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(NotStoredError, match="it holds no backup"):
        restore(tmp_path / "none", Places(tmp_path / "now"))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["backups", "data"]


@pytest.mark.usefixtures("made")
def test_the_proof_finds_what_was_spoiled_since(target: Path, tmp_path: Path) -> None:
    places = Places(tmp_path / "now", tmp_path / "home")
    restore(target, Places(places.lake))
    places.home.mkdir()  # type: ignore[union-attr]  # it is given
    with closing(sqlite3.connect(tmp_path / "home/runs.db")) as connection:
        connection.execute("CREATE TABLE runs (n)")
    assert prove(places).exit_code == 0
    with (tmp_path / "home/runs.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(200))
    found = prove(places)
    assert (found.exit_code, len(found.faults)) == (1, 1)
    (tmp_path / "home/runs.db").unlink()
    damage(next((places.lake / "ohlcv").rglob("*.parquet")), "rotten")
    assert prove(places).exit_code == 1
