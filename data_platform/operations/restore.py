"""Bring a lake back from a backup, as it was at one of its times, and prove it.

Holds what a restored lake has to pass. It is written beside its place and moved there when it is
whole: a restore that was interrupted leaves no lake, and one that is there is never touched.
"""

import secrets
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from data_platform.domain.errors import StorageError, WrongUseError
from data_platform.operations.verify import Verification, verify_lake
from data_platform.storage.atomic import flush_folder, make_folder
from data_platform.storage.backup_store import BackupStore
from data_platform.storage.found_files import STATE_FILE
from data_platform.storage.generation import Generation, KeptFile
from data_platform.storage.inventory import Chosen
from data_platform.storage.sqlite_copy import find_fault
from data_platform.storage.survey import THREADS


@dataclass(frozen=True, slots=True)
class Places:
    """Where a backup is brought back to: folders that are empty or not there."""

    lake: Path
    home: Path | None = None
    """Of the Dagster instance; None: it is left out."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look at everything that was brought back has found."""

    lake: Verification
    faults: tuple[str, ...]
    """Of Dagster's databases, one line each."""

    @property
    def exit_code(self) -> int:
        """Return 0 when all is sound, 1 when something is damaged, 2 when it was not checked."""
        if self.faults or self.lake.verdict == "damaged":
            return 1
        return 0 if self.lake.verdict == "sound" else 2


def restore(folder: Path, places: Places, at: datetime | None = None) -> Generation:
    """Bring a backup back; every content is hashed on its way.

    Args:
        folder: of the backups.
        places: where to.
        at: the newest backup made by this time, UTC; None: the newest.

    Returns:
        What was brought back.

    Raises:
        WrongUseError: a place is not empty, or the backup holds nothing of Dagster.
        NotStoredError: there is no such backup.
        DamagedFileError: the backup has lost something.
        StorageError: the disk refuses; nothing is left of it.
    """
    for place in (places.lake, places.home):
        if place is not None and place.exists() and not _is_empty(place):
            raise WrongUseError(f"{place} is not empty: nothing is ever written over. Name another")
    store = BackupStore(folder)
    generation = store.choose(at)
    home_files = generation.in_area("dagster")
    if places.home is not None and not home_files:
        raise WrongUseError(f"the backup of {generation.created_at} holds nothing of Dagster.")
    wanted = [(places.lake, generation.in_area("lake"))]
    if places.home is not None:
        wanted.append((places.home, home_files))
    beside = {it: it.with_name(f".{it.name}.{secrets.token_hex(8)}.restoring") for it, _ in wanted}
    try:
        for place, files in wanted:
            _bring_back(store, files, beside[place])
        for place, temporary in beside.items():
            _move(temporary, place)
    finally:
        for temporary in beside.values():
            shutil.rmtree(temporary, ignore_errors=True)
    return generation


def prove(places: Places) -> Proof:
    """Read everything that was brought back again: each file against the journal, each database.

    Raises:
        StorageError: the state cannot be read.
    """
    lake = verify_lake(places.lake, state_url(places.lake), Chosen())
    databases = sorted(places.home.rglob("*.db")) if places.home else []
    faults = [f"{path}: {fault}" for path in databases if (fault := find_fault(path))]
    return Proof(lake, tuple(faults))


def state_url(lake: Path) -> str:
    """Return the URL of a restored lake's state database."""
    return f"sqlite:///{lake.absolute() / STATE_FILE}"


def _bring_back(store: BackupStore, files: Sequence[KeptFile], folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error.strerror or error}.") from error
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda it: store.bring_back(it, folder / it.path), files):
            pass


def _move(folder: Path, place: Path) -> None:
    try:
        folder.replace(place)
        flush_folder(place.parent)
    except OSError as error:
        raise StorageError(
            f"cannot move what was restored to {place}: {error.strerror or error}. Name a folder "
            "that is not there yet."
        ) from error


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())
