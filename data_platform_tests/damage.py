"""Damage planted in real files and databases: what disks, people and other programs do."""

import os
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from data_platform.storage.state import State

DAMAGES = ("gone", "empty", "torn", "foreign", "flipped", "rotten")
"""`flipped` and `rotten` turn one bit over; only the disk's own rot keeps the file's time."""


def damage(path: Path, how: str) -> None:
    """Spoil a file in one of the ways of `DAMAGES`."""
    status, content = path.stat(), path.read_bytes()
    if how == "gone":
        path.unlink()
        return
    middle = len(content) // 2
    spoilt = {
        "empty": b"",
        "torn": content[:-9],
        "foreign": b"not what was written here",
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
    }
    with path.open("r+b") as file:
        # In place: the inode stays, as it does where a disk or an editor spoils a file.
        file.write(spoilt["flipped" if how == "rotten" else how])
        file.truncate()
    if how == "rotten":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def fill_disk(state: State, how: str = "full") -> None:
    """Let SQLite answer as it does on a disk that is full, or `read-only`."""
    pragma = "max_page_count = 1" if how == "full" else "query_only = ON"

    def limit(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute(f"PRAGMA {pragma}")

    sa.event.listen(state._engine, "connect", limit)
    # What is open already is opened anew.
    state.close()
