import fcntl
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import data_platform.storage.state as state_module
from data_platform.domain.errors import StorageError
from data_platform.storage.state import State
from data_platform.storage.tables import COMMITS, GAPS, METADATA, QUALITY, REVISION, RUNS, VERDICTS
from data_platform_tests.read_only import run_powerless, unwritable

GOLDEN = Path(__file__).parents[1] / "golden"
"""`state_0001.sql` is sqlite3's own dump of a database that the program of 2026-11-25 made: two
commits of one partition and one gap; `state_0002.sql` one of 2026-11-28, with two verdicts and a
run besides."""

OPEN = """
import sys
import threading
from collections.abc import Callable
from data_platform.storage.state import State
State(sys.argv[1]).close()
print("alembic" in sys.modules)
"""


def open_in_processes(url: str, count: int) -> list[str]:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(count)
    ]
    outputs = [run.communicate()[0].decode() for run in runs]
    assert [run.returncode for run in runs] == [0] * count, outputs
    return outputs


def test_processes_may_open_a_new_database_at_once_and_a_current_one_without_alembic(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/deep/state.db"
    assert "True\n" in open_in_processes(url, 2)
    assert open_in_processes(url, 1) == ["False\n"]


def test_threads_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(State, [url] * 4))
    for state in states:
        with state.read() as connection:
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).all()
        assert [tuple(row) for row in found] == [(REVISION,)]
        state.close()


def test_the_revision_in_the_program_is_the_newest_migration() -> None:
    config = Config()
    folder = Path(state_module.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    State(url).close()
    before = schema_of(tmp_path / "state.db")
    State(url).close()
    assert schema_of(tmp_path / "state.db") == before
    assert {name for name, _ in before} >= set(METADATA.tables)


def schema_of(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return found


def test_a_migration_that_dies_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    real = state_module._upgrade

    def dies(connection: sa.Connection, found: str | None, where: str) -> None:
        real(connection, found, where)
        raise KeyboardInterrupt

    monkeypatch.setattr(state_module, "_upgrade", dies)
    with pytest.raises(KeyboardInterrupt):
        State(url)
    assert schema_of(tmp_path / "state.db") == []
    monkeypatch.setattr(state_module, "_upgrade", real)
    State(url).close()


@pytest.mark.parametrize(
    ("dump", "commits", "verdicts", "runs"),
    [
        ("state_0001.sql", [(1, "new"), (2, "correction")], [], []),
        (
            "state_0002.sql",
            [(1, "new"), (2, "extend")],
            [
                ("times_on_grid", "2024-01-01", 3, 0, '[{"open_time": "2024-01-01 00:30:00"}]'),
                ("times_unique", "2024-01-01", 0, 0, "[]"),
            ],
            [("run-1", 2)],
        ),
    ],
)
def test_an_older_database_is_brought_up_to_date_with_everything_in_it(
    tmp_path: Path,
    dump: str,
    commits: list[tuple[object, ...]],
    verdicts: list[tuple[object, ...]],
    runs: list[tuple[object, ...]],
) -> None:
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript((GOLDEN / dump).read_text())
    gaps = connection.execute("SELECT * FROM gaps").fetchall()
    connection.close()
    state = State(f"sqlite:///{path}")
    judged = [VERDICTS.c[name] for name in ("rule", "day", "count", "checked", "rows_json")]
    with state.read() as reading:
        assert all_of(reading, sa.select(COMMITS.c.version, COMMITS.c.reason)) == commits
        assert all_of(reading, sa.select(*judged).order_by(VERDICTS.c.rule)) == verdicts
        assert all_of(reading, sa.select(RUNS.c.run_id, RUNS.c.requests)) == runs
        assert all_of(reading, sa.select(GAPS)) == gaps
        assert all_of(reading, sa.select(QUALITY)) == []
        assert all_of(reading, sa.text("SELECT version_num FROM alembic_version")) == [(REVISION,)]
        assert compare_metadata(MigrationContext.configure(reading), METADATA) == []
    state.close()


def all_of(connection: sa.Connection, query: sa.Executable) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(query)]


def test_a_newest_database_can_go_back_and_forth(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript((GOLDEN / "state_0002.sql").read_text())
    before = connection.execute("SELECT * FROM quality").fetchall()
    connection.close()
    state = State(f"sqlite:///{path}")
    config = Config()
    config.set_main_option(
        "script_location", str(Path(state_module.__file__).parent / "migrations")
    )
    config.set_main_option("path_separator", "os")
    with state.write() as writing:
        config.attributes["connection"] = writing
        downgrade(config, "0002")
        assert all_of(writing, sa.text("SELECT * FROM quality")) == before
    state.close()
    State(f"sqlite:///{path}").close()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path, state_file: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(state_file.read_bytes())
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match=r"version 9999.*newer data-platform"):
        State(f"sqlite:///{path}")


def test_what_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"state\.db"):
        State(f"sqlite:///{tmp_path}/state.db")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot make the folder"):
        State(f"sqlite:///{tmp_path}/file/state.db")


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(StorageError, match="needs a file"):
        State("sqlite://")


@pytest.mark.parametrize("url", ["nowhere://me:canary@host/db", "sqlite+nowhere:///x.db"])
def test_a_driver_that_is_not_installed_is_named(url: str) -> None:
    with pytest.raises(StorageError, match=r"a driver that is not installed \(.*nowhere") as caught:
        State(url)
    assert "canary" not in str(caught.value)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    state = State(f"sqlite:///{tmp_path}/state.db")
    state._url = sa.make_url("postgresql://me:canary@host/db")
    assert "canary" not in str(state)
    state.close()


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    state = State(f"sqlite:///{tmp_path}/state.db")

    def fail() -> None:
        with state.write() as connection:
            connection.execute(sa.text("CREATE TABLE x (y INTEGER)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "x" not in {name for name, _ in schema_of(tmp_path / "state.db")}
    state.close()


def test_a_reader_sees_one_moment_and_does_not_hold_up_a_writer(tmp_path: Path) -> None:
    state = State(f"sqlite:///{tmp_path}/state.db")
    count = sa.text("SELECT count(*) FROM gaps")
    insert = sa.text(
        'INSERT INTO gaps (exchange, timeframe, pair, start, "end", missing, status, confirmed,'
        " evidence, tries) VALUES ('a', '1h', 'b', 0, 1, 1, 'open', 1, '', 0)"
    )
    with state.read() as reader:
        assert reader.execute(count).scalar() == 0
        with state.write() as writer:
            writer.execute(insert)
        assert reader.execute(count).scalar() == 0
    with state.read() as reader:
        assert reader.execute(count).scalar() == 1
    state.close()


def test_it_runs_in_wal_mode(tmp_path: Path) -> None:
    State(f"sqlite:///{tmp_path}/state.db").close()
    connection = sqlite3.connect(tmp_path / "state.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_writer_waits_for_the_other_before_it_reads(tmp_path: Path) -> None:
    # One that read first and wrote then would be refused at once when the other has written.
    state = State(f"sqlite:///{tmp_path}/state.db")
    seen: list[int] = []

    def write() -> None:
        with state.write() as connection:
            seen.append(connection.execute(sa.text("SELECT count(*) FROM inputs")).scalar_one())

    with state.write() as connection:
        other = started(write)
        other.join(0.1)
        assert other.is_alive()
        connection.execute(
            sa.text(
                "INSERT INTO inputs (commit_id, position, layer, exchange, timeframe, pair,"
                " content_hash) VALUES (1, 1, 'a', 'b', 'c', 'd', 'e')"
            )
        )
    other.join()
    assert seen == [1]
    state.close()


def test_a_new_database_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with (tmp_path / "state.db.migration.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other = started(lambda: State(url).close())
        other.join(0.1)
        assert other.is_alive()
        assert schema_of(tmp_path / "state.db") == []
    other.join()
    assert schema_of(tmp_path / "state.db") != []


SHOW = """
import sys
import sqlalchemy as sa
from data_platform.domain.errors import StorageError
from data_platform.storage.state import State
state = State(sys.argv[1])
with state.read() as connection:
    print(connection.execute(sa.text("SELECT count(*) FROM inputs")).scalar())
try:
    with state.write() as connection:
        connection.execute(sa.text("DELETE FROM inputs"))
except StorageError as error:
    print(error)
state.close()
"""


@pytest.mark.parametrize("is_open", [False, True], ids=["at rest", "with a log"])
def test_one_that_cannot_be_written_is_read(tmp_path: Path, *, is_open: bool) -> None:
    state = State(f"sqlite:///{tmp_path}/state.db")
    with state.write() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO inputs (commit_id, position, layer, exchange, timeframe, pair,"
                " content_hash) VALUES (1, 1, 'a', 'b', 'c', 'd', 'e')"
            )
        )
    copy = tmp_path / "a copy #1"
    copy.mkdir()
    if not is_open:
        state.close()
    for file in tmp_path.glob("state.db*"):
        shutil.copy(file, copy)
    assert (copy / "state.db-wal").exists() == is_open
    with unwritable(copy):
        done = run_powerless("-c", SHOW, f"sqlite:///{copy}/state.db")
    state.close()
    count, told = done.stdout.splitlines()
    assert count == "1", done
    assert told.startswith("cannot write the state database")
    assert "readonly" in told
