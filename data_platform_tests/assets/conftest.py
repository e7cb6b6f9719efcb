from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform_tests.small_line import SmallLine, copy_line, open_small_line


@pytest.fixture(scope="module")
def read_line(stored_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLine]:
    """Give a stored line that the tests of a module only read."""
    root = tmp_path_factory.mktemp("read")
    copy_line(stored_root, root)
    with open_small_line(root) as line:
        yield line
