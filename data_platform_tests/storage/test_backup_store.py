from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.domain.errors import (
    DamagedFileError,
    NotStoredError,
    StorageError,
    WrongUseError,
)
from data_platform.storage.backup_store import BackupStore
from data_platform.storage.generation import Fault, Generation, KeptFile
from data_platform_tests.damage import damage

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> BackupStore:
    return BackupStore(tmp_path / "backups")


def back_up(
    store: BackupStore, source: Path, texts: Sequence[str], hour: int = 0, faults: int = 0
) -> Generation:
    """Make a generation of files that hold some texts."""
    kept = []
    with store.opened():
        for text in texts:
            source.write_text(text)
            found = store.keep(source)
            assert found is not None
            kept.append(KeptFile("lake", f"folder/{text}", found.sha256, found.size, 7))
        made = Generation(
            NOON + timedelta(hours=hour), "1", "/", tuple(kept), (Fault("x", "gone"),) * faults
        )
        store.publish(made)
    return made


def contents(store: BackupStore) -> set[str]:
    return {path.read_text() for path in (store.folder / "files").glob("*/*")}


def test_content_comes_in_once_and_out_as_it_was(store: BackupStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    first = back_up(store, source, ["one", "two"])
    assert len(store.added) == 2
    again = BackupStore(store.folder)
    back_up(again, source, ["one", "three"], hour=1)
    assert again.added == [len("three")]
    assert contents(store) == {"one", "two", "three"}
    for kept in first.files:
        store.bring_back(kept, tmp_path / kept.path)
    out = tmp_path / "folder"
    assert {it.name: it.read_text() for it in out.iterdir()} == {"one": "one", "two": "two"}
    assert (out / "one").stat().st_mtime_ns == 7


def test_a_copy_shares_no_inode_with_its_source(store: BackupStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (kept,) = back_up(store, source, ["one"]).files
    damage(source, "flipped")
    assert store.content(kept.sha256).read_text() == "one"


def test_what_a_file_should_hold_decides(store: BackupStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("other")
    with store.opened() as work:
        assert store.keep(source, "0" * 64) is None
        assert store.keep(tmp_path / "none") is None
        assert not list(work.iterdir())
    assert not list((store.folder / "files").rglob("*"))


@pytest.mark.parametrize("how", ["gone", "empty", "torn", "flipped", "rotten"])
def test_content_that_was_lost_is_never_brought_back(
    store: BackupStore, tmp_path: Path, how: str
) -> None:
    (kept,) = back_up(store, tmp_path / "source", ["a longer text"]).files
    damage(store.content(kept.sha256), how)
    with pytest.raises(
        DamagedFileError, match=r"folder/a longer text: its content .* is (gone|no)"
    ):
        store.bring_back(kept, tmp_path / "out")


def test_the_newest_made_by_a_time_is_chosen(store: BackupStore, tmp_path: Path) -> None:
    made = [back_up(store, tmp_path / "source", [str(hour)], hour=hour) for hour in range(3)]
    assert store.choose(None) == made[2]
    assert store.choose(NOON + timedelta(hours=1)) == made[1]
    assert store.choose(NOON + timedelta(minutes=119)) == made[1]
    with pytest.raises(
        NotStoredError, match=r"no backup made by .*: the oldest is of 2024-03-01T12"
    ):
        store.choose(NOON - timedelta(seconds=1))
    with pytest.raises(NotStoredError, match="it holds no backup"):
        BackupStore(tmp_path / "none").choose(None)


def test_old_generations_go_with_what_they_alone_hold(store: BackupStore, tmp_path: Path) -> None:
    for hour, texts in enumerate((["one", "shared"], ["two", "shared"], ["three"])):
        back_up(store, tmp_path / "source", texts, hour=hour)
    assert store.prune(3) == 0
    assert store.prune(2) == 1
    assert contents(store) == {"two", "shared", "three"}
    assert store.prune(1) == 1
    assert contents(store) == {"three"}
    assert store.prune(1) == 0


def test_generations_with_faults_push_no_sound_one_out(store: BackupStore, tmp_path: Path) -> None:
    for hour, faults in enumerate((0, 0, 1, 1)):
        back_up(store, tmp_path / "source", [str(hour)], hour=hour, faults=faults)
    assert store.prune(2) == 0
    assert store.prune(1) == 1
    assert contents(store) == {"1", "2", "3"}


def test_nothing_is_pruned_where_a_list_cannot_be_read(store: BackupStore, tmp_path: Path) -> None:
    for hour in range(3):
        back_up(store, tmp_path / "source", [str(hour)], hour=hour)
    damage(store.names()[1], "flipped")
    with pytest.raises(DamagedFileError, match="the list of a backup"):
        store.prune(1)
    assert contents(store) == {"0", "1", "2"}


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    for folder in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(WrongUseError, match="no backup"), BackupStore(folder).opened():
            pass
    assert [it.name for it in tmp_path.iterdir()] == ["mine.txt"]


def test_one_that_was_killed_leaves_nothing_in_the_way(store: BackupStore, tmp_path: Path) -> None:
    with store.opened() as work:
        pass
    work.mkdir()
    (work / "half").write_text("half")
    back_up(store, tmp_path / "source", ["one"])
    assert not work.exists()


def test_a_full_disk_is_named(
    store: BackupStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/there")

    (tmp_path / "source").touch()
    with store.opened():
        monkeypatch.setattr("shutil.copyfile", full)
        with pytest.raises(StorageError, match=r"backups: /there No space left.*free space"):
            store.keep(tmp_path / "source")
