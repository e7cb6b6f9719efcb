"""Copy SQLite files that others write to: one moment of each, by SQLite's own backup API.

Holds copies and their proof. A file that is copied byte by byte while somebody writes is torn, and
lacks what still lies in its log; the API reads in one transaction and keeps no writer waiting where
the database is in WAL mode (https://www.sqlite.org/backup.html, read 2026-11-28).
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from data_platform.domain.errors import NotStoredError, StorageError

BUSY_SECONDS = 60
"""How long a copy waits for a writer where the database is not in WAL mode."""

_MAGIC = b"SQLite format 3\0"


def is_sqlite(path: Path) -> bool:
    """Tell whether a file is a SQLite database; one that is gone or empty is not.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        return False


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment to a path where nothing is.

    Raises:
        NotStoredError: it is gone.
        StorageError: it is damaged, or the copy cannot be written.
    """
    try:
        with closing(_connect(source)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)
    except sqlite3.Error as error:
        if not source.exists():
            raise NotStoredError(f"the database {source} is gone.") from error
        raise StorageError(
            f"cannot copy the database {source}: {error}. Check free space and permissions."
        ) from error
    fault = find_fault(target)
    if fault:
        raise StorageError(f"the database {source} is damaged: {fault}. Nothing was backed up.")


def find_fault(path: Path) -> str:
    """Return what SQLite finds wrong with a database that nobody writes to, or ''."""
    try:
        with closing(_connect(path)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if found == "ok" else str(found)


def _connect(path: Path) -> sqlite3.Connection:
    # `immutable` passes over a log, so it is right only where nobody can have written one.
    can_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=rw" if can_write else "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{mode}", timeout=BUSY_SECONDS, uri=True)
