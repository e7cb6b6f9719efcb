"""The state database: how it is opened, brought up to date and entered.

Holds the door only: connections, transactions, migrations. Which statement belongs to which
meaning stands in `journal.py`, `ledger.py` and `verdicts.py`. SQLite in WAL mode takes four writing
processes at once when each transaction is short and begins as a writer; a transaction that turns
from reader to writer in its middle is refused at once, whatever the time-out. One that lies where
nothing can be written is read all the same.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from data_platform.domain.errors import StorageError
from data_platform.storage.tables import REVISION

BUSY_SECONDS = 60
"""How long a writer waits for the others."""

_WRITES = "data_platform_writes"
_SQLITE = "sqlite"


class State:
    """The open state database of one lake; safe to share between threads, not across a fork."""

    def __init__(self, url: str) -> None:
        """Open a database, making or migrating it when it is not current.

        Args:
            url: SQLAlchemy's URL, `sqlite:////absolute/data/state.db` on one machine.

        Raises:
            StorageError: it cannot be opened or made, or a newer version wrote it.
        """
        self._url = sa.make_url(url)
        self.is_read_only = _is_read_only(self._url)
        try:
            self._engine = sa.create_engine(self._url, **_engine_options(self._url))
        except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as error:
            raise StorageError(
                f"the state database {self} needs a driver that is not installed ({error}). "
                "Install it, or name another database by DATA_PLATFORM_STATE."
            ) from error
        self._writer = self._engine.execution_options(**{_WRITES: True})
        if self._url.get_backend_name() == _SQLITE:
            sa.event.listen(self._engine, "connect", _leave_transactions_to_us)
            sa.event.listen(self._engine, "begin", _begin)
            self._make_folder()
        if self._revision() != REVISION:
            self._migrate()

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one moment of the database and waits for nobody.

        Raises:
            StorageError: the database cannot be read.
        """
        with self._named("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection in one transaction: all of it is stored at the end, or nothing.

        Keep it short: other writers wait.

        Raises:
            StorageError: the database cannot be written.
        """
        with self._named("write"), self._writer.begin() as connection:
            yield connection

    def fault(self) -> str:
        """Return what the database itself finds wrong with its file, or '' (SQLite alone looks).

        Raises:
            StorageError: it cannot be read.
        """
        if self._url.get_backend_name() != _SQLITE:
            return ""
        with self.read() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        return "" if found == "ok" else str(found)

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _named(self, action: str) -> Iterator[None]:
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.DatabaseError) as error:
            raise StorageError(
                f"cannot {action} the state database {self}: {error.orig}. "
                "Check free space and permissions, then run the same again."
            ) from error

    def _make_folder(self) -> None:
        if self._url.database in (None, "", ":memory:"):
            raise StorageError(f"the state database {self} needs a file: several processes use it.")
        folder = Path(str(self._url.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot make the folder {folder}: {error.strerror}. "
                "Check DATA_PLATFORM_DATA and permissions."
            ) from error

    def _revision(self) -> str | None:
        with self.read() as connection:
            try:
                found = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
            except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
                if "alembic_version" in str(error.orig):
                    return None
                raise
            return found.scalar()

    def _migrate(self) -> None:
        with self._migration_lock():
            # Another process may have done it while this one waited.
            found = self._revision()
            if found == REVISION:
                return
            self._prepare()
            with self.write() as connection:
                _upgrade(connection, found, str(self))

    def _prepare(self) -> None:
        if self._url.get_backend_name() == _SQLITE:
            # Kept in the file for good; it cannot be set inside a transaction.
            with self._named("write"):
                raw = self._engine.raw_connection()
                try:
                    raw.cursor().execute("PRAGMA journal_mode=WAL")
                finally:
                    raw.close()

    @contextmanager
    def _migration_lock(self) -> Iterator[None]:
        if self._url.get_backend_name() != _SQLITE:
            # A server's own transactions order the migrations.
            yield
            return
        path = Path(f"{self._url.database}.migration.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StorageError(
                f"cannot make {path}: {error.strerror}. Check that the folder can be written."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def is_made(url: str) -> bool:
    """Tell whether a database is there, not an empty file; one on a server is taken to be."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != _SQLITE:
        return True
    path = _path(parsed)
    return path.is_file() and path.stat().st_size > 0


def state_file(url: str) -> Path | None:
    """Return the file of a database, or None of one on a server."""
    parsed = sa.make_url(url)
    return _path(parsed) if parsed.get_backend_name() == _SQLITE else None


def _path(url: sa.URL) -> Path:
    return Path(str(url.database)).absolute()


def _is_read_only(url: sa.URL) -> bool:
    path = _path(url)
    if url.get_backend_name() != _SQLITE or not path.is_file():
        return False
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _engine_options(url: sa.URL) -> dict[str, object]:
    if url.get_backend_name() != _SQLITE:
        return {"pool_pre_ping": True}
    if _is_read_only(url):
        return {"creator": lambda: _connect_read_only(_path(url))}
    return {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False}}


def _connect_read_only(path: Path) -> sqlite3.Connection:
    # WAL mode makes two files beside the database even for a reader, unless the database is said
    # to be immutable; then a log that is there would be passed over (sqlite 3.40.1, 2026-11-25).
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    uri = f"file:{quote(str(path))}?mode=ro{'' if has_log else '&immutable=1'}"
    return sqlite3.connect(uri, timeout=BUSY_SECONDS, check_same_thread=False, uri=True)


def _leave_transactions_to_us(raw: object, _record: object) -> None:
    # The driver's own habit is to begin late, as a reader.
    raw.isolation_level = None  # type: ignore[attr-defined]


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _upgrade(connection: sa.Connection, found: str | None, where: str) -> None:
    from alembic.command import upgrade
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if found is not None and found not in known:
        raise StorageError(
            f"the state database {where} has version {found}, this program knows up to "
            f"{REVISION}: a newer data-platform wrote it. Install that version or newer."
        )
    config.attributes["connection"] = connection
    upgrade(config, "head")
