"""Whether a market is silent or its exchange: what the other markets did at the same time.

Where quiet candles are omitted, a short hole may be a time without trades or an outage, and the
series alone cannot tell. A silence is taken for an outage of the exchange when

- it is longer than one candle: single ones fall together by chance all the time;
- it has two witnesses or more: markets, its own among them, with a silence that shares half of the
  longer of the two with it, and for which such a silence is rare: at most `RARE` others of half
  its length or more lie within a day (or 100 candles) on either side. A thin pair is silent for
  minutes every night, and so is its neighbour: that both are at once tells nothing;
- fewer markets traded in the times that the witnesses share: who trades, thin or not, shows that
  the exchange is up. Those that are silent as they often are, and those of which nothing is known,
  speak neither for nor against.

The whole hole is an outage then, its quiet edges included. Measured on made-up minutes, 60 days
with nights eight times as quiet as days, and hours that are quiet for all: of four markets with a
tenth of their minutes silent by day, 17 of 15,792 silences were called outages, of ten from liquid
to thin none of 18,291; where two silent markets and half of all had been enough, 6,056 and 188. Of
28 planted outages of 2 to 56 minutes the ten showed all, in 276 of their 280 holes.

The verdict depends on holes alone, never on what they were called before, so it does not matter
which market is fetched first: who is fetched last has the silences around judged anew, its own and
the others'.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial

import polars as pl

from data_platform.domain.candles import TimeRange, join_ranges
from data_platform.domain.markets import Pair, Series, from_key
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.belief import Ask, Doubt, Quiet, judge_run, spell_markets
from data_platform.operations.lake import Lake
from data_platform.storage.ledger_runs import judge_again
from data_platform.storage.ledger_silences import Silence, read_holes

ENOUGH = 2
"""Markets whose silence is needed to speak of their exchange."""

RARE = 2
"""Others of its kind that a rare silence may have around it: an exchange that goes down may come
back and go down again."""

REACH_TIME = timedelta(days=1)
"""How far around a silence others are counted: the night before and the one after are in it."""

REACH_CANDLES = 100
"""The same for long timeframes, whichever is longer."""

PART = 30
"""How many times that reach is looked at in one go; of a thin market that is 10,000 silences."""


@dataclass(frozen=True)
class Market:
    """What is known of one market in a range."""

    stored: TimeRange
    """From its first stored candle to its newest."""
    silences: Sequence[Silence]
    unknown: Sequence[TimeRange]

    @cached_property
    def _starts(self) -> list[datetime]:
        return [it.times.start for it in self.silences]

    @cached_property
    def _ends(self) -> list[datetime]:
        return [it.times.end for it in self.silences]

    def within(self, times: TimeRange) -> Sequence[Silence]:
        """Return the silences that share a time with a range."""
        first, end = bisect_right(self._ends, times.start), bisect_left(self._starts, times.end)
        return self.silences[first:end]

    def same(self, hole: TimeRange) -> TimeRange | None:
        """Return the silence that shares half of the longer of the two with a hole, or None."""
        for other in (it.times for it in self.within(hole)):
            shared = min(hole.end, other.end) - max(hole.start, other.start)
            if 2 * shared >= max(_length(hole), _length(other)):
                return other
        return None

    def is_rare(self, hole: TimeRange, reach: timedelta) -> bool:
        """Tell whether few silences around a hole are half as long or longer."""
        others = 0
        for it in self.within(TimeRange(hole.start - reach, hole.end + reach)):
            is_apart = it.times.start >= hole.end or it.times.end <= hole.start
            others += is_apart and 2 * _length(it.times) >= _length(hole)
            if others > RARE:
                return False
        return True

    def is_known(self, times: TimeRange) -> bool:
        """Tell whether a range lies between its candles, and what it did there was answered."""
        is_between = self.stored.start < times.start and times.end <= self.stored.end
        return is_between and not any(
            it.start < times.end and it.end > times.start for it in self.unknown
        )

    def has_traded(self, times: TimeRange) -> bool:
        """Tell whether a candle of a range is known."""
        return self.is_known(times) and not any(
            it.times.start <= times.start and it.times.end >= times.end for it in self.within(times)
        )


@dataclass(frozen=True, slots=True)
class Silences:
    """The silences of every market of an exchange and timeframe, in a range."""

    exchange: str
    timeframe: Timeframe
    markets: Mapping[Pair, Market]

    def ask(self, series: Series, hole: TimeRange) -> Doubt:
        """Return what the other markets tell of a silence of one of them."""
        others = [it for pair, it in self.markets.items() if pair != series.pair]
        missing = sum(it.same(hole) is not None for it in others)
        known = missing + sum(it.is_known(hole) and it.same(hole) is None for it in others)
        words = spell_markets(missing + 1, known + 1, self.exchange) if known else ""
        return Doubt(self.is_shared(series.pair, hole), words)

    def is_shared(self, pair: Pair, hole: TimeRange) -> bool:
        """Tell whether a silence of a market is its exchange's, by the rule of this module."""
        if _length(hole) <= self.timeframe.duration:
            return False
        witnesses = list(self._witnesses(pair, hole))
        if len(witnesses) < ENOUGH:
            return False
        start = max(hole.start, *(it.start for it in witnesses))
        end = min(hole.end, *(it.end for it in witnesses))
        if start >= end:
            return False
        core = TimeRange(start, end)
        return len(witnesses) > sum(it.has_traded(core) for it in self.markets.values())

    def _witnesses(self, pair: Pair, hole: TimeRange) -> Iterator[TimeRange]:
        reach = reach_of(self.timeframe)
        for key, market in self.markets.items():
            silence = hole if key == pair else market.same(hole)
            if silence is not None and market.is_rare(silence, reach):
                yield silence

    def misjudged(self, series: Series, quiet: Quiet, times: TimeRange) -> list[datetime]:
        """Return where the silences of a market begin that the ledger calls otherwise."""
        found = []
        for it in self.markets[series.pair].within(times):
            is_outage = quiet.status(it.times) == "outage" or self.is_shared(series.pair, it.times)
            words = self.ask(series, it.times).words if is_outage else ""
            right = {"outage"} if is_outage else {"no_trades"}
            if it.statuses != right or not all(words in said for said in it.evidence):
                found.append(it.times.start)
        return found


def reach_of(timeframe: Timeframe) -> timedelta:
    """Return how far around a silence others are counted."""
    return max(REACH_TIME, REACH_CANDLES * timeframe.duration)


def read_silences(lake: Lake, exchange: str, timeframe: Timeframe, times: TimeRange) -> Silences:
    """Return what is needed to judge the silences of a range."""
    # As far as a rare one's own neighbours reach.
    reach = 2 * reach_of(timeframe)
    wide = TimeRange(times.start - reach, times.end + reach)
    months = lake.store.months(exchange, timeframe).group_by("pair")
    edges = months.agg(pl.col("first").min(), pl.col("last").max()).sort("pair")
    stored = {from_key(pair): TimeRange(first, last) for pair, first, last in edges.rows()}
    holes = read_holes(lake.state, (Series(exchange, pair, timeframe) for pair in stored), wide)
    markets = {pair: Market(stored[pair], own.silences, own.unknown) for pair, own in holes.items()}
    return Silences(exchange, timeframe, markets)


def ask_of(lake: Lake) -> Ask:
    """Return who reads, for each silence, what the other markets did around it."""

    def ask(series: Series, hole: TimeRange) -> Doubt:
        return read_silences(lake, series.exchange, series.timeframe, hole).ask(series, hole)

    return ask


def judge_markets(
    lake: Lake, market: Series, fetched: Sequence[TimeRange], quiet: Quiet, at: datetime
) -> None:
    """Judge anew the silences of all markets around what has been fetched of some.

    Args:
        lake: whose ledger.
        market: any of them: names the exchange and the timeframe.
        fetched: the times that have been fetched, of any market.
        quiet: what stands for a time without trades there.
        at: when the fetch began.
    """
    reach = reach_of(market.timeframe)
    wide = [TimeRange(it.start - reach, it.end + reach) for it in fetched]
    for times in _in_parts(join_ranges(wide), PART * reach):
        silences = read_silences(lake, market.exchange, market.timeframe, times)
        judge = partial(judge_run, quiet=quiet, at=at, ask=silences.ask)
        for pair in silences.markets:
            series = Series(market.exchange, pair, market.timeframe)
            wrong = silences.misjudged(series, quiet, times)
            if wrong:
                judge_again(lake.state, series, wrong, judge)


def _in_parts(ranges: Sequence[TimeRange], length: timedelta) -> Iterator[TimeRange]:
    for whole in ranges:
        start = whole.start
        while start < whole.end:
            yield TimeRange(start, min(start + length, whole.end))
            start += length


def _length(times: TimeRange) -> timedelta:
    return times.end - times.start
