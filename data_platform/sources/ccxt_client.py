"""One exchange through ccxt: its clock, its pairs, its candles; each request paced and retried.

Holds how one request is made; which requests, and in which order, is the walk's business.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Generic, TypeVar

import polars as pl

from data_platform.domain.candles import closed_before
from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
    UnknownPairError,
)
from data_platform.domain.markets import Series
from data_platform.sources.access import Access
from data_platform.sources.breaker import Breaker, BreakerStore, LeftAloneError, MemoryBreakers
from data_platform.sources.ccxt_exchange import REPLY, CcxtExchange, close_exchange, open_exchange
from data_platform.sources.clock import ExchangeClock
from data_platform.sources.delays import Delays
from data_platform.sources.faults import Reply, caught_errors, to_fault
from data_platform.sources.pages import Page, already_open, check_place, to_candles
from data_platform.sources.rate_budget import RateBudget, budget_file
from data_platform.sources.request_log import Pace

T = TypeVar("T")

_LONGEST_PAGE = 4_000_000
"""Bytes of an answer with candles; 1,500 candles take 0.3 MB at most."""


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """What is asked, and how; made anew for each attempt."""

    about: str
    """For messages: the series and time, or what is asked."""
    send: Callable[[], Awaitable[T]]
    cost: int = 1
    """Requests for candles that it counts as."""
    longest: int = Reply().longest
    """Bytes of the answer that are read at most."""
    patience: timedelta = timedelta(0)
    """How long it waits at most for an exchange that has stopped answering. A fetch that has begun
    may wait; one that begins then fails at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One valid answer."""

    candles: pl.DataFrame
    """All its rows: `CANDLE_SCHEMA`, sorted; also those outside the page."""
    sent_at: datetime
    """When its request was sent, by the exchange's clock."""


class CcxtClient:
    """Asks one exchange; lives in one asyncio loop."""

    def __init__(self, access: Access, breakers: BreakerStore | None = None) -> None:
        """Take how the exchange is reached, and where it is kept whether it answers at all.

        Without such a store this client alone remembers it.
        """
        self.access = access
        self.clock = ExchangeClock(self._fetch_time)
        self.candle_requests = 0
        self.faults: Counter[str] = Counter()
        """Attempts that failed, by the kind of error."""
        self.delays = Delays()
        pace = Pace.of(
            access.requests_per_minute,
            access.exchange.window_seconds,
            is_live=access.priority == "live",
        )
        longest_pause = access.retry.longest_refusal.total_seconds()
        self._budget = RateBudget(budget_file(access.budget_key), pace, longest_pause)
        self._breaker = Breaker(
            access.exchange.name,
            breakers or MemoryBreakers(),
            # One attempt's deadline, and the wait for its turn.
            probe_time=2 * access.timeout + access.retry.longest_pause,
        )
        self._places = asyncio.Semaphore(access.concurrency)
        self._opening = asyncio.Lock()
        self._exchange: CcxtExchange | None = None

    async def now(self) -> datetime:
        """Return the exchange's clock, UTC; measured now and then.

        Raises:
            SourceError: the exchange cannot be reached.
        """
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
                about, cost = (
                    f"{self.access.exchange.name}: its pairs",
                    self.access.exchange.pairs_cost,
                )
                await self._ask(Request(about, exchange.load_markets, cost))
            if not exchange.markets:
                # Every pair would look as if it had been delisted.
                raise GarbageError(
                    f"{self.access.exchange.name}: {self.access.address} lists no pair at all. "
                    "It will be asked again."
                )

    def is_traded(self, series: Series) -> bool:
        """Tell whether a pair that the exchange knows is traded there now."""
        markets = self._opened().markets or {}
        return markets.get(series.pair.symbol, {}).get("active") is not False

    def check(self, series: Series) -> None:
        """Refuse a series that no request can get; its pairs must have been loaded.

        Raises:
            UnknownPairError: the exchange has no such pair.
            PermanentError: it has no such timeframe.
        """
        exchange = self._opened()
        known, symbol = list(exchange.markets or ()), series.pair.symbol
        if symbol not in known:
            similar = ", ".join(get_close_matches(symbol, known)) or f"one of its {len(known)}"
            raise UnknownPairError(
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
            candles = already_open(to_candles(rows), sent_at, series.timeframe)
            closed_end = closed_before(sent_at, series.timeframe, self.access.grace)
            check_place(candles, page, meaning, closed_end, series.timeframe)
            return Answer(candles, sent_at)

        about = f"{series} from {page.start:%Y-%m-%d %H:%M} UTC"
        patience = self.access.patience
        return await self._ask(Request(about, request, longest=_LONGEST_PAGE, patience=patience))

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

        return await self._ask(Request(f"{self.access.exchange.name}: its clock", request))

    async def _ask(self, request: Request[T]) -> T:
        retry, began, attempt = self.access.retry, time.monotonic(), 1
        while True:
            pause = min(retry.pause * 2 ** (attempt - 1), retry.longest_pause).total_seconds()
            is_last = attempt >= retry.tries
            try:
                async with self._places:
                    is_probe = await self._breaker.enter(request.about, request.patience)
                    is_last = is_last or is_probe
                    with self._judged(began, is_last=is_last, is_probe=is_probe):
                        return await self._attempt(request, pause)
            except (PermanentError, LeftAloneError):
                raise
            except RefusedError as error:
                if is_last or error.until:
                    raise
            except (TransientError, GarbageError):
                if is_last:
                    raise
                # Full jitter, so that many clients do not come back at the same moment.
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - no secret
            attempt += 1

    @contextmanager
    def _judged(self, began: float, *, is_last: bool, is_probe: bool) -> Iterator[None]:
        """Tell the breaker how an attempt ended; `began` is when the first one of its request did.

        Only the last attempt's failure counts, and a ban, which ends all attempts.
        """
        is_told = False
        try:
            yield
            self._breaker.answered()
            is_told = True
        except SourceError as error:
            self.faults[error.kind] += 1
            is_banned = isinstance(error, RefusedError) and error.until is not None
            if isinstance(error, TransientError | RefusedError) and (is_last or is_banned):
                self._breaker.failed(error, began, is_probe=is_probe)
                is_told = True
            raise
        finally:
            if is_probe and not is_told:
                self._breaker.gave_up()

    async def _attempt(self, request: Request[T], pause: float) -> T:
        reply = Reply(longest=request.longest)
        try:
            turn = await self._budget.turn(request.cost)
            REPLY.set(reply)
            try:
                async with asyncio.timeout(2 * self.access.timeout.total_seconds()):
                    answer = await request.send()
                self.delays.note(reply.came_at and reply.came_at - turn.at)
                return answer
            finally:
                self._budget.answered(turn, reply.came_at and reply.came_at - turn.at)
        except SourceError as error:
            error.args = (f"{request.about}: {self.access.address}: {error}.",)
            raise
        except caught_errors() as error:
            fault = to_fault(error, reply, self.access, request.about)
        # Outside the handler: what the answer said, a key perhaps, must not hang on to the error.
        await self._heed(fault.error, fault.pause, pause)
        raise fault.error

    async def _heed(self, error: SourceError, asked: float | None, pause: float) -> None:
        """Hold everybody's requests as the exchange asks, or as a refusal without a word needs."""
        seconds = pause if asked is None and isinstance(error, RefusedError) else asked
        if seconds is None:
            return
        await self._budget.pause(seconds)
        if (
            isinstance(error, RefusedError)
            and seconds > self.access.retry.longest_refusal.total_seconds()
        ):
            error.until = datetime.now(UTC) + timedelta(seconds=seconds)
