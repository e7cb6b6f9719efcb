import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from data_platform.domain.errors import PermanentError, TransientError
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.sources.access import Access, Priority
from data_platform.sources.ccxt_client import CcxtClient, Request
from data_platform.sources.pages import Page
from data_platform.sources.rate_budget import budget_file
from data_platform.sources.request_log import RequestLog
from data_platform_tests.sources.wire import (
    LISTED,
    MINUTE,
    NOW,
    Reply,
    Wire,
    access_to,
    ms,
    wire_server,
)

T = TypeVar("T")

SERIES = Series("binance", Pair("BTC/USDT"), to_timeframe("1m"))
START = datetime(2024, 2, 20, tzinfo=UTC)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wire_server() as server:
        yield server


def run(access: Access, use: Callable[[CcxtClient], Awaitable[T]]) -> T:
    async def within() -> T:
        client = CcxtClient(access)
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(within())


def test_page_asks_for_exactly_its_rows_and_gives_all_that_came(wire: Wire) -> None:
    page = Page(LISTED - 30 * MINUTE, LISTED - 20 * MINUTE)
    answer = run(access_to(wire.url), lambda client: client.candles(SERIES, page))
    assert wire.queries[0]["startTime"] == str(ms(page.start))
    assert wire.queries[0]["limit"] == "10"
    assert answer.candles["open_time"].to_list() == [LISTED + MINUTE * i for i in range(10)]


def test_clock_is_asked_once_for_many_looks(wire: Wire) -> None:
    async def look(client: CcxtClient) -> datetime:
        return max(await asyncio.gather(*(client.now() for _ in range(20))))

    assert NOW <= run(access_to(wire.url), look) < NOW + timedelta(seconds=5)
    assert wire.paths == ["/api/v3/time"]


def test_pairs_are_fetched_once(wire: Wire) -> None:
    async def twice(client: CcxtClient) -> None:
        await asyncio.gather(client.load_pairs(), client.load_pairs())
        client.check(SERIES)

    run(access_to(wire.url), twice)
    assert wire.paths == ["/api/v3/exchangeInfo"]


def test_misspelt_pair_is_refused_with_the_nearest(wire: Wire) -> None:
    async def check(client: CcxtClient) -> None:
        await client.load_pairs()
        client.check(Series("binance", Pair("BTC/USD"), to_timeframe("1m")))

    with pytest.raises(PermanentError, match=r"BTC/USD; correct .* perhaps to BTC/USDT"):
        run(access_to(wire.url), check)


def test_every_attempt_is_counted(wire: Wire) -> None:
    wire.always = lambda _query: Reply("{}", status=503)

    async def ask(client: CcxtClient) -> int:
        with pytest.raises(TransientError):
            await client.candles(SERIES, Page(START, START + MINUTE))
        return client.candle_requests

    assert run(access_to(wire.url), ask) == 3
    assert len(wire.queries) == 3


def test_deadline_does_not_count_the_wait_for_a_turn(wire: Wire) -> None:
    # A busy machine answers late: the deadline is two seconds, and the wait longer still.
    access = access_to(wire.url, timeout=1)
    page = Page(START, START + MINUTE)

    async def ask(client: CcxtClient) -> dict[str, int]:
        await client.now()
        await client._budget.pause(2.5)
        await client.candles(SERIES, page)
        return dict(client.faults)

    assert run(access, ask) == {}
    assert len(wire.queries) == 1


def log_of(access: Access) -> RequestLog:
    return RequestLog.unpack(budget_file(access.budget_key).read_bytes())


def test_every_request_counts_against_the_budget_and_the_list_of_pairs_for_ten(wire: Wire) -> None:
    access = access_to(wire.url)

    async def ask(client: CcxtClient) -> None:
        await client.load_pairs()
        assert log_of(access).count == 10
        await client.candles(SERIES, Page(START, START + MINUTE))
        assert log_of(access).count == 11

    run(access, ask)


def test_request_whose_answer_is_late_is_taken_to_have_arrived_late(wire: Wire) -> None:
    access = access_to(wire.url)

    async def ask(client: CcxtClient) -> float:
        await client.load_pairs()
        await client.candles(SERIES, Page(START, START + MINUTE))
        wire.slow = 0.2
        asked_at = time.monotonic()
        await client.candles(SERIES, Page(START, START + MINUTE))
        return asked_at

    asked_at = run(access, ask)
    assert log_of(access).arrivals[11] >= asked_at + 0.15


@pytest.mark.parametrize(("priority", "is_kept"), [("live", True), ("backfill", False)])
def test_only_a_live_source_keeps_the_next_slot_for_itself(
    wire: Wire, priority: Priority, *, is_kept: bool
) -> None:
    access = replace(access_to(wire.url), priority=priority, requests_per_minute=60)

    async def ask(client: CcxtClient) -> bool:
        await client.now()
        waiting = asyncio.create_task(client.load_pairs())
        await asyncio.sleep(0.2)
        is_marked = log_of(access).live_until > time.monotonic()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return is_marked

    assert run(access, ask) is is_kept


def test_r33_request_that_never_ends_is_given_up_after_twice_its_timeout(wire: Wire) -> None:
    async def endless() -> None:
        await asyncio.sleep(30)

    async def ask(client: CcxtClient) -> None:
        await client._attempt(Request("its clock", endless), 0)

    started = datetime.now(UTC)
    with pytest.raises(TransientError, match="did not answer in time"):
        run(access_to(wire.url, timeout=0.1), ask)
    assert timedelta(seconds=0.2) <= datetime.now(UTC) - started < timedelta(seconds=10)
