import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from data_platform.domain.errors import NotStoredError, StorageError
from data_platform.storage.sqlite_copy import copy_database, find_fault, is_sqlite
from data_platform_tests.read_only import run_powerless, unwritable

COPY = """
import sys
from pathlib import Path
from data_platform.storage.sqlite_copy import copy_database
copy_database(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "source.db"


@pytest.fixture
def writer(source: Path) -> Iterator[sqlite3.Connection]:
    """Give the connection of a writer whose rows lie in the log, not in the file."""
    source.parent.mkdir()
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE numbers (n)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(1000)])
        yield connection


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM numbers").fetchone()[0])


def test_what_still_lies_in_the_log_is_copied(
    source: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    writer.execute("INSERT INTO numbers VALUES (1000)")
    copy_database(source, tmp_path / "copy.db")
    assert count(tmp_path / "copy.db") == 1001
    assert find_fault(tmp_path / "copy.db") == ""
    assert sorted(it.name for it in tmp_path.iterdir()) == ["copy.db", "folder"]


def test_a_copy_is_of_one_moment_and_waits_for_no_writer(
    source: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO numbers VALUES (-1)")
    copy_database(source, tmp_path / "copy.db")
    writer.execute("COMMIT")
    assert count(tmp_path / "copy.db") == 1000
    assert count(source) == 1001


def test_the_same_content_makes_the_same_bytes(
    source: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    copies = [tmp_path / name for name in ("one", "two")]
    for copy in copies:
        copy_database(source, copy)
    writer.execute("SELECT 1")
    assert copies[0].read_bytes() == copies[1].read_bytes()


@pytest.mark.parametrize("logged", [True, False])
def test_one_that_cannot_be_written_is_copied(
    source: Path, tmp_path: Path, *, logged: bool
) -> None:
    source.parent.mkdir()
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE numbers (n)")
        connection.execute("INSERT INTO numbers VALUES (7)")
        if not logged:
            connection.close()
        with unwritable(source.parent):
            done = run_powerless("-c", COPY, str(source), str(tmp_path / "copy.db"))
    assert done.returncode == 0, done.stderr
    assert count(tmp_path / "copy.db") == 1


def test_a_damaged_one_is_refused(source: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    content = source.read_bytes()
    source.write_bytes(content[:4096] + b"x" * 2000 + content[6096:])
    with pytest.raises(StorageError, match="is damaged"):
        copy_database(source, tmp_path / "copy.db")
    assert find_fault(source)


def test_one_that_is_gone_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotStoredError, match="is gone"):
        copy_database(tmp_path / "none.db", tmp_path / "copy.db")
    assert not (tmp_path / "none.db").exists()


def test_databases_are_known_by_their_first_bytes(
    source: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    writer.execute("SELECT 1")
    (tmp_path / "text.db").write_text("a text of more than sixteen letters")
    (tmp_path / "empty.db").touch()
    assert is_sqlite(source)
    assert not [name for name in ("text", "empty", "none") if is_sqlite(tmp_path / f"{name}.db")]
