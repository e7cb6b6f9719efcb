from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from data_platform.domain.candles import empty_candles
from data_platform.domain.errors import TransientError
from data_platform.domain.exchanges import exchange_row
from data_platform.sources.base import FetchResult
from data_platform.sources.ccxt_source import CcxtSource
from data_platform.sources.pages import Page
from data_platform.sources.walk import answered, failed
from data_platform_tests.sources.wire import (
    MINUTE,
    NOW,
    Query,
    Reply,
    Wire,
    access_to,
    ms,
    request_of,
    wire_server,
)

START = datetime(2024, 2, 20, tzinfo=UTC)
BINANCE = exchange_row("binance")
NEWEST = replace(BINANCE, since_meaning="newest_only", history_candles=700, page_size=700)
CLOSED_END = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wire_server() as server:
        yield server


def walk(wire: Wire, start: datetime, end: datetime, *, page_size: int = 10) -> list[FetchResult]:
    source = CcxtSource(access_to(wire.url, replace(BINANCE, page_size=page_size)))
    try:
        return list(source.fetch([request_of(start, end)]))
    finally:
        source.close()


def walk_newest(wire: Wire, start: datetime, end: datetime) -> tuple[list[FetchResult], int]:
    source = CcxtSource(access_to(wire.url, NEWEST))
    try:
        return list(source.fetch([request_of(start, end)])), source.requests_made
    finally:
        source.close()


def test_first_page_goes_alone(wire: Wire) -> None:
    wire.slow = 0.1
    seen: list[int] = []

    def note(_query: Query) -> None:
        seen.append(len(wire.queries))

    wire.always = note
    walk(wire, START, START + MINUTE * 50)
    assert seen[0] == 1
    assert len(wire.queries) == 5


def test_slow_first_pages_do_not_change_the_order(wire: Wire) -> None:
    late = {str(ms(START + MINUTE * minutes)) for minutes in (10, 20)}

    def dawdle(query: Query) -> Reply | None:
        if query["startTime"] in late:
            late.discard(query["startTime"])
            return Reply("{}", status=503)
        return None

    wire.always = dawdle
    results = walk(wire, START, START + MINUTE * 100)
    assert [result.window.start for result in results] == [
        START + MINUTE * 10 * index for index in range(10)
    ]
    assert {result.window.outcome for result in results} == {"answered"}


def test_failed_pages_leave_their_neighbours_answered(wire: Wire) -> None:
    bad = {str(ms(START + MINUTE * minutes)) for minutes in (0, 50, 60)}
    wire.always = lambda query: Reply("", 200) if query["startTime"] in bad else None
    results = walk(wire, START, START + MINUTE * 100)
    failures = [r.window.start for r in results if r.window.outcome == "failed"]
    assert failures == [START + MINUTE * minutes for minutes in (0, 50, 60)]
    assert sum(result.candles.height for result in results) == 70


def test_newest_only_calls_what_is_before_its_first_row_unavailable(wire: Wire) -> None:
    depth_start = CLOSED_END - MINUTE * 699
    wire.always = lambda _query: Reply(rows_text(wire, depth_start))
    results, made = walk_newest(wire, START, CLOSED_END + MINUTE)
    assert made == 1
    assert [(r.window.outcome, r.window.start, r.window.end) for r in results] == [
        ("unavailable", START, depth_start),
        ("answered", depth_start, CLOSED_END),
    ]
    assert results[1].candles.height == 699


def test_newest_only_with_a_short_history_is_answered_whole(wire: Wire) -> None:
    listed = CLOSED_END - MINUTE * 30
    wire.always = lambda _query: Reply(rows_text(wire, listed))
    results, _ = walk_newest(wire, START, CLOSED_END)
    assert [(r.window.outcome, r.window.start, r.window.end) for r in results] == [
        ("answered", START, CLOSED_END)
    ]
    assert results[0].candles.height == 30


def test_newest_only_is_asked_without_a_limit_that_would_cut_it(wire: Wire) -> None:
    walk_newest(wire, CLOSED_END - MINUTE * 5, CLOSED_END)
    # Without one, ccxt sends its own default for binance, which is more than was asked for.
    assert wire.queries[0]["limit"] == "500"


def test_newest_only_that_fails_is_unavailable_before_its_reach(wire: Wire) -> None:
    wire.always = lambda _query: Reply("", 200)
    results, made = walk_newest(wire, START, CLOSED_END)
    assert made == 3
    reach = CLOSED_END - MINUTE * 700
    assert [(r.window.outcome, r.window.start, r.window.end) for r in results] == [
        ("unavailable", START, reach),
        ("failed", reach, CLOSED_END),
    ]


def test_results_say_what_became_of_their_part() -> None:
    request, page = request_of(START, CLOSED_END), Page(START, START + timedelta(hours=1))
    error = TransientError("later")
    assert failed(request, page, NOW, error).window.error is error
    assert answered(request, page, NOW, empty_candles()).window.outcome == "answered"


def rows_text(wire: Wire, start: datetime) -> str:
    rows = wire.rows({"startTime": str(ms(start)), "limit": "1000"})
    return str(rows).replace("'", '"')
