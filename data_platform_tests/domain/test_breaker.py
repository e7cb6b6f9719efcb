from datetime import UTC, datetime, timedelta

from data_platform.domain.breaker import CLOSED, BreakerState

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
OPEN = BreakerState("open", 3, NOON, NOON + timedelta(minutes=1), "HTTP 503")


def test_it_is_open_from_its_opening_until_its_end() -> None:
    seconds = [at for at in (-1, 0, 59, 60, 61) if OPEN.is_open(NOON + timedelta(seconds=at))]
    assert seconds == [0, 59]
    assert not CLOSED.is_open(NOON)


def test_a_clock_that_was_set_back_does_not_prolong_it() -> None:
    wrong = BreakerState("open", 3, NOON + timedelta(days=400), NOON + timedelta(days=401), "")
    assert not wrong.is_open(NOON)


def test_its_line_names_exchange_since_cause_and_until() -> None:
    assert OPEN.spell("okx") == (
        "okx is not asked since 2024-03-01 12:00:00 UTC, until 2024-03-01 12:01:00 UTC: HTTP 503"
    )


def test_its_line_tells_when_one_request_is_under_way() -> None:
    half = BreakerState("half_open", 3, NOON, NOON + timedelta(minutes=1), "HTTP 503")
    assert "one request is under way to see, until 2024-03-01 12:01:00 UTC" in half.spell("okx")
