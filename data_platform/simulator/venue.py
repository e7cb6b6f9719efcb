"""One simulated exchange: its markets, its clock, pages of its candles.

Holds what all dialects share: finding the rows of a page and the words in which a dialect is
described. Stays out: HTTP, any one exchange's format, who orders changes and faults.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import TypeAlias

import polars as pl

from data_platform.domain.markets import Pair
from data_platform.domain.synthetic_markets import MarketProfile
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe
from data_platform.simulator.blocks import Blocks, Page, View
from data_platform.simulator.edits import UNCHANGED, Standing
from data_platform.simulator.limits import Limit, Verdict
from data_platform.simulator.rows import WireRows
from data_platform.simulator.tapes import Tape
from data_platform.simulator.wire import Answer, Query, Question

FAR_FUTURE_MS = 2**61


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
    first_pair: Pair
    """What it was called at its listing."""


@dataclass(frozen=True, slots=True)
class RowFields:
    """Where a dialect keeps the parts of a row: positions, or names in an object."""

    time: int | str
    open: int | str
    high: int | str
    low: int | str
    close: int | str
    time_unit_ms: int = 1


@dataclass(frozen=True, slots=True)
class Excuses:
    """What an exchange says instead of an answer."""

    server_error: Answer
    maintenance: Answer
    too_many: Callable[[float, int], Answer]
    """Of the seconds to wait and the exchange's clock in UTC ms."""
    banned: Callable[[float, int], Answer]
    """Of the same."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one exchange speaks."""

    name: str
    """ccxt's id."""
    wire_names: Callable[[Pair], tuple[str, ...]]
    """The exchange's name of a pair, then others that it accepts."""
    encode: Callable[[WireRows, Timeframe, bool], pl.Series]
    """Each candle as JSON text; the flag says whether the candles are closed."""
    read: Callable[[str, Query], Question]
    """The question that a GET of a path below the exchange's prefix asks."""
    answer: Callable[["Venue", Question], Answer | None]
    """The answer to a question; None: no such path."""
    fields: RowFields
    excuses: Excuses
    limit: Limit


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows that a question asks for."""

    market: VenueMarket
    timeframe: Timeframe
    start_ms: int
    end_ms: int
    """Exclusive."""
    limit: int
    is_newest: bool
    """Whether the last rows of the range are meant when it holds more, else the first."""


PageChange: TypeAlias = Callable[["Venue", Wanted, Page], Page]
"""Of the exchange, unchanged, of what was asked and of the rows found; gives the rows to send."""

_Listing: TypeAlias = tuple[list[VenueMarket], dict[str, VenueMarket]]


class Venue:
    """One simulated exchange."""

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        markets: list[VenueMarket],
        now_ms: Callable[[], int],
        standing: Callable[[Pair, Callable[[], int]], Standing] | None = None,
    ) -> None:
        """Take what is traded, a clock in UTC ms, and how a pair stands at a clock's moment."""
        self.name = name
        self.dialect = dialect
        self.now_ms = now_ms
        self._ever = tuple(markets)
        self._standing = standing or (lambda _pair, _now_ms: UNCHANGED)
        self.change_page: Callable[[Wanted, Page], Page] | None = None
        self._blocks = Blocks(dialect.encode)
        self._list = lru_cache(maxsize=8)(self._list_under)

    @property
    def markets(self) -> list[VenueMarket]:
        """Return what is traded now, under its name of now."""
        return self._listed()[0]

    def market(self, wire_name: str) -> VenueMarket | None:
        """Return what is traded now under a name on the wire."""
        return self._listed()[1].get(wire_name)

    def market_ever(self, pair: Pair) -> VenueMarket | None:
        """Return the market of a pair by the name that it began with or has now."""
        both = (*self._ever, *self.markets)
        return next((market for market in both if market.pair == pair), None)

    def pair_asked(self, wire_name: str) -> Pair | None:
        """Return the pair that a name on the wire means, traded or not any more."""
        first_names = tuple(market.pair for market in self._ever)
        known = self.market(wire_name) or self._list(first_names)[1].get(wire_name)
        return known.pair if known else None

    def with_pages(self, change: PageChange) -> "Venue":
        """Return this exchange with every page changed by a function."""
        changed = copy(self)
        changed.change_page = lambda wanted, page: change(self, wanted, page)
        return changed

    def with_clock(self, now_ms: Callable[[], int]) -> "Venue":
        """Return this exchange with another clock."""
        changed = copy(self)
        changed.now_ms = now_ms
        return changed

    def oldest(
        self, market: VenueMarket, timeframe: Timeframe, start_ms: int, end_ms: int, limit: int
    ) -> Page:
        """Return the first `limit` candles with `start_ms <= time < end_ms`, the open one too."""
        return self.find(Wanted(market, timeframe, start_ms, end_ms, limit, is_newest=False))

    def newest(
        self, market: VenueMarket, timeframe: Timeframe, start_ms: int, end_ms: int, limit: int
    ) -> Page:
        """Return the last `limit` candles with `start_ms <= time < end_ms`, the open one too."""
        return self.find(Wanted(market, timeframe, start_ms, end_ms, limit, is_newest=True))

    def find(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted, oldest first."""
        now = self.now_ms()
        standing = self._standing(wanted.market.first_pair, lambda: now)
        between = (wanted.start_ms, wanted.end_ms)
        view = View(self._blocks, wanted.market.tape, wanted.timeframe, between, (now, standing))
        page = view.newest(wanted.limit) if wanted.is_newest else view.oldest(wanted.limit)
        return self.change_page(wanted, page) if self.change_page else page

    def refuse(self, verdict: Verdict) -> Answer:
        """Return what this exchange says to a request that is too much."""
        excuses = self.dialect.excuses
        say = excuses.banned if verdict.is_ban else excuses.too_many
        answer = say(verdict.wait_seconds, self.now_ms())
        if verdict.status is None:
            return answer
        wait = ceil(verdict.wait_seconds)
        headers = {"Retry-After": str(wait)}
        return replace(answer, status=verdict.status, headers=headers, wait_seconds=wait)

    def closed_end(self, timeframe: Timeframe) -> int:
        """Return the opening time of the candle that is open now, UTC ms."""
        now = self.now_ms()
        return now - now % timeframe.ms

    def truth(
        self, market: VenueMarket, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> pl.DataFrame:
        """Return the closed candles of a range as they stand now, in `CANDLE_SCHEMA`."""
        now = self.now_ms()
        standing = self._standing(market.first_pair, lambda: now)
        end = min(end_ms, now - now % timeframe.ms)
        candles = market.tape.candles(timeframe, start_ms, end, standing.edits)
        hidden = pl.Series(list(standing.hidden(timeframe, now)), dtype=pl.Int64)
        return candles.filter(~pl.col("open_time").dt.epoch("ms").is_in(hidden.implode()))

    def _listed(self) -> _Listing:
        names = (self._standing(each.pair, self.now_ms).name_of(each.pair) for each in self._ever)
        return self._list(tuple(names))

    def _list_under(self, names: tuple[Pair | None, ...]) -> _Listing:
        wire_names = self.dialect.wire_names
        listed = [
            replace(market, pair=pair, wire_id=wire_names(pair)[0])
            for market, pair in zip(self._ever, names, strict=True)
            if pair is not None
        ]
        return listed, {wire: each for each in listed for wire in wire_names(each.pair)}


def known_timeframes(wire_names: Mapping[str, str]) -> dict[str, Timeframe]:
    """Return an exchange's names of those timeframes that the platform has.

    Args:
        wire_names: the exchange's name -> ours, also of timeframes that the platform lacks.
    """
    ours = {timeframe.name: timeframe for timeframe in TIMEFRAMES}
    return {wire: ours[name] for wire, name in wire_names.items() if name in ours}
