"""Backups of lakes that are written to: whole, of one time, and only of what is new."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.errors import NotStoredError, StorageError, WrongUseError
from data_platform.domain.periods import Period
from data_platform.operations.backup import Backup, Source, back_up
from data_platform.operations.restore import Places, prove, restore
from data_platform.storage.backup_store import BackupStore
from data_platform.storage.manifest import Manifest
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.snapshots import Snapshots
from data_platform.storage.sqlite_copy import copy_database
from data_platform_tests.damage import damage
from data_platform_tests.storage.lake import (
    JANUARY,
    candles,
    commit,
    everything,
    open_store,
    partition,
    series,
    store_every_kind,
)

DRIVER = Path(__file__).parent / "backup_driver.py"
FEBRUARY = Period(2024, 2)


@pytest.fixture
def lake(root: Path) -> Iterator[PartitionStore]:
    store = open_store(root)
    store_every_kind(store)
    yield store
    store.state.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def save(store: PartitionStore, target: Path, home: Path | None = None) -> Backup:
    return back_up(Source(store.root, f"sqlite:///{store.root}/state.db", home, "0.1"), target)


def bring_back(target: Path, to: Path, at: datetime | None = None) -> dict[str, bytes]:
    """Restore a lake that is sound, and return its files."""
    restore(target, Places(to), at)
    proof = prove(Places(to))
    assert proof.exit_code == 0, proof.lake.survey.findings
    return everything(to)


def pin(store: PartitionStore, name: str) -> None:
    rows = [row for row in store.journal_rows() if row.period and row.layer != "nautilus"]
    blank = Manifest(name, datetime(2024, 3, 1, tzinfo=UTC), "0.1", "abc", ())
    Snapshots(store.root).create(store, rows, blank)


def test_every_file_comes_back_as_it_was(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    pin(lake, "one")
    commit(lake, candles([40]))
    made = save(lake, target)
    assert made.generation.faults == ()
    areas = {path.split("/")[0] for path in everything(lake.root)}
    assert {"history", "quarantine", "snapshots", "exports", "ohlcv"} <= areas
    before, kept_at = everything(lake.root), _times_of_refused(lake.root)
    state = _dump(lake.root / "state.db")
    shutil.rmtree(lake.root)
    assert bring_back(target, lake.root) == before
    assert _times_of_refused(lake.root) == kept_at
    assert [row for row in state if "files" not in row] == [
        row for row in _dump(lake.root / "state.db") if "files" not in row
    ]
    snapshots = Snapshots(lake.root)
    assert list(snapshots.damaged(snapshots.load("one"))) == []
    assert tmp_path.exists()


def test_the_next_backup_takes_only_what_is_new(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    first = save(lake, target)
    unchanged = save(lake, target)
    assert (unchanged.added, len(unchanged.generation.files)) == (0, len(first.generation.files))
    old = everything(lake.root)
    commit(lake, candles([50], period=FEBRUARY), partition(period=FEBRUARY))
    grown = save(lake, target)
    # The month's new file, and the state that tells of it.
    assert grown.added == 2
    assert bring_back(target, tmp_path / "now") == everything(lake.root)
    assert bring_back(target, tmp_path / "then", first.generation.created_at) == old


def test_files_replaced_since_the_state_was_copied_are_copied_anew(
    lake: PartitionStore, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant the race at its worst: an extension keeps no file, a correction moves one."""
    commits = [candles([60]), candles([1], price=900.0), candles([61])]

    def copy_then_commit(source: Path, copy: Path) -> None:
        copy_database(source, copy)
        if commits:
            _commit_elsewhere(lake, commits.pop(0))

    monkeypatch.setattr(f"{back_up.__module__}.copy_database", copy_then_commit)
    made = save(lake, target)
    assert made.generation.faults == ()
    assert not commits
    assert bring_back(target, tmp_path / "now") == everything(lake.root)


def test_writers_that_never_rest_are_named(
    lake: PartitionStore, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = iter(range(100, 700))

    def copy_then_commit(source: Path, copy: Path) -> None:
        copy_database(source, copy)
        _commit_elsewhere(lake, candles([next(hours)]))

    monkeypatch.setattr(f"{back_up.__module__}.copy_database", copy_then_commit)
    monkeypatch.setattr(f"{back_up.__module__}.ROUNDS", 3)
    with pytest.raises(StorageError, match=r"replaced 1 files .* so there is no backup"):
        save(lake, target)
    assert BackupStore(target).names() == []


def test_every_backup_made_amid_commits_is_sound(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    with _writing(lake):
        made = [save(lake, target) for _ in range(6)]
    times = [it.generation.created_at for it in made]
    assert times == sorted(times)
    sizes = []
    for number, time in enumerate(times):
        files = bring_back(target, tmp_path / str(number), time)
        sizes.append(sum(len(it) for it in files.values()))
    assert all(it.generation.faults == () for it in made)
    assert len(set(sizes)) > 1, "nothing was written meanwhile"


@pytest.mark.parametrize("how", ["gone", "flipped"])
def test_a_damaged_file_is_named_and_the_rest_saved(
    lake: PartitionStore, target: Path, how: str
) -> None:
    place = lake.layout.partition(partition(period=FEBRUARY))
    damage(place, how)
    (fault,) = save(lake, target).generation.faults
    assert fault.path == lake.layout.relative(place)
    assert fault.reason == (
        "gone" if how == "gone" else "its bytes are not those that the journal tells of"
    )


def test_what_an_earlier_backup_holds_heals_a_later_one(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    save(lake, target)
    before = everything(lake.root)
    damage(lake.layout.partition(partition(period=FEBRUARY)), "flipped")
    assert save(lake, target).generation.faults == ()
    assert bring_back(target, tmp_path / "now") == before


def test_a_file_that_a_crash_left_without_a_journal_row_is_kept(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    place = lake.layout.partition(partition(period=FEBRUARY))
    state = lake.root / "state.db"
    with closing(sqlite3.connect(state)) as connection:
        kept = connection.serialize()
    commit(lake, candles([70], period=FEBRUARY), partition(period=FEBRUARY))
    newer = place.read_bytes()
    lake.state.close()
    state.write_bytes(kept)
    for name in ("-wal", "-shm"):
        state.with_name(f"state.db{name}").unlink(missing_ok=True)
    (fault,) = save(lake, target).generation.faults
    assert fault.path == lake.layout.relative(place)
    restore(target, Places(tmp_path / "now"))
    (finding,) = prove(Places(tmp_path / "now")).lake.survey.findings
    assert finding.kind == "unjournalled", "the doctor could not adopt it"
    assert (tmp_path / "now" / fault.path).read_bytes() == newer


def test_lost_pins_and_damaged_snapshots_are_named(lake: PartitionStore, target: Path) -> None:
    pin(lake, "one")
    pin(lake, "two")
    commit(lake, candles(range(30), price=7.0, period=FEBRUARY), partition(period=FEBRUARY))
    lost = Snapshots(lake.root).load("one").files
    for sha in lost:
        lake.layout.pinned(sha).unlink()
    damage(lake.layout.snapshot("two"), "torn")
    told = {it.path: it.reason for it in save(lake, target).generation.faults}
    assert told.pop("snapshots/two.json") == "not what was written"
    assert told == {}, "the lake still holds all that was pinned, in its place or in history"


def test_r7_no_generation_is_half_made_whatever_fails(tmp_path: Path, root: Path) -> None:
    """Kill a backup at one file operation after the other, and let each fail as a full disk."""
    store = open_store(root)
    store_every_kind(store)
    store.state.close()
    words = [sys.executable, str(DRIVER), str(root), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    points = json.loads(done.stdout)
    assert {it["kind"] for it in points} == {"kill", "ENOSPC"}
    assert len(points) > 20
    for it in points:
        folder = Path(it["folder"])
        kept = BackupStore(folder)
        made = [kept.load(path) for path in kept.names()]
        # Only after its last file operation but one has a spoiled backup come to exist, whole.
        assert (it["code"], len(made)) in ((9, 1), (9, 2), (1, 1), (1, 2), (0, 2)), it
        named = [file for generation in made[1:] for file in generation.files]
        assert all(kept.content(file.sha256).exists() for file in named)
        again = back_up(Source(root, f"sqlite:///{root}/state.db", None, "0.1"), folder)
        assert again.generation.faults == ()
        assert not list(folder.rglob("*.tmp"))
    assert bring_back(Path(points[-1]["folder"]), tmp_path / "now") == everything(root)


def test_dagsters_databases_are_copied_while_they_are_written(
    lake: PartitionStore, target: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for folder in ("history/runs", "demo/history"):
        (home / folder).mkdir(parents=True)
    (home / "demo/dagster.yaml").touch()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (home / "not.db").write_text("a text that is longer than the magic")
    _make_database(home / "demo/history/runs.db").close()
    with closing(_make_database(home / "history/runs.db")) as connection:
        connection.execute("INSERT INTO runs VALUES (1)")
        made = save(lake, target, home)
        assert save(lake, target, home).added == 0
    paths = [it.path for it in made.generation.in_area("dagster")]
    assert paths == ["dagster.yaml", "history/runs.db"]
    places = Places(tmp_path / "now", tmp_path / "new-home")
    restore(target, places)
    assert prove(places).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "new-home/history/runs.db")) as connection:
        assert connection.execute("SELECT n FROM runs").fetchall() == [(1,)]


def test_a_damaged_state_makes_no_backup(lake: PartitionStore, target: Path) -> None:
    lake.state.close()
    state = lake.root / "state.db"
    content = state.read_bytes()
    state.write_bytes(content[:8192] + b"x" * 4096 + content[12288:])
    with pytest.raises(StorageError, match="is damaged"):
        save(lake, target)
    assert BackupStore(target).names() == []


def test_what_cannot_be_backed_up_is_refused(lake: PartitionStore, tmp_path: Path) -> None:
    url = f"sqlite:///{lake.root}/state.db"
    server = Source(lake.root, "postgresql+psycopg://user:secret@host/name", None, "0.1")
    with pytest.raises(WrongUseError, match="own tool, such as pg_dump") as refusal:
        back_up(server, tmp_path / "backups")
    assert "secret" not in str(refusal.value)
    for inside in (lake.root, lake.root / "backups", tmp_path / "home/x"):
        with pytest.raises(WrongUseError, match="which is backed up"):
            back_up(Source(lake.root, url, tmp_path / "home", "0.1"), inside)
    with pytest.raises(NotStoredError, match="there is no lake"):
        back_up(Source(tmp_path / "none", url, None, "0.1"), tmp_path / "backups")
    assert not (tmp_path / "backups").exists()


def test_old_generations_are_dropped_on_demand(lake: PartitionStore, target: Path) -> None:
    source = Source(lake.root, f"sqlite:///{lake.root}/state.db", None, "0.1")
    for hour in range(40, 43):
        commit(lake, candles([hour]))
        made = back_up(source, target, keep=2)
    assert made.dropped == 1
    assert len(BackupStore(target).names()) == 2


def _commit_elsewhere(store: PartitionStore, rows: pl.DataFrame) -> None:
    # A thread holds one lock at most, and the backup's is held.
    writer = threading.Thread(target=lambda: commit(store, rows))
    writer.start()
    writer.join()


@contextmanager
def _writing(store: PartitionStore) -> Iterator[None]:
    """Commit to several partitions without a pause: extensions, corrections, new months."""
    is_over = threading.Event()

    def write() -> None:
        own = open_store(store.root)
        for number in range(10_000):
            if is_over.is_set():
                break
            period = (JANUARY, FEBRUARY, Period(2024, 3))[number % 3]
            hours = [number % 700] if number % 5 else [3]
            pair = "BTC/USDT" if number % 2 else "ETH/USDT"
            rows = candles(hours, price=float(1000 + number), period=period)
            commit(own, rows, partition(series(pair=pair), period))
        own.state.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join()


def _make_database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE runs (n)")
    return connection


def _dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def _times_of_refused(root: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in sorted((root / "quarantine").rglob("*.parquet"))]
