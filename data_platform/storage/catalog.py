"""The DuckDB catalogue: a file of views and macros for people, and a locked door for their SQL.

Holds how both are made; the SQL stands in `catalog_sql.py`. The file holds only what reads Parquet
and is replaced by rename, since a second process is refused by a file that one holds open for
writing. What lies in the state database (`gaps`, `quality`, `partitions`) is put into the
connection, since DuckDB's wheel has no reader for it. Locking down: https://duckdb.org/docs/stable/
operations_manual/securing_duckdb/overview (read 2026-11-25); tried out with duckdb 2.0.1.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from data_platform.domain.errors import DamagedFileError, StorageError, WrongUseError
from data_platform.storage.atomic import publish_file
from data_platform.storage.catalog_sql import (
    TABLES,
    consensus_statement,
    macro_statement,
    pattern,
    text,
    view_statement,
)
from data_platform.storage.layout import CANDLES_FILE, Layout
from data_platform.storage.state import State
from data_platform.storage.state_frames import state_frames

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "2GB"

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


def build_catalog(root: Path, path: Path | None = None) -> Path:
    """Write the catalogue file, replacing the one that is there.

    Views over a layer without files are empty; build again once it has some.

    Args:
        root: the lake's folder.
        path: where to; None: `catalog.duckdb` in it.

    Returns:
        The file.

    Raises:
        StorageError: it cannot be written, or a stored file is no Parquet.
    """
    import duckdb

    target = path or Layout(root).catalog
    folder = root.absolute()

    def write(temporary: Path) -> None:
        with duckdb.connect(str(temporary)) as connection:
            for table in TABLES:
                connection.execute(macro_statement(table, folder))
                stored = _has_files(folder / table.layer)
                connection.execute(view_statement(table, folder, stored=stored))
            connection.execute(consensus_statement(folder))

    try:
        publish_file(write, target)
    except duckdb.Error as error:
        raise StorageError(f"cannot build the catalogue {target}: {_first_line(error)}") from error
    return target


def open_catalog(root: Path, state: State) -> "duckdb.DuckDBPyConnection":
    """Open a connection for people's SQL that can read the lake and nothing else.

    Besides the catalogue's macros and views it knows `gaps`, `quality` and `partitions` as the
    state database has them now. Close it after use.

    Args:
        root: the lake's folder.
        state: its state database.

    Raises:
        StorageError: the catalogue cannot be read or built.
    """
    import duckdb

    layout = Layout(root.absolute())
    if not _is_current(layout):
        build_catalog(layout.root)
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"ATTACH {text(str(layout.catalog))} AS lake (READ_ONLY)")
        for name, frame in state_frames(state).items():
            connection.register("incoming", frame)
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM incoming')  # noqa: S608  # our names
            connection.unregister("incoming")
        connection.execute("SET search_path = 'memory.main,lake.main'")
        # Globs are held against the list as they are spelt, files as they are called.
        allowed = ", ".join(text(spelt) for spelt in (str(layout.root), pattern(layout.root)))
        connection.execute(f"SET allowed_directories = [{allowed}]")
        for statement in _LOCKS:
            connection.execute(statement)
    except duckdb.Error as error:
        connection.close()
        raise StorageError(
            f"cannot open the catalogue {layout.catalog}: {_first_line(error)}"
        ) from error
    return connection


def select(connection: "duckdb.DuckDBPyConnection", sql: str) -> pl.DataFrame:
    """Return the answer to one SELECT.

    Args:
        connection: from `open_catalog`.
        sql: one statement that only reads.

    Raises:
        WrongUseError: it is no single SELECT, does not parse, or reads outside the lake.
        DamagedFileError: a stored file it reads is torn or not ours.
    """
    import duckdb

    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise WrongUseError(f"the query does not parse: {_first_line(error)}") from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        found = " and ".join(kinds) or "nothing"
        raise WrongUseError(f"expected one SELECT, found {found}; this door only reads.")
    try:
        return pl.DataFrame(connection.sql(statements[0]).to_arrow_table())
    except duckdb.Error as error:
        raise _told(error) from error


def _told(error: Exception) -> WrongUseError | DamagedFileError:
    message = _first_line(error)
    if "No files found" in message:
        return WrongUseError(f"nothing is stored that the query asks for: {message}")
    if CANDLES_FILE in message and "Permission" not in message:
        return DamagedFileError(
            f"{message}. Move the file away, then fetch or materialize that period again."
        )
    return WrongUseError(f"the query was refused: {message}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()


def _has_files(folder: Path) -> bool:
    return next(folder.rglob(CANDLES_FILE), None) is not None


def _is_current(layout: Layout) -> bool:
    import duckdb

    if not layout.catalog.exists():
        return False
    try:
        with duckdb.connect(str(layout.catalog), read_only=True) as connection:
            views = connection.execute(
                "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal"
            )
            reads = {name: "read_parquet" in sql for name, sql in views.fetchall()}
    except duckdb.Error:
        # Half a file, or one of another version: it holds nothing that cannot be made again.
        return False
    return all(
        reads.get(table.name, False) or not _has_files(layout.root / table.layer)
        for table in TABLES
    )
