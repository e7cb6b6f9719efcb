"""Candles of any exchange that ccxt knows, as a plain iterator.

Holds the face of the source: an asyncio loop in one thread of its own, and which requests are
walked at once. Many pages of many requests are in flight together, under the exchange's rate;
every window comes out in time order within its request; pages that the consumer has not taken
yet are bounded, whatever the range.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from data_platform.domain.candles import closed_before
from data_platform.domain.errors import SourceError
from data_platform.domain.markets import Series
from data_platform.sources.access import Access
from data_platform.sources.background import Background, Outlet
from data_platform.sources.base import AnswerTimes, FetchRequest, FetchResult
from data_platform.sources.breaker import BreakerStore
from data_platform.sources.ccxt_client import CcxtClient
from data_platform.sources.pages import Page
from data_platform.sources.walk import Walk, failed, walk_newest

_LOOK_AHEAD = 4
"""Pages in flight or waiting for the consumer, as a multiple of those in flight."""


class CcxtSource:
    """A `CandleSource` for one exchange; close it when done.

    Windows end at the end of the closed range (`closed_before` by the exchange's clock): what a
    request asks beyond it has no window, and a request wholly beyond it yields nothing.
    """

    def __init__(self, access: Access, breakers: BreakerStore | None = None) -> None:
        """Start the thread; nothing is sent yet.

        Args:
            access: how the exchange is reached.
            breakers: keeps, for whoever shares it, whether the exchange answers at all; without
                one this source alone remembers it.
        """
        self._access = access
        self._client = CcxtClient(access, breakers)
        self._background: Background | None = Background(f"source-{access.exchange.name}")

    def now(self) -> datetime:
        """Return the exchange's clock, UTC; measured every few minutes.

        Raises:
            SourceError: the exchange cannot be reached; the message names the address.
        """
        return self._open().run(self._client.now())

    def fetch(self, requests: Sequence[FetchRequest]) -> Iterator[FetchResult]:
        """Yield every window of every request; those of one request in time order.

        Windows of different requests come mixed. What fails is a window with its error, also when
        the whole exchange cannot be reached. A permanent error (an unknown pair) makes the rest of
        its request one failed window and sends nothing more for it. Leaving the iterator early
        cancels what is in flight.
        """
        places = _LOOK_AHEAD * self._access.concurrency
        yield from self._open().stream(partial(self._produce, requests), places)

    def close(self) -> None:
        """Release connections; further calls but this one are an error."""
        if self._background is not None:
            self._background.close(self._client.close)
            self._background = None

    @property
    def requests_made(self) -> int:
        """Return how many candle requests went out so far (retries included)."""
        return self._client.candle_requests

    @property
    def faults(self) -> Mapping[str, int]:
        """Return how many attempts failed so far, by the kind of error."""
        return self._client.faults

    @property
    def answer_times(self) -> AnswerTimes:
        """Return when the exchange has answered so far, and how soon."""
        return self._client.delays.times

    def _open(self) -> Background:
        if self._background is None:
            raise RuntimeError(f"the source of {self._access.exchange.name} is closed")
        return self._background

    async def _produce(self, requests: Sequence[FetchRequest], outlet: Outlet[FetchResult]) -> None:
        unreachable: SourceError | None = None
        try:
            await self._client.now()
            await self._client.load_pairs()
        except SourceError as error:
            unreachable = error
        # Few at once, in order: earlier requests end earlier, so that their results can be stored.
        gate = asyncio.Semaphore(self._access.concurrency)
        async with asyncio.TaskGroup() as walks:
            for together in self._grouped(requests):
                walks.create_task(self._walk(together, outlet, gate, unreachable))

    def _grouped(self, requests: Sequence[FetchRequest]) -> Iterable[Sequence[FetchRequest]]:
        """Return the requests, those together that one answer serves."""
        if self._access.exchange.since_meaning != "newest_only":
            return [[request] for request in requests]
        by_series: dict[Series, list[FetchRequest]] = {}
        for request in requests:
            by_series.setdefault(request.series, []).append(request)
        return by_series.values()

    async def _walk(
        self,
        together: Sequence[FetchRequest],
        outlet: Outlet[FetchResult],
        gate: asyncio.Semaphore,
        unreachable: SourceError | None,
    ) -> None:
        async with gate:
            now, series = self._client.clock.estimate(), together[0].series
            closed = closed_before(now, series.timeframe, self._access.grace)
            wanted = [(it, min(it.end, closed)) for it in together if it.start < closed]
            try:
                if unreachable:
                    raise unreachable
                self._client.check(series)
            except SourceError as error:
                for request, end in wanted:
                    await outlet.take_place()
                    outlet.put(failed(request, Page(request.start, end), now, error))
                return
            if wanted and self._access.exchange.since_meaning == "newest_only":
                await walk_newest(wanted, self._client, outlet)
                return
            for request, end in wanted:
                await Walk(request, end, self._client, outlet).run()
