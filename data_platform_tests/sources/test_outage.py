from datetime import timedelta

import pytest

from data_platform.sources import outage as outage_module
from data_platform.sources.outage import Outage


class Monotonic:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    fake = Monotonic()
    monkeypatch.setattr(outage_module, "time", fake)
    return fake


def test_many_failures_over_a_long_silence_are_hopeless(machine: Monotonic) -> None:
    outage = Outage(3, timedelta(seconds=60))
    for _ in range(3):
        outage.goes_on()
        assert not outage.is_hopeless
    machine.seconds += 60
    assert outage.is_hopeless
    outage.is_over()
    assert not outage.is_hopeless


def test_few_failures_are_not_hopeless_however_long(machine: Monotonic) -> None:
    outage = Outage(3, timedelta(seconds=60))
    outage.goes_on()
    machine.seconds += 6000
    outage.goes_on()
    assert not outage.is_hopeless


def test_an_answer_in_between_begins_the_count_anew(machine: Monotonic) -> None:
    outage = Outage(2, timedelta(seconds=60))
    outage.goes_on()
    machine.seconds += 100
    outage.is_over()
    outage.goes_on()
    outage.goes_on()
    assert not outage.is_hopeless
