"""A small line whose history is stored: made once, copied for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # Dagster takes seconds to import: only tests that need it pay.
    from data_platform_tests.small_line import SmallLine


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
