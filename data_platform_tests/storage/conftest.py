from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import open_store


@pytest.fixture
def store(root: Path) -> Iterator[PartitionStore]:
    store = open_store(root)
    yield store
    store.state.close()
