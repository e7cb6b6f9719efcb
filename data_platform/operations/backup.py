"""Back a lake up while it is written to: its files, its state, and Dagster's own storage.

Holds what belongs to a backup and when it is whole. The state is copied as it is at one moment,
then each file that it vouches for, by its sha256. What a writer has replaced in between makes the
next round, with a newer copy of the state: a backup is finished once one state and all its files
are there. Dagster's storage is copied first, so that it never tells of more than the lake holds.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from data_platform.domain.errors import (
    DamagedFileError,
    NotStoredError,
    StorageError,
    WrongUseError,
)
from data_platform.operations.verify import require_state
from data_platform.storage.backup_store import BackupStore
from data_platform.storage.found_files import STATE_FILE
from data_platform.storage.generation import Area, Fault, Generation, KeptFile
from data_platform.storage.inventory import Chosen, Expected, read_inventory
from data_platform.storage.layout import Layout, is_archived
from data_platform.storage.locks import kept_from_writers
from data_platform.storage.manifest import Manifest
from data_platform.storage.snapshots import Snapshots
from data_platform.storage.sqlite_copy import copy_database, is_sqlite
from data_platform.storage.state import State, state_file
from data_platform.storage.survey import THREADS, WRITER_SECONDS, lock_of

ROUNDS = 50
"""How often at most; each leaves only what was replaced while it lasted."""

INSTANCE_FILE = "dagster.yaml"
"""Of the folder of a Dagster instance."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is backed up."""

    data_root: Path
    state_url: str
    home: Path | None
    """Folder of the Dagster instance; None: there is none."""
    program: str
    """Version of the program."""


def source_of(data_root: Path, state_url: str, home: Path) -> Source:
    """Return a lake and its Dagster instance, if that folder holds one, as what is backed up."""
    instance = home if (home / INSTANCE_FILE).exists() else None
    return Source(data_root, state_url, instance, version("data-platform"))


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup has done."""

    generation: Generation
    added: int
    """Files whose content was new."""
    added_size: int
    """Bytes of those."""
    dropped: int
    """Old generations."""
    seconds: float

    def spelled(self) -> str:
        """Return it in one line."""
        generation = self.generation
        dropped = f"; {self.dropped} old ones dropped" if self.dropped else ""
        return (
            f"{generation.created_at:%Y-%m-%dT%H:%M:%S.%fZ}: {len(generation.files):,} files, "
            f"{generation.size / 1e6:,.1f} MB; {self.added:,} new, {self.added_size / 1e6:,.1f} MB "
            f"copied in {self.seconds:.1f} s{dropped}"
        )


def back_up(source: Source, target: Path, *, keep: int | None = None) -> Backup:
    """Make one more generation of a backup; writers may go on.

    Args:
        source: what is backed up.
        target: a folder of backups of this lake, or where one can be made.
        keep: drop all but so many generations without faults, and what is newer; None: none.

    Raises:
        WrongUseError: the state lies on a server, or the target in what is backed up.
        NotStoredError: there is no lake.
        StorageError: the state is gone or damaged, the target refuses, or writers never rest.
    """
    state = _require_file(source)
    _require_outside(source, target)
    begin = time.monotonic()
    store = BackupStore(target)
    with store.opened() as work:
        intake = _Intake(store, Layout(source.data_root), state, work)
        if source.home:
            intake.take_instance(source.home)
        created_at = intake.settle()
        intake.take_loose()
        files = sorted(intake.kept.values(), key=lambda it: (it.area, it.path))
        generation = Generation(
            created_at, source.program, str(source.data_root), tuple(files), tuple(intake.faults)
        )
        store.publish(generation)
        dropped = store.prune(keep) if keep else 0
    added = store.added
    return Backup(generation, len(added), sum(added), dropped, time.monotonic() - begin)


@dataclass(slots=True)
class _Intake:
    store: BackupStore
    layout: Layout
    state: Path
    work: Path
    kept: dict[tuple[Area, str], KeptFile] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def take_instance(self, home: Path) -> None:
        """Take in a Dagster instance: its databases and its config, no logs of runs."""
        for path in sorted(home.rglob("*.db")):
            folders = path.relative_to(home).parents
            if any(it.name and (home / it / INSTANCE_FILE).exists() for it in folders):
                # Another instance below this one, as the demo's.
                continue
            # A run may be pruned meanwhile.
            with suppress(NotStoredError):
                if is_sqlite(path):
                    copy_database(path, self.work / path.name)
                    self._note("dagster", path.relative_to(home).as_posix(), path.name)
        if (home / INSTANCE_FILE).exists():
            self._keep_loose("dagster", home, INSTANCE_FILE)

    def settle(self) -> datetime:
        """Take in the state and its files until they agree; return of which time they are."""
        before: Mapping[str, str] = {}
        for _ in range(ROUNDS):
            created_at, named = self._copy_state()
            missing = self._keep_all(named)
            if all(before.get(it.path) == it.state.sha256 for it in missing):
                # Nobody was about to write it: that is how the lake is.
                for it in missing:
                    self._accept(it)
                self._note("lake", STATE_FILE, STATE_FILE)
                return created_at
            before = {it.path: it.state.sha256 for it in missing if self._is_at_rest(it)}
        raise StorageError(
            f"writers replaced {len(missing)} files of {self.layout.root} again and again while "
            "they were copied, so there is no backup. Run it once more, at a quieter time."
        )

    def take_loose(self) -> None:
        """Take in what no journal row names: refused rows, what gave way, snapshots."""
        snapshots = Snapshots(self.layout.root)
        for name in snapshots.names():
            path = self.layout.snapshot(name)
            try:
                self._keep_pins(name, snapshots.load(name))
            except NotStoredError:
                # Removed meanwhile.
                continue
            except DamagedFileError:
                self.faults.append(Fault(self.layout.relative(path), "not what was written"))
        for path in self.layout.find_loose():
            if ("lake", name := self.layout.relative(path)) not in self.kept:
                self._keep_loose("lake", self.layout.root, name)

    def _keep_pins(self, name: str, snapshot: Manifest) -> None:
        named = {self.layout.relative(self.layout.pinned(sha)): sha for sha in snapshot.files}
        lost = [path for path, sha in named.items() if not self._keep(path, sha)]
        if self.layout.snapshot(name).exists():
            self.faults += [Fault(path, f"gone or changed; {name} pins it") for path in lost]

    def _copy_state(self) -> tuple[datetime, list[Expected]]:
        copy = self.work / STATE_FILE
        copy.unlink(missing_ok=True)
        copy_database(self.state, copy)
        created_at = datetime.now(UTC)
        with closing(State(f"sqlite:///{copy}")) as state:
            return created_at, list(read_inventory(self.layout, state, Chosen()).values())

    def _keep_all(self, named: list[Expected]) -> list[Expected]:
        """Take in files of the lake; return those that do not hold what they should."""
        self.kept = {key: it for key, it in self.kept.items() if it.area != "lake"}
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda it: self._keep(it.path, it.state.sha256), named)
            return [it for it, is_kept in zip(named, found, strict=True) if not is_kept]

    def _keep(self, path: str, sha256: str) -> bool:
        content = self.store.content(sha256)
        if not content.exists() and not self.store.keep(self.layout.root / path, sha256):
            return False
        self.kept["lake", path] = KeptFile("lake", path, sha256, content.stat().st_size)
        return True

    def _accept(self, missing: Expected) -> None:
        found = self._keep_loose("lake", self.layout.root, missing.path)
        if not found and is_archived(missing.path):
            # The archive may have been moved to other storage.
            return
        reason = "its bytes are not those that the journal tells of" if found else "gone"
        self.faults.append(Fault(missing.path, reason))

    def _keep_loose(self, area: Area, root: Path, path: str) -> bool:
        """Take in a file whatever it holds; tell whether it is there."""
        try:
            modified = (root / path).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        found = self.store.keep(root / path)
        if found is None:
            return False
        self.kept[area, path] = KeptFile(area, path, found.sha256, found.size, modified)
        return True

    def _note(self, area: Area, path: str, copy: str) -> None:
        found = self.store.adopt(self.work / copy)
        if found is not None:
            self.kept[area, path] = KeptFile(area, path, found.sha256, found.size)

    def _is_at_rest(self, expected: Expected) -> bool:
        lock = lock_of(self.layout, expected.key)
        # What several exports share does not tell under which lock it is written.
        for it in [lock] if lock else self.layout.find_locks(expected.key["layer"]):
            with kept_from_writers(it, WRITER_SECONDS) as is_free:
                if not is_free:
                    return False
        return True


def _require_file(source: Source) -> Path:
    state = state_file(source.state_url)
    if state is None:
        raise WrongUseError(
            "the state database is no SQLite file (DATA_PLATFORM_STATE names a server): back it up "
            "by its own tool, such as pg_dump, and copy the lake's files while nothing writes."
        )
    require_state(source.data_root, source.state_url)
    return state


def _require_outside(source: Source, target: Path) -> None:
    for folder in (source.data_root, source.home):
        if folder is not None and target.resolve().is_relative_to(folder.resolve()):
            raise WrongUseError(
                f"{target} lies in {folder}, which is backed up: name a folder outside, best on "
                "another disk."
            )
