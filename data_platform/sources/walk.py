"""One request's way through its pages: many in flight, results in time order.

Holds the order of things: what is asked, what is spared, what a failure ends. How a page is
asked is the client's business.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl

from data_platform.domain.candles import closed_before, empty_candles
from data_platform.domain.errors import PermanentError, SourceError, UnknownPairError
from data_platform.sources.background import Outlet
from data_platform.sources.base import FetchRequest, FetchResult, Window
from data_platform.sources.ccxt_client import Answer, CcxtClient
from data_platform.sources.listing import KnownHole, find_listing, is_worth_looking_for
from data_platform.sources.pages import (
    Page,
    doubtful_parts,
    inside,
    next_page,
    proven_hole,
    unproven,
)

FREE_DOUBTS, PAGES_A_DOUBT = 2, 100
"""A doubt that was groundless has cost a request: a walk may have so many, and one more for each
so many pages, so that markets whose pages often look odd cost hardly more than others."""


class Walk:
    """Walks one request, whose series the exchange has, up to a closed end."""

    def __init__(
        self, request: FetchRequest, end: datetime, client: CcxtClient, outlet: Outlet[FetchResult]
    ) -> None:
        """Take the request and the `end` of the closed range, later than its start."""
        self._request = request
        self._timeframe = request.series.timeframe
        self._end = end
        self._client = client
        self._outlet = outlet
        self._page_size = client.access.exchange.page_size
        self._pages: list[asyncio.Task[None]] = []
        self._hole: KnownHole | None = None
        self._stopped = False
        self._asked = 0
        self._groundless = 0

    async def run(self) -> None:
        """Put every window of the request into the outlet, in time order.

        The first page goes alone: its answer often spares others (a pair that is unknown, years
        before the listing). Then as many follow as the outlet has places.
        """
        cursor = self._request.start
        async with asyncio.TaskGroup() as group:
            while cursor < self._end and not self._stopped:
                await self._outlet.take_place()
                if self._stopped:
                    self._outlet.give_back()
                    break
                page, hole = self._next(cursor)
                before = self._pages[-1] if self._pages else None
                task = group.create_task(self._deliver(page, hole, before))
                self._pages = [page for page in self._pages if not page.done()] + [task]
                cursor = page.end
                if before is None:
                    await asyncio.wait([task])

    def _next(self, cursor: datetime) -> tuple[Page, KnownHole | None]:
        hole = self._hole
        if hole and hole.page.start <= cursor < hole.page.end:
            return Page(cursor, min(hole.page.end, self._end)), hole
        return next_page(cursor, self._end, self._timeframe, self._page_size), None

    async def _deliver(
        self, page: Page, hole: KnownHole | None, before: asyncio.Task[None] | None
    ) -> None:
        delivered = False
        try:
            result = await self._result(page, hole)
            if before:
                # Not awaited itself: to be cancelled while doing so would cancel it too.
                await asyncio.wait([before])
            self._outlet.put(result)
            delivered = True
        finally:
            if not delivered:
                self._outlet.give_back()

    async def _result(self, page: Page, hole: KnownHole | None) -> FetchResult:
        if hole:
            return self._answered(page, hole.seen_at, empty_candles(), hole.evidence)
        sent_at = self._client.clock.estimate()
        try:
            candles = await self._candles(page)
        except PermanentError as error:
            self._stop()
            return failed(self._request, Page(page.start, self._end), sent_at, error)
        except SourceError as error:
            return failed(self._request, page, sent_at, error)
        if candles.is_empty() and page.start == self._request.start:
            await self._look_for_listing(Page(page.end, self._end))
        return self._answered(page, sent_at, candles)

    def _answered(
        self, page: Page, at: datetime, candles: pl.DataFrame, evidence: str | None = None
    ) -> FetchResult:
        result = answered(self._request, page, at, candles)
        traded = self._client.is_traded(self._request.series)
        words = evidence or result.window.evidence
        return replace(result, window=replace(result.window, evidence=words, is_listed=traded))

    async def _look_for_listing(self, rest: Page) -> None:
        is_window = self._client.access.exchange.since_meaning == "window"
        if is_window and is_worth_looking_for(rest, self._timeframe, self._page_size):
            self._hole = await find_listing(self._client, self._request.series, rest)

    async def _candles(self, page: Page) -> pl.DataFrame:
        found: list[pl.DataFrame] = []
        parts, is_doubt = [page], False
        while parts:
            part = parts.pop()
            answer = await self._client.candles(self._request.series, part)
            rows = inside(answer.candles, part)
            found.append(rows)
            self._asked += 1
            if is_doubt and rows.is_empty():
                # Told twice: believed.
                self._groundless += 1
            else:
                parts += self._doubts(answer, rows, part)
            is_doubt = True
            if self._client.access.exchange.since_meaning == "next_rows" and part.end == page.end:
                hole = proven_hole(answer.candles, part, self._timeframe)
                evidence = "the exchange's next candle opens later"
                self._hole = KnownHole(hole, answer.sent_at, evidence) if hole else self._hole
        if len(found) == 1:
            return found[0]
        return pl.concat(found).sort("open_time", maintain_order=True)

    def _doubts(self, answer: Answer, rows: pl.DataFrame, part: Page) -> list[Page]:
        cut = unproven(rows, part, self._timeframe)
        if cut or self._groundless > FREE_DOUBTS + self._asked // PAGES_A_DOUBT:
            return cut
        access = self._client.access
        closed = closed_before(answer.sent_at, self._timeframe, access.grace)
        return doubtful_parts(answer.candles, part, self._timeframe, access.exchange, closed)

    def _stop(self) -> None:
        self._stopped = True
        current = asyncio.current_task()
        later = self._pages[self._pages.index(current) + 1 :] if current in self._pages else []
        for page in later:
            page.cancel()


Wanted = tuple[FetchRequest, datetime]
"""A request, and the end of its closed range."""


async def walk_newest(
    wanted: Sequence[Wanted], client: CcxtClient, outlet: Outlet[FetchResult]
) -> None:
    """Walk requests of one series where an exchange gives its newest candles, whatever is asked.

    One request gives all there is, and none is sent for ranges that lie wholly before it. What
    lies before the answer's first row is one `unavailable` window. An answer shorter than the
    exchange's depth shows everything since the listing, so that nothing is out of reach.
    """
    row, series = client.access.exchange, wanted[0][0].series
    depth = (row.history_candles or row.page_size) * series.timeframe.duration
    asked_at = client.clock.estimate()
    reach = closed_before(asked_at, series.timeframe, client.access.grace) - depth
    for request, end in wanted:
        if end <= reach:
            await _put(outlet, [_unavailable(request, Page(request.start, end), asked_at)])
    near = [(request, end) for request, end in wanted if end > reach]
    if not near:
        return
    starts, ends = [request.start for request, _ in near], [end for _, end in near]
    try:
        answer = await client.candles(series, Page(min(starts), max(ends)))
    except SourceError as error:
        for request, end in near:
            before, after = _split(Page(request.start, end), reach)
            results = [_unavailable(request, part, asked_at) for part in before]
            await _put(outlet, results + [failed(request, it, asked_at, error) for it in after])
        return
    for request, end in near:
        await _put(outlet, list(_given(request, end, answer, client)))


def _given(
    request: FetchRequest, end: datetime, answer: Answer, client: CcxtClient
) -> Iterator[FetchResult]:
    row, timeframe = client.access.exchange, request.series.timeframe
    rows, oldest = answer.candles, request.start
    if rows.height >= (row.history_candles or row.page_size):
        oldest = timeframe.floor(rows["open_time"][0])
    before, after = _split(Page(request.start, end), oldest)
    results = [_unavailable(request, part, answer.sent_at) for part in before]
    results += [answered(request, part, answer.sent_at, inside(rows, part)) for part in after]
    traded = client.is_traded(request.series)
    for result in results:
        yield replace(result, window=replace(result.window, is_listed=traded))


def _split(page: Page, time: datetime) -> tuple[list[Page], list[Page]]:
    if time <= page.start:
        return [], [page]
    if time >= page.end:
        return [page], []
    return [Page(page.start, time)], [Page(time, page.end)]


async def _put(outlet: Outlet[FetchResult], results: list[FetchResult]) -> None:
    for result in results:
        await outlet.take_place()
        outlet.put(result)


def _unavailable(request: FetchRequest, page: Page, at: datetime) -> FetchResult:
    return FetchResult(request, Window(page.start, page.end, "unavailable", at), empty_candles())


def answered(request: FetchRequest, page: Page, at: datetime, candles: pl.DataFrame) -> FetchResult:
    """Return the result of a part of a request that was answered with these candles."""
    return FetchResult(request, Window(page.start, page.end, "answered", at), candles)


def failed(request: FetchRequest, page: Page, at: datetime, error: SourceError) -> FetchResult:
    """Return the result of a part of a request that was not answered."""
    window = Window(page.start, page.end, "failed", at, error)
    is_listed = not isinstance(error, UnknownPairError)
    return FetchResult(request, replace(window, is_listed=is_listed), empty_candles())
