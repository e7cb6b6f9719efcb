"""What tests of several rooms share: made once, copied for each test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data_platform.storage.state import State

if TYPE_CHECKING:
    # Dagster takes seconds to import: only tests that need it pay.
    from data_platform_tests.small_line import SmallLine

MEMORY = Path("/dev/shm")  # noqa: S108  # pytest makes a folder of its own below it
MEMORY_NEEDED = 4 << 30


def pytest_configure(config: pytest.Config) -> None:
    """Put what tests write into memory where there is room for it.

    SQLite flushes each event of each run: on a disk the whole suite took 633 s by two workers, in
    memory 507 s, with 346 tests more. Tests that take minutes stay on the disk, where a flush is
    one; so does everything when TMPDIR says where it goes.
    """
    short = "not slow" in config.getoption("markexpr")
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_NEEDED
    if short and roomy and "TMPDIR" not in os.environ:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the temporary files of machines; made before any test moves them."""
    return tmp_path_factory.mktemp("machines")


@pytest.fixture(autouse=True)
def own_machine(machines: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test rate budgets of its own: they lie in the machine's temporary folder.

    A later test may listen on the port that an earlier one's exchange has banned.
    """
    with tempfile.TemporaryDirectory(dir=machines, prefix="") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def state_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Migrations take 0.1 s: made once, copied for each test.
    path = tmp_path_factory.mktemp("state") / "state.db"
    State(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def root(tmp_path: Path, state_file: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    shutil.copy(state_file, root / "state.db")
    return root


@pytest.fixture(scope="session")
def stored_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a line of which everything is stored; nobody has it open."""
    from data_platform_tests.small_line import open_small_line

    root = tmp_path_factory.mktemp("line")
    with open_small_line(root) as line:
        assert line.materialize().success
    return root


@pytest.fixture
def stored_line(stored_root: Path, tmp_path: Path) -> Iterator["SmallLine"]:
    """Give a line of which everything is stored, in a folder of its own."""
    from data_platform_tests.small_line import copy_line, open_small_line

    copy_line(stored_root, tmp_path)
    with open_small_line(tmp_path) as line:
        yield line


@pytest.fixture
def empty_line(tmp_path: Path) -> Iterator["SmallLine"]:
    """Give a line of which nothing is stored."""
    from data_platform_tests.small_line import open_small_line

    with open_small_line(tmp_path) as line:
        yield line
