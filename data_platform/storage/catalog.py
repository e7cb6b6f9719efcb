"""The DuckDB catalogue: a file of views and macros for people, and a locked door for their SQL.

Holds how both are made; the SQL stands in `catalog_sql.py`, what passes the door in `answers.py`.
The file holds only what reads Parquet and is replaced by rename, since a second process is refused
by a file that one holds open for writing. It names its lake by absolute paths, so that of a copied
or moved lake is made anew; where it cannot be written, the views are made in the connection. What
lies in the state database (`gaps`, `quality`, `verdicts`, `partitions`, `runs`) is put into the
connection, since DuckDB's wheel has no reader for it.
Locking down: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview (read
2026-11-25); tried out with duckdb 2.0.1.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.domain.errors import StorageError
from data_platform.storage.atomic import publish_file
from data_platform.storage.catalog_sql import (
    TABLES,
    consensus_statement,
    globs_that_meet,
    macro_statement,
    one_line,
    pattern,
    text,
    view_glob,
    view_statement,
)
from data_platform.storage.known_damage import read_known_damage
from data_platform.storage.layout import CANDLES_FILE, Layout
from data_platform.storage.state import State
from data_platform.storage.state_frames import state_frames

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "2GB"

_NONE = "no sound file is left of it: data-platform verify"
"""Stands where there is no file to read; DuckDB's refusal names it."""

_LOCKS = (
    # Nothing is spilled: a folder for it would be one more place to read and write.
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET python_enable_replacements = false",
    f"SET memory_limit = '{MEMORY_LIMIT}'",
    # DuckDB follows TZ: under America/New_York a UTC day counted 1140 of 1440 candles.
    "SET TimeZone = 'UTC'",
    "SET lock_configuration = true",
)


def build_catalog(root: Path) -> Path:
    """Write `catalog.duckdb` of a lake, replacing the one that is there.

    Views over a layer without files are empty; build again once it has some. Files that are known
    to be damaged are left out of everything that would meet them.

    Args:
        root: the lake's folder.

    Returns:
        The file.

    Raises:
        StorageError: it cannot be written, or a stored file is no Parquet.
    """
    layout = Layout(root.absolute())
    return _write(layout.catalog, _statements(layout))


def refresh_catalog(root: Path) -> bool:
    """Build the catalogue of a lake again where the one that is there would not be made now.

    Returns:
        Whether it was built.

    Raises:
        StorageError: as `build_catalog`.
    """
    layout = Layout(root.absolute())
    statements = _statements(layout)
    if _is_current(layout.catalog, statements):
        return False
    _write(layout.catalog, statements)
    return True


def open_catalog(root: Path, state: State) -> "duckdb.DuckDBPyConnection":
    """Open a connection for people's SQL that can read the lake and nothing else.

    Besides the catalogue's macros and views it knows `gaps`, `quality`, `verdicts`, `partitions`
    and `runs` as the state database has them now. Close it after use.

    Args:
        root: the lake's folder; one that cannot be written is read all the same.
        state: its state database.

    Raises:
        StorageError: the views cannot be made: a stored file is no Parquet.
    """
    import duckdb

    layout = Layout(root.absolute())
    statements = _statements(layout)
    is_written = _is_current(layout.catalog, statements) or _try_write(layout.catalog, statements)
    connection = duckdb.connect(":memory:")
    try:
        if is_written:
            connection.execute(f"ATTACH {text(str(layout.catalog))} AS lake (READ_ONLY)")
            connection.execute("SET search_path = 'memory.main,lake.main'")
        else:
            _execute(connection, statements)
        for name, frame in state_frames(state).items():
            connection.register("incoming", frame)
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM incoming')  # noqa: S608  # our names
            connection.unregister("incoming")
        # Globs are held against the list as they are spelt, files as they are called.
        allowed = ", ".join(text(spelt) for spelt in (str(layout.root), pattern(layout.root)))
        _execute(connection, [f"SET allowed_directories = [{allowed}]", *_LOCKS])
    except duckdb.Error as error:
        connection.close()
        raise StorageError(
            f"cannot open the catalogue of {layout.root}: {one_line(error)}"
        ) from error
    return connection


def _statements(layout: Layout) -> list[str]:
    root = layout.root
    lists = _lists(layout, read_known_damage(layout))
    statements = [consensus_statement(root, lists)]
    for table in TABLES:
        statements.append(macro_statement(table, root, lists))
        stored = next((root / table.layer).rglob(CANDLES_FILE), None) is not None
        stored = stored and lists.get(view_glob(table, root)) != [f"{pattern(root)}/{_NONE}"]
        statements.append(view_statement(table, root, lists, stored=stored))
    return statements


def _lists(layout: Layout, left_out: Collection[str]) -> dict[str, list[str]]:
    """Return the files to read instead of each glob that would meet one to be left out."""
    globs = {glob for path in left_out for glob in globs_that_meet(path, layout.root)}
    base = pattern(layout.root)
    lists = {}
    for glob in sorted(globs):
        found = (layout.relative(it) for it in layout.root.glob(glob.removeprefix(f"{base}/")))
        sound = sorted(path for path in found if path not in left_out) or [_NONE]
        lists[glob] = [f"{base}/{path}" for path in sound]
    return lists


def _mark(statements: Sequence[str]) -> str:
    return f"views {hashlib.sha256(';'.join(statements).encode()).hexdigest()}"


def _is_current(path: Path, statements: Sequence[str]) -> bool:
    """Tell whether a file was made by these statements: of this lake, by this program."""
    import duckdb

    if not path.exists():
        return False
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute("SELECT comment FROM duckdb_views() WHERE comment NOT NULL")
            return found.fetchall() == [(_mark(statements),)]
    except duckdb.Error:
        # Half a file, or one of another version: it holds nothing that cannot be made again.
        return False


def _try_write(path: Path, statements: Sequence[str]) -> bool:
    try:
        _write(path, statements)
    except StorageError:
        # A lake that cannot be written; if its files are at fault, the connection will say so.
        return False
    return True


def _write(path: Path, statements: Sequence[str]) -> Path:
    import duckdb

    def write(temporary: Path) -> None:
        with duckdb.connect(str(temporary)) as connection:
            _execute(connection, statements)
            connection.execute(f"COMMENT ON VIEW {TABLES[0].name} IS {text(_mark(statements))}")

    try:
        publish_file(write, path)
    except duckdb.Error as error:
        raise StorageError(f"cannot build the catalogue {path}: {one_line(error)}") from error
    return path


def _execute(connection: "duckdb.DuckDBPyConnection", statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)
