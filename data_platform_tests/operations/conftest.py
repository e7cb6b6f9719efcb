from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.operations.lake import Lake
from data_platform.simulator.server import run_simulator
from data_platform_tests.factories import lake_at
from data_platform_tests.operations.venues import Venues, simulator_config


@pytest.fixture
def lake(root: Path) -> Iterator[Lake]:
    lake = lake_at(root)
    yield lake
    lake.state.close()


@pytest.fixture(scope="session")
def running_venues() -> Iterator[Venues]:
    config, clock = simulator_config()
    with run_simulator(config) as simulator:
        yield Venues(simulator, clock)


@pytest.fixture
def venues(running_venues: Venues) -> Iterator[Venues]:
    running_venues.rewind()
    yield running_venues
    running_venues.rewind()
