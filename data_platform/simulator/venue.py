"""One simulated exchange: its markets, its clock, pages of its candles.

Holds what all dialects share: finding the rows of a page and the words in which a dialect is
described. Stays out: HTTP, any one exchange's format.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import polars as pl

from data_platform.domain.markets import Pair
from data_platform.domain.synthetic_markets import MarketProfile
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe
from data_platform.simulator.rows import WireRows
from data_platform.simulator.tapes import Tape

Query: TypeAlias = Mapping[str, str]

FAR_FUTURE_MS = 2**61

_DAY_MS = 86_400_000
_BLOCK_ROWS = 1000
_BLOCK_DAYS = 64
_CACHED_BLOCKS = 96


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire."""

    body: str
    """JSON."""
    status: int = 200
    """HTTP status."""
    is_candles: bool = False
    """Whether the request asked for candles, whatever became of it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer."""

    times: list[int]
    """Opening times, UTC ms, oldest first."""
    texts: list[str]
    """The rows as JSON, in the same order."""


@dataclass(frozen=True, slots=True, eq=False)
class VenueMarket:
    """One pair on one simulated exchange."""

    pair: Pair
    wire_id: str
    """The exchange's own name of the pair."""
    profile: MarketProfile
    tape: Tape
    listed_ms: int
    """UTC milliseconds of the listing."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one exchange speaks."""

    name: str
    """ccxt's id."""
    wire_names: Callable[[Pair], tuple[str, ...]]
    """The exchange's name of a pair, then others that it accepts."""
    encode: Callable[[WireRows, Timeframe, bool], pl.Series]
    """Each candle as JSON text; the flag says whether the candles are closed."""
    answer: Callable[["Venue", str, Query], Answer | None]
    """The answer to a GET of a path below the exchange's prefix; None: no such path."""


class Venue:
    """One simulated exchange."""

    def __init__(
        self, name: str, dialect: Dialect, markets: list[VenueMarket], now_ms: Callable[[], int]
    ) -> None:
        self.name = name
        self.dialect = dialect
        self.markets = markets
        self.now_ms = now_ms
        self._by_wire_name = {
            wire: market for market in markets for wire in dialect.wire_names(market.pair)
        }
        self._block = lru_cache(maxsize=_CACHED_BLOCKS)(self._encode_block)

    def market(self, wire_name: str) -> VenueMarket | None:
        """Return the market by one of its names on the wire."""
        return self._by_wire_name.get(wire_name)

    def oldest(
        self, market: VenueMarket, timeframe: Timeframe, start_ms: int, end_ms: int, limit: int
    ) -> Page:
        """Return the first `limit` candles with `start_ms <= time < end_ms`, the open one too."""
        now = self.now_ms()
        start, end = self._reach(market, timeframe, start_ms, end_ms, now)
        page = Page([], [])
        length = _block_ms(timeframe)
        for index in range(start // length, -(-end // length)):
            missing = limit - len(page.times)
            if missing <= 0:
                break
            part = self._closed(market, timeframe, index, start, end)
            page.times.extend(part.times[:missing])
            page.texts.extend(part.texts[:missing])
        if len(page.times) < limit and self._wants_open(timeframe, start_ms, end_ms, now):
            last = self._open(market, timeframe, now)
            page = Page(page.times + last.times, page.texts + last.texts)
        return page

    def newest(
        self, market: VenueMarket, timeframe: Timeframe, start_ms: int, end_ms: int, limit: int
    ) -> Page:
        """Return the last `limit` candles with `start_ms <= time < end_ms`, the open one too."""
        now = self.now_ms()
        start, end = self._reach(market, timeframe, start_ms, end_ms, now)
        parts = []
        if limit > 0 and self._wants_open(timeframe, start_ms, end_ms, now):
            parts.append(self._open(market, timeframe, now))
        length = _block_ms(timeframe)
        for index in reversed(range(start // length, -(-end // length))):
            missing = limit - sum(len(part.times) for part in parts)
            if missing <= 0:
                break
            part = self._closed(market, timeframe, index, start, end)
            parts.append(Page(part.times[-missing:], part.texts[-missing:]))
        parts.reverse()
        return Page(
            [time for part in parts for time in part.times],
            [text for part in parts for text in part.texts],
        )

    def closed_end(self, timeframe: Timeframe) -> int:
        """Return the opening time of the candle that is open now, UTC ms."""
        now = self.now_ms()
        return now - now % timeframe.ms

    def _reach(
        self, market: VenueMarket, timeframe: Timeframe, start_ms: int, end_ms: int, now_ms: int
    ) -> tuple[int, int]:
        first, last = market.tape.span(timeframe)
        return max(start_ms, first), min(end_ms, last, now_ms - now_ms % timeframe.ms)

    def _wants_open(self, timeframe: Timeframe, start_ms: int, end_ms: int, now_ms: int) -> bool:
        return start_ms <= now_ms - now_ms % timeframe.ms < end_ms

    def _open(self, market: VenueMarket, timeframe: Timeframe, now_ms: int) -> Page:
        rows = market.tape.unfinished(timeframe, now_ms)
        texts = self.dialect.encode(rows, timeframe, False)  # noqa: FBT003
        return Page(rows.frame["time"].to_list(), texts.to_list())

    def _closed(
        self, market: VenueMarket, timeframe: Timeframe, index: int, start_ms: int, end_ms: int
    ) -> Page:
        page = self._block(market, timeframe, index)
        first, last = bisect_left(page.times, start_ms), bisect_left(page.times, end_ms)
        return Page(page.times[first:last], page.texts[first:last])

    def _encode_block(self, market: VenueMarket, timeframe: Timeframe, index: int) -> Page:
        length = _block_ms(timeframe)
        rows = market.tape.rows(timeframe, index * length, (index + 1) * length)
        texts = self.dialect.encode(rows, timeframe, True)  # noqa: FBT003
        return Page(rows.frame["time"].to_list(), texts.to_list())


def _block_ms(timeframe: Timeframe) -> int:
    # Rows are encoded and cached in whole days: about a thousand rows, or two months of days.
    days = _BLOCK_ROWS * timeframe.ms // _DAY_MS
    return min(_BLOCK_DAYS, max(1, days)) * _DAY_MS


def known_timeframes(wire_names: Mapping[str, str]) -> dict[str, Timeframe]:
    """Return an exchange's names of those timeframes that the platform has.

    Args:
        wire_names: the exchange's name -> ours, also of timeframes that the platform lacks.
    """
    ours = {timeframe.name: timeframe for timeframe in TIMEFRAMES}
    return {wire: ours[name] for wire, name in wire_names.items() if name in ours}


def whole_number(text: str | None, default: int) -> int | None:
    """Return a query's whole number, the default when it is absent, None when it is no number."""
    if text is None or text == "":
        return default
    return int(text) if text.isascii() and text.lstrip("-").isdigit() else None
