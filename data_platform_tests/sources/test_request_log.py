import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.domain.exchanges import exchange_row
from data_platform.sources.request_log import (
    CATCH_UP,
    CLOSEST,
    HOLD,
    LENGTH,
    LONGEST_DELAY,
    Pace,
    RequestLog,
)

# okx: 20 requests in 2 s.
BACKFILL = Pace(20, 2.0, is_live=False)
LIVE = Pace(20, 2.0, is_live=True)
STEP = 0.1
NOON = 1_709_294_400.0


def most_within(times: list[float], seconds: float) -> int:
    """Return the most that any stretch holds, its end not included, as a server counts."""
    return max(sum(start <= other < start + seconds - 1e-9 for other in times) for start in times)


def test_a_rate_is_kept_over_whole_requests_and_as_long_as_the_log_suffices() -> None:
    assert Pace.of(600, 1.0, is_live=False) == Pace(10, 1.0, is_live=False)
    assert Pace.of(588, 2.0, is_live=True).most == 20
    assert Pace.of(588, 2.0, is_live=True).window == pytest.approx(2.0408, abs=1e-4)
    assert Pace.of(50, 1.0, is_live=False) == Pace(1, 1.2, is_live=False)
    assert Pace.of(10, 1.0, is_live=False) == Pace(1, 6.0, is_live=False)
    assert Pace.of(600_000, 5.0, is_live=False) == Pace(1000, 0.1, is_live=False)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.3), st.floats(0, 0.9 * LONGEST_DELAY), st.booleans(), st.integers(1, 5)
        ),
        min_size=60,
        max_size=120,
    )
)
def test_no_window_holds_too_many_whoever_asks_and_however_late_they_arrive(
    asked: list[tuple[float, float, bool, int]],
) -> None:
    log, now, arrivals, answers = RequestLog(), 100.0, [], []
    for pause, delay, is_live, cost in asked:
        wait = log.ask(LIVE if is_live else BACKFILL, cost, now)
        if not wait:
            arrivals += [now + delay] * cost
            answers.append((now + delay, range(log.count - cost, log.count), now, delay))
            wait = pause / 10
        now += wait
        # Answers come at once when a request has arrived, and tell how late it was.
        for answer in [each for each in answers if each[0] <= now]:
            log.delayed(*answer[1:])
            answers.remove(answer)
    # Several that count as one request arrive together.
    assert most_within(arrivals, 2.0) <= 20


@pytest.mark.parametrize("late", [0.0, 0.01, 0.04])
def test_whoever_comes_back_when_told_gets_the_full_rate_though_he_wakes_late(
    late: float,
) -> None:
    log, now, granted = RequestLog(), 100.0, 0
    while now < 160.0:
        wait = log.ask(BACKFILL, 1, now)
        granted += not wait
        now += wait + late if wait else 0.0
    assert granted >= 0.98 * 600


def test_idle_time_saves_up_no_burst() -> None:
    log = RequestLog()
    log.ask(BACKFILL, 1, 100.0)
    assert log.ask(BACKFILL, 1, 190.0) == 0
    assert log.ask(BACKFILL, 1, 190.0) == pytest.approx(CLOSEST * STEP - CATCH_UP)
    assert log.ask(BACKFILL, 1, 190.0 + CLOSEST * STEP) == 0
    assert log.ask(BACKFILL, 1, 190.0 + CLOSEST * STEP) == pytest.approx(CLOSEST * STEP - CATCH_UP)


# As each exchange documents its limit: requests in so many seconds, in any such stretch.
DOCUMENTED = [
    ("binance", 3000, 60.0),
    ("bybit", 600, 5.0),
    ("coinbase", 15, 1.0),
    ("okx", 20, 2.0),
]


@pytest.mark.parametrize(("exchange", "allowed", "seconds"), DOCUMENTED)
def test_rate_of_every_row_keeps_within_what_the_exchange_allows_and_uses_it(
    exchange: str, allowed: int, seconds: float
) -> None:
    log, now, granted = RequestLog(), 100.0, []
    row = exchange_row(exchange)
    pace = Pace.of(row.requests_per_minute, row.window_seconds, is_live=False)
    # The list of pairs first, then as many as there may be.
    log.ask(pace, row.pairs_cost, now)
    while now < 100.0 + 3 * seconds:
        wait = log.ask(pace, 1, now)
        if not wait:
            granted.append(now)
        now += wait + 0.003 if wait else 0.0
    assert most_within(granted, seconds) <= allowed
    a_second = 10 if exchange == "coinbase" else allowed / seconds
    assert len(granted) >= 0.95 * a_second * 3 * seconds - row.pairs_cost


def test_costly_request_takes_as_many_places() -> None:
    log = RequestLog()
    assert log.ask(BACKFILL, 15, 100.0) == 0
    assert log.ask(BACKFILL, 10, 101.0) == pytest.approx(1.0)
    assert log.ask(BACKFILL, 5, 101.0) == 0
    assert log.ask(BACKFILL, 1, 101.9) == pytest.approx(0.1)


def test_request_that_costs_more_than_a_window_holds_takes_a_whole_one() -> None:
    log = RequestLog()
    assert log.ask(BACKFILL, 1000, 100.0) == 0
    assert log.ask(BACKFILL, 1, 101.0) == pytest.approx(1.0)


def test_request_that_arrived_late_holds_its_place_for_as_much_longer() -> None:
    log = RequestLog()
    assert log.ask(BACKFILL, 20, 100.0) == 0
    log.delayed(range(1), 100.0, 0.2)
    assert log.ask(BACKFILL, 1, 102.0) == pytest.approx(0.2)
    # Where answers take that long, it is the exchange that takes the time.
    log.delayed(range(1), 100.0, 5.0)
    assert log.ask(BACKFILL, 1, 102.0) == pytest.approx(LONGEST_DELAY)


def test_delay_of_a_request_long_gone_changes_nothing() -> None:
    log = RequestLog(count=5000)
    before = log.pack()
    log.delayed(range(3000, 3001), 100.0, 0.2)
    log.delayed(range(5000, 5002), 100.0, 0.2)
    assert log.pack() == before


def test_live_request_takes_the_next_slot_from_everybody() -> None:
    log = RequestLog()
    log.ask(BACKFILL, 1, 100.0)
    due = 100.0 + log.ask(LIVE, 1, 100.0)
    assert due == pytest.approx(100.0 + CLOSEST * STEP - CATCH_UP)
    assert log.ask(BACKFILL, 1, due) > 0
    assert log.ask(LIVE, 1, due + 0.03) == 0
    assert log.ask(BACKFILL, 1, due + 0.03 + STEP) == 0


def test_live_request_that_died_waiting_holds_a_slot_for_a_moment_only() -> None:
    log = RequestLog()
    log.ask(BACKFILL, 1, 100.0)
    due = 100.0 + log.ask(LIVE, 1, 100.0)
    assert log.ask(BACKFILL, 1, due) == pytest.approx(HOLD)
    assert log.ask(BACKFILL, 1, due + HOLD + 1e-6) == 0


@pytest.mark.parametrize("left_behind", [1e3, 1e9, float("inf")])
def test_what_another_boot_left_behind_does_not_block(left_behind: float) -> None:
    for pace in (BACKFILL, LIVE):
        log = RequestLog(count=4000, next_at=left_behind, live_until=left_behind)
        for place in range(len(log.arrivals)):
            log.arrivals[place] = left_behind
        assert log.ask(pace, 1, 100.0) == 0


@given(st.floats(-1e6, 1e6))
def test_a_step_of_the_wall_clock_neither_shortens_nor_prolongs_a_pause(step: float) -> None:
    log = RequestLog()
    log.pause_for(60.0, now=100.0, wall=NOON)
    assert log.pause_left(130.0, NOON + 30 + step) == pytest.approx(30.0)


def test_a_pause_outlives_the_boot_by_the_wall_clock_and_never_exceeds_itself() -> None:
    log = RequestLog()
    log.pause_for(600.0, now=5000.0, wall=NOON)
    assert log.pause_left(20.0, NOON + 100) == pytest.approx(500.0)
    assert log.pause_left(20.0, NOON + 700) < 0
    assert log.pause_left(20.0, NOON - 1e6) == pytest.approx(600.0)


def test_a_shorter_pause_changes_nothing() -> None:
    log = RequestLog()
    log.pause_for(60.0, now=100.0, wall=NOON)
    log.pause_for(5.0, now=101.0, wall=NOON + 1)
    assert log.pause_left(101.0, NOON + 1) == pytest.approx(59.0)
    log.pause_for(90.0, now=101.0, wall=NOON + 1)
    assert log.pause_left(101.0, NOON + 1) == pytest.approx(90.0)


def test_log_survives_its_way_through_the_file() -> None:
    log = RequestLog()
    for number in range(2000):
        log.ask(BACKFILL, 1, 100.0 + number)
    log.pause_for(60.0, now=3000.0, wall=NOON)
    log.ask(LIVE, 1, 2099.5)
    content = log.pack()
    assert len(content) == LENGTH
    assert RequestLog.unpack(content) == log


@pytest.mark.parametrize("content", [b"", b"requests", b"\xff" * LENGTH, b"requests" * 3000])
def test_anything_else_is_an_empty_log(content: bytes) -> None:
    assert RequestLog.unpack(content) == RequestLog()
