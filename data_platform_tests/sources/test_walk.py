import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import empty_candles
from data_platform.domain.errors import TransientError
from data_platform.domain.exchanges import Exchange, exchange_row
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
OKX = replace(BINANCE, since_meaning="window")
NEWEST = replace(BINANCE, since_meaning="newest_only", history_candles=700, page_size=700)
CLOSED_END = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wire_server() as server:
        yield server


def walk(
    wire: Wire, start: datetime, end: datetime, *, page_size: int = 10, row: Exchange = BINANCE
) -> list[FetchResult]:
    source = CcxtSource(access_to(wire.url, replace(row, page_size=page_size)))
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


def half_of(wire: Wire, query: Query, share: float = 0.4) -> Reply:
    """Answer validly with the first part of the rows only."""
    rows = wire.rows(query)
    return Reply(json.dumps(rows[: int(len(rows) * share)]))


def window_of(wire: Wire, query: Query) -> list[list[object]]:
    """Return the rows that an exchange would whose answers end with their window."""
    end = int(query["startTime"]) + int(query["limit"]) * 60_000
    return [row for row in wire.rows(query) if int(str(row[0])) < end]


@pytest.mark.parametrize("page", [0, 100, 400])
def test_r17_half_a_page_is_asked_on_from_its_last_candle(wire: Wire, page: int) -> None:
    once = [str(ms(START + MINUTE * page))]

    def odd(query: Query) -> Reply | None:
        return half_of(wire, query) if query["startTime"] in once and once.pop() else None

    wire.always = odd
    results = walk(wire, START, START + MINUTE * 500, page_size=100)
    assert sum(result.candles.height for result in results) == 500
    assert [query["startTime"] for query in wire.queries if query["limit"] == "60"] == [
        str(ms(START + MINUTE * (page + 40)))
    ]
    assert len(wire.queries) == 6


def test_r17_server_that_halves_every_answer_loses_nothing(wire: Wire) -> None:
    wire.always = lambda query: half_of(wire, query, 0.5) if int(query["limit"]) > 4 else None
    results = walk(wire, START, START + MINUTE * 640, page_size=64)
    times = pl.concat([result.candles for result in results])["open_time"].to_list()
    assert times == [START + MINUTE * number for number in range(640)]


def test_r17_page_that_is_empty_by_mistake_is_asked_again(wire: Wire) -> None:
    once = [str(ms(START + MINUTE * 200))]

    def odd(query: Query) -> Reply | None:
        return Reply("[]") if query["startTime"] in once and once.pop() else None

    wire.always = odd
    results = walk(wire, START, START + MINUTE * 500, page_size=100)
    assert sum(result.candles.height for result in results) == 500
    assert len(wire.queries) == 6


def test_r17_window_that_lost_its_older_rows_is_asked_for_them(wire: Wire) -> None:
    # Servers that answer newest first and send at most 100 rows.
    wire.always = lambda query: Reply(json.dumps(window_of(wire, query)[-100:]))
    results = walk(wire, START, START + MINUTE * 900, page_size=300, row=OKX)
    assert sum(result.candles.height for result in results) == 900
    assert len(wire.queries) == 9


def test_series_that_has_ended_costs_few_requests_more(wire: Wire) -> None:
    ended = str(ms(START + MINUTE * 150))
    wire.always = lambda query: Reply("[]") if query["startTime"] >= ended else None
    results = walk(wire, START, START + MINUTE * 5000, page_size=10)
    assert {result.window.outcome for result in results} == {"answered"}
    assert sum(result.candles.height for result in results) == 150
    # One request in a hundred, two for nothing, and what was in flight by then.
    assert 500 <= len(wire.queries) <= 500 * 1.01 + 2 + 4 * 4


def test_hole_that_is_told_twice_is_believed(wire: Wire) -> None:
    hole = (START + MINUTE * 250, START + MINUTE * 310)
    wire.missing = (hole,)
    wire.always = lambda query: Reply(json.dumps(window_of(wire, query)))
    results = walk(wire, START, START + MINUTE * 600, page_size=300, row=OKX)
    assert sum(result.candles.height for result in results) == 540
    # Both pages miss an edge.
    assert len(wire.queries) == 4


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
