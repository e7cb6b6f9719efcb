"""One exchange through ccxt: its clock, its pairs, its candles; each request paced and retried.

Holds how one request is made; which requests, and in which order, is the walk's business.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TypeVar

import polars as pl

from data_platform.domain.candles import closed_before
from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
)
from data_platform.domain.markets import Series
from data_platform.sources.access import Access
from data_platform.sources.ccxt_exchange import REPLY, CcxtExchange, close_exchange, open_exchange
from data_platform.sources.clock import ExchangeClock
from data_platform.sources.faults import Reply, caught_errors, retry_after, to_source_error
from data_platform.sources.outage import Outage
from data_platform.sources.pacing import Pacer
from data_platform.sources.pages import Page, check_place, to_candles

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """One valid answer."""

    candles: pl.DataFrame
    """All its rows: `CANDLE_SCHEMA`, sorted; also those outside the page."""
    sent_at: datetime
    """When its request was sent, by the exchange's clock."""


class CcxtClient:
    """Asks one exchange; lives in one asyncio loop."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.clock = ExchangeClock(self._fetch_time)
        self.candle_requests = 0
        longest_pause = access.retry.longest_refusal.total_seconds()
        self._pacer = Pacer(access.requests_per_minute, longest_pause)
        self._places = asyncio.Semaphore(access.concurrency)
        self._outage = Outage(access.concurrency, 2 * access.timeout)
        self._opening = asyncio.Lock()
        self._exchange: CcxtExchange | None = None

    async def now(self) -> datetime:
        """Return the exchange's clock, UTC; measured now and then.

        Raises:
            SourceError: the exchange cannot be reached.
        """
        self._outage.is_over()
        async with self._opening:
            self._opened()
            return await self.clock.now()

    async def load_pairs(self) -> None:
        """Fetch the exchange's pairs, once.

        Raises:
            SourceError: they cannot be had.
        """
        async with self._opening:
            exchange = self._opened()
            if not exchange.markets:
                await self._ask(f"{self.access.exchange.name}: its pairs", exchange.load_markets)

    def check(self, series: Series) -> None:
        """Refuse a series that no request can get; its pairs must have been loaded.

        Raises:
            PermanentError: the exchange has no such pair or timeframe.
        """
        exchange = self._opened()
        known, symbol = list(exchange.markets or ()), series.pair.symbol
        if symbol not in known:
            similar = ", ".join(get_close_matches(symbol, known)) or f"one of its {len(known)}"
            raise PermanentError(
                f"{series}: {self.access.address} does not know the pair {symbol}; correct "
                f"`pairs` in the config, perhaps to {similar}."
            )
        if series.timeframe.name not in exchange.timeframes:
            raise PermanentError(
                f"{series}: {self.access.address} has no {series.timeframe} candles (it has "
                f"{', '.join(exchange.timeframes)}); derive them from a finer timeframe by "
                "`derive` in the config, or remove the timeframe."
            )

    async def candles(self, series: Series, page: Page) -> Answer:
        """Fetch one page of candles of a series that `check` accepted.

        Raises:
            SourceError: every attempt failed, or no further attempt can help.
        """
        exchange, meaning = self._opened(), self.access.exchange.since_meaning
        since = int(page.start.timestamp() * 1000)
        # A limit would cut the answer of an exchange that gives the newest rows whatever is asked.
        count = series.timeframe.count(page.start, page.end)
        limit = None if meaning == "newest_only" else count

        async def request() -> Answer:
            self.candle_requests += 1
            sent_at = self.clock.estimate()
            rows = await exchange.fetch_ohlcv(
                series.pair.symbol, series.timeframe.name, since, limit
            )
            candles = to_candles(rows)
            closed_end = closed_before(sent_at, series.timeframe, self.access.grace)
            check_place(candles, page, meaning, closed_end)
            return Answer(candles, sent_at)

        return await self._ask(f"{series} from {page.start:%Y-%m-%d %H:%M} UTC", request)

    async def close(self) -> None:
        """Close the connections."""
        if self._exchange is not None:
            await close_exchange(self._exchange)

    def _opened(self) -> CcxtExchange:
        if self._exchange is None:
            self._exchange = open_exchange(self.access, self.clock.estimate)
        return self._exchange

    async def _fetch_time(self) -> datetime:
        exchange = self._opened()
        if not exchange.has.get("fetchTime"):
            return datetime.now(UTC)

        async def request() -> datetime:
            time = await exchange.fetch_time()
            if time is None:
                raise GarbageError("no time")
            return datetime.fromtimestamp(time / 1000, UTC)

        return await self._ask(f"{self.access.exchange.name}: its clock", request)

    async def _ask(self, about: str, request: Callable[[], Awaitable[T]]) -> T:
        if self._outage.is_hopeless:
            raise TransientError(
                f"{about}: not asked, because {self.access.address} has not answered any more. "
                "It will be asked again with the next fetch."
            )
        try:
            answer = await self._try(about, request)
        except TransientError:
            self._outage.goes_on()
            raise
        self._outage.is_over()
        return answer

    async def _try(self, about: str, request: Callable[[], Awaitable[T]]) -> T:
        attempt = 1
        while True:
            reply = Reply()
            try:
                return await self._attempt(about, request, reply)
            except PermanentError:
                raise
            except SourceError as error:
                if attempt >= self.access.retry.tries:
                    raise
                await self._wait(error, reply, attempt)
            attempt += 1

    async def _attempt(self, about: str, request: Callable[[], Awaitable[T]], reply: Reply) -> T:
        async with self._places:
            try:
                await self._pacer.turn()
                REPLY.set(reply)
                async with asyncio.timeout(2 * self.access.timeout.total_seconds()):
                    return await request()
            except (RefusedError, GarbageError) as error:
                raise type(error)(f"{about}: {self.access.address}: {error}.") from error
            except caught_errors() as error:
                raise to_source_error(error, reply, self.access, about) from error

    async def _wait(self, error: SourceError, reply: Reply, attempt: int) -> None:
        retry = self.access.retry
        longest = min(retry.pause * 2 ** (attempt - 1), retry.longest_pause).total_seconds()
        if isinstance(error, RefusedError):
            asked = retry_after(reply.headers)
            self._pacer.pause(longest if asked is None else asked)
        else:
            # Full jitter, so that many clients do not come back at the same moment.
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - no secret
