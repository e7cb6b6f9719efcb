import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State
from data_platform_tests.storage.lake import open_store


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


@pytest.fixture
def store(root: Path) -> Iterator[PartitionStore]:
    store = open_store(root)
    yield store
    store.state.close()
