import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from data_platform.domain.errors import TransientError
from data_platform.sources import clock as clock_module
from data_platform.sources.clock import ExchangeClock

THERE = datetime(2024, 3, 1, 12, tzinfo=UTC)


class Monotonic:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    fake = Monotonic()
    monkeypatch.setattr(clock_module, "time", fake)
    return fake


def test_time_goes_on_between_measurements(machine: Monotonic) -> None:
    measured = []

    async def measure() -> datetime:
        measured.append(1)
        return THERE

    clock = ExchangeClock(measure)
    assert asyncio.run(clock.now()) == THERE
    machine.seconds += 299
    assert asyncio.run(clock.now()) == THERE + timedelta(seconds=299)
    assert len(measured) == 1
    machine.seconds += 2
    assert asyncio.run(clock.now()) == THERE
    assert len(measured) == 2


def test_slow_answer_makes_the_clock_late_and_never_early(machine: Monotonic) -> None:
    async def measure() -> datetime:
        machine.seconds += 20
        return THERE

    assert asyncio.run(ExchangeClock(measure).now()) == THERE


def test_estimate_before_any_measurement_is_the_machines() -> None:
    async def measure() -> datetime:
        raise TransientError("unreachable")

    clock = ExchangeClock(measure)
    assert abs(clock.estimate() - datetime.now(UTC)) < timedelta(seconds=2)
    with pytest.raises(TransientError):
        asyncio.run(clock.now())


def test_estimate_after_a_measurement_is_the_exchanges(machine: Monotonic) -> None:
    async def measure() -> datetime:
        return THERE

    clock = ExchangeClock(measure)
    asyncio.run(clock.now())
    machine.seconds += 1000
    assert clock.estimate() == THERE + timedelta(seconds=1000)
