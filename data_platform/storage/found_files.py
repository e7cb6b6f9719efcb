"""What lies in the lake: every file below its root, as one walk finds it.

Holds the walk and what a file's name alone tells. Locks are passed over, and so is a folder with a
state database of its own: another lake, as the demo's below `data/`.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_platform.storage.atomic import stamp_of
from data_platform.storage.inventory import Chosen
from data_platform.storage.layout import LOCKS

STATE_FILE = "state.db"

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.tmp(\.wal)?")
_FOLDER_NAMES = ("exchange", "timeframe", "pair")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file as it lies there."""

    path: str
    """Below the lake's root, with `/`."""
    size: int
    stamp: str
    modified: float
    """Seconds since 1970, by the clock of the disk."""

    @property
    def is_temporary(self) -> bool:
        """Tell whether a writer left it that never came to rename it, or has not yet."""
        return _TEMPORARY.fullmatch(self.path.rpartition("/")[2]) is not None


@dataclass(slots=True)
class Walk:
    """Everything below a lake's root; `files` fills as it goes."""

    root: Path
    chosen: Chosen
    unread: dict[str, str] = field(default_factory=dict)
    """Folders that could not be listed, and why."""
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def files(self) -> Iterator[FoundFile]:
        """Yield each file, folders that are not chosen left out where their names say so."""
        yield from self._below(str(self.root), "")

    def _below(self, folder: str, prefix: str) -> Iterator[FoundFile]:
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError as error:
            self.unread[prefix.rstrip("/") or "."] = error.strerror or str(error)
            return
        if prefix and any(entry.name == STATE_FILE for entry in listed):
            return
        for entry in listed:
            path = prefix + entry.name
            if entry.is_dir():
                if self._enters(entry, path):
                    yield from self._below(entry.path, f"{path}/")
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:
                # Renamed meanwhile, or a link to nothing: who expects it will miss it.
                continue
            yield FoundFile(path, status.st_size, stamp_of(status), status.st_mtime)

    def _enters(self, entry: "os.DirEntry[str]", path: str) -> bool:
        if path == LOCKS:
            return False
        name, _, value = entry.name.partition("=")
        if name in _FOLDER_NAMES and not self.chosen.holds({name: value}):
            return False
        if entry.is_symlink():
            # A layer may lie on another disk; a link to a folder above would never end.
            status = entry.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in self._seen:
                return False
            self._seen.add(identity)
        return True
