import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.domain.breaker import CLOSED, BreakerState
from data_platform.domain.errors import RefusedError, SourceError, TransientError
from data_platform.sources import breaker as breaker_module
from data_platform.sources.breaker import Breaker, BreakerStore, LeftAloneError, MemoryBreakers
from data_platform.storage.breakers import Breakers
from data_platform.storage.state import State

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LOST = TransientError("okx: HTTP 503")


@dataclass
class Venue:
    """The breakers of several processes over one store, at a time that a test sets."""

    store: BreakerStore = field(default_factory=MemoryBreakers)
    now: datetime = NOON

    def process(self, exchange: str = "okx") -> Breaker:
        return Breaker(exchange, self.store, probe_time=MINUTE, now=lambda: self.now)

    @property
    def state(self) -> BreakerState:
        return self.store.read("okx")


@pytest.fixture
def venue(root: Path, monkeypatch: pytest.MonkeyPatch) -> Venue:
    monkeypatch.setattr(breaker_module, "_FRESH", 0.0)
    return Venue(Breakers(State(f"sqlite:///{root / 'state.db'}")))


def enter(process: Breaker, patience: timedelta = timedelta(0)) -> bool:
    return asyncio.run(process.enter("okx/BTC-USDT/1m", patience))


def fail(process: Breaker, times: int = 1, error: SourceError = LOST) -> None:
    for _ in range(times):
        is_probe = enter(process)
        process.failed(error, time.monotonic(), is_probe=is_probe)


def is_refused(process: Breaker) -> bool:
    try:
        enter(process)
    except LeftAloneError:
        return True
    return False


def test_r16_three_failures_in_a_row_open_it_for_every_process(venue: Venue) -> None:
    first, second = venue.process(), venue.process()
    fail(first, 2)
    assert not is_refused(second)
    fail(second)
    for process in (first, second, venue.process()):
        assert is_refused(process)
    assert venue.state == BreakerState("open", 3, NOON, NOON + MINUTE, "okx: HTTP 503")


def test_r16_other_exchanges_are_not_concerned(venue: Venue) -> None:
    fail(venue.process(), 3)
    assert not is_refused(venue.process("binance"))


def test_r16_an_outage_of_ten_minutes_costs_few_requests_and_ends_by_itself(venue: Venue) -> None:
    """Four processes want to ask every second; another exchange is asked as ever."""
    processes, other = [venue.process() for _ in range(4)], venue.process("kraken")
    sent: list[int] = []
    for second in range(1200):
        for process in processes:
            try:
                is_probe = enter(process)
            except LeftAloneError:
                continue
            sent.append(second)
            if second < 600:
                process.failed(LOST, time.monotonic(), is_probe=is_probe)
            else:
                process.answered()
        assert not is_refused(other)
        venue.now += SECOND
    # Three open it; one tries after a minute, and after two, four and eight more.
    assert sent[:6] == [0, 0, 0, 60, 180, 420]
    assert sent[6] == 900
    assert sent[7:11] == [900, 900, 900, 901]
    assert venue.state.state == "closed"


def test_an_answer_in_between_begins_the_count_anew(venue: Venue) -> None:
    fail(venue.process(), 2)
    other = venue.process()
    enter(other)
    other.answered()
    assert venue.state == CLOSED
    fail(venue.process(), 2)
    assert not is_refused(venue.process())


def test_request_that_failed_while_another_was_answered_says_nothing(venue: Venue) -> None:
    process = venue.process()
    began = time.monotonic()
    enter(process)
    process.answered()
    for _ in range(10):
        process.failed(LOST, began, is_probe=False)
    assert venue.state == CLOSED


def test_r16_exactly_one_request_tries_when_the_pause_is_over(venue: Venue) -> None:
    processes = [venue.process() for _ in range(5)]
    fail(processes[0], 3)
    venue.now += MINUTE - SECOND
    assert all(is_refused(process) for process in processes)
    venue.now += SECOND
    assert enter(processes[3])
    assert all(is_refused(process) for process in processes)
    processes[3].answered()
    assert [enter(process) for process in processes] == [False] * 5


def test_two_that_see_the_pause_end_at_once_do_not_both_try(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = venue.process(), venue.process()
    fail(first, 3)
    assert is_refused(second)
    # Both believe what they have read before.
    monkeypatch.setattr(breaker_module, "_FRESH", 60.0)
    venue.now += MINUTE
    assert enter(first)
    assert is_refused(second)


def test_the_pause_doubles_up_to_a_quarter_of_an_hour(venue: Venue) -> None:
    process = venue.process()
    fail(process, 3)
    pauses = []
    for _ in range(7):
        until = venue.state.until
        assert until
        pauses.append((until - venue.now) // MINUTE)
        venue.now = until
        fail(process)
    assert pauses == [1, 2, 4, 8, 15, 15, 15]
    assert venue.state.opened_at == NOON


def test_requests_already_under_way_do_not_prolong_the_pause(venue: Venue) -> None:
    process = venue.process()
    fail(process, 3)
    venue.now += 30 * SECOND
    process.failed(LOST, time.monotonic(), is_probe=False)
    assert venue.state.until == NOON + MINUTE
    assert venue.state.failures == 3


def test_process_that_dies_while_it_tries_holds_the_others_for_its_time_only(
    venue: Venue,
) -> None:
    fail(venue.process(), 3)
    venue.now += MINUTE
    assert enter(venue.process())
    venue.now += MINUTE - SECOND
    assert is_refused(venue.process())
    venue.now += SECOND
    assert enter(venue.process())


def test_try_that_told_nothing_leaves_it_to_the_next(venue: Venue) -> None:
    process = venue.process()
    fail(process, 3)
    venue.now += MINUTE
    assert enter(process)
    process.gave_up()
    assert enter(venue.process())


def test_a_ban_opens_at_once_until_its_end(venue: Venue) -> None:
    until = NOON + timedelta(hours=2)
    fail(venue.process(), error=RefusedError("okx: HTTP 418", until=until))
    assert venue.state == BreakerState("open", 3, NOON, until, "okx: HTTP 418")
    venue.now = until - SECOND
    assert is_refused(venue.process())
    venue.now = until
    assert enter(venue.process())


def test_a_ban_during_an_outage_prolongs_it_and_never_shortens(venue: Venue) -> None:
    process = venue.process()
    fail(process, 3)
    for minutes, expected in ((30, 30), (10, 30)):
        ban = RefusedError("banned", until=NOON + minutes * MINUTE)
        process.failed(ban, time.monotonic(), is_probe=False)
        assert venue.state.until == NOON + expected * MINUTE


def test_refusal_names_what_was_asked_since_when_why_and_until_when(venue: Venue) -> None:
    fail(venue.process(), 3)
    with pytest.raises(LeftAloneError) as caught:
        enter(venue.process())
    assert str(caught.value) == (
        "okx/BTC-USDT/1m: not asked, because okx is not asked since 2024-03-01 12:00:00 UTC, "
        "until 2024-03-01 12:01:00 UTC: okx: HTTP 503"
    )


def test_clock_that_was_set_back_lets_one_request_try(venue: Venue) -> None:
    fail(venue.process(), 3)
    venue.now -= timedelta(days=300)
    assert enter(venue.process())
    assert is_refused(venue.process())


def test_patient_request_waits_for_the_end_of_the_pause(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_module, "FIRST_PAUSE", timedelta(seconds=0.3))
    fail(venue.process(), 3)
    began, start = datetime.now(UTC), venue.now
    patient = Breaker(
        "okx",
        venue.store,
        probe_time=MINUTE,
        now=lambda: start + (datetime.now(UTC) - began),
    )
    assert is_refused(patient)
    assert enter(patient, patience=SECOND)
    assert datetime.now(UTC) - began >= timedelta(seconds=0.3)


def test_store_is_read_once_a_second_and_not_for_each_request(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_module, "_FRESH", 0.2)
    process = venue.process()
    enter(process)
    fail(venue.process(), 3)
    assert not is_refused(process)
    time.sleep(0.2)
    assert is_refused(process)


def test_memory_keeps_exchanges_apart() -> None:
    store = MemoryBreakers()
    opened = BreakerState("open", 3, NOON, NOON + MINUTE, "gone")
    assert store.change("okx", lambda _: opened) == (CLOSED, opened)
    assert store.read("okx") == opened
    assert store.read("binance") == CLOSED
