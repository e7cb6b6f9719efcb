"""Which candles to ask an exchange for: what is missing, and a little that is already stored.

Decides from the lake, the ledger and the clock; sends nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import polars as pl

from data_platform.domain.candles import TIME, TimeRange, closed_before
from data_platform.domain.exchanges import Exchange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.lake import Lake
from data_platform.quality.rule import Limits
from data_platform.sources.base import FetchRequest

OVERLAP_CANDLES = 2
"""Newest stored candles asked for again with the tail, to notice that the exchange changed them."""

LATE_CANDLES = 10
"""Of a confirmed hole behind the newest candle, so many of the last are asked for again: an
exchange may publish late. What it confirmed before is believed, or a halted market would cost more
requests with every tick."""


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """What an update has to know of the exchange and of the wish."""

    exchange: Exchange
    grace: timedelta
    """How long after its close a candle may still change."""
    starts: Mapping[Pair, datetime]
    """Earlier candles are neither requested nor missing."""
    limits: Mapping[str, Limits]
    """Thresholds of the config by rule, where they differ from the rule's own."""
    full: bool = False
    """Ask for everything and compare, instead of only for what is missing."""


@dataclass(frozen=True, slots=True)
class Need:
    """A run of candles of one series that is neither stored nor explained."""

    series: Series
    missing: TimeRange
    floor: datetime
    """Start of the months that are asked for: the overlap does not reach before it."""

    def to_request(self, closed: datetime) -> FetchRequest | None:
        """Return what to ask for, or None when none of it has closed yet.

        Args:
            closed: end of the closed range, by the exchange's clock. A request that reaches it
                asks for the newest stored candles once more, to notice corrections.
        """
        start, end = self.missing.start, min(self.missing.end, closed)
        if start >= end:
            return None
        if end == closed:
            start = max(self.floor, start - OVERLAP_CANDLES * self.series.timeframe.duration)
        return FetchRequest(self.series, start, end)


def plan_needs(
    lake: Lake, series: Series, months: TimeRange, rules: UpdateRules, now: datetime
) -> list[Need]:
    """Return what a range of one series lacks.

    Args:
        lake: what is stored and known.
        series: at an exchange's own timeframe.
        months: whole months, contiguous.
        rules: starts, grace and mode.
        now: the clock that tells which candles are closed; the exchange's own decides later.

    Returns:
        Runs in time order; one for the whole range where nothing is stored.

    Raises:
        StorageError: what is stored cannot be read.
    """
    timeframe = series.timeframe
    start = max(months.start, timeframe.ceil(rules.starts[series.pair]))
    end = min(months.end, closed_before(now, timeframe, rules.grace))
    if start >= end:
        return []
    wanted = TimeRange(start, end)
    parts = [wanted] if rules.full else _missing(lake, series, wanted, now)
    return [Need(series, part, start) for part in parts]


def _missing(lake: Lake, series: Series, wanted: TimeRange, now: datetime) -> list[TimeRange]:
    times = lake.store.times("ohlcv", series, wanted.start, wanted.end)
    if len(times) == series.timeframe.count(wanted.start, wanted.end):
        return []
    gaps = lake.sums.ranges(series, wanted.start, wanted.end)
    stored = pl.DataFrame({"start": times, "end": times + series.timeframe.duration})
    edge = pl.DataFrame({"start": [wanted.end], "end": [wanted.end]}, {"start": TIME, "end": TIME})
    covered = pl.concat([stored, settled_ranges(gaps, series.timeframe, now), edge]).sort("start")
    # One pass over both: an illiquid series has tens of thousands of explained holes a year.
    reach = pl.max_horizontal(pl.col("end").cum_max().shift(1), pl.lit(wanted.start, TIME))
    holes = covered.select(reach.alias("hole"), "start").filter(pl.col("hole") < pl.col("start"))
    return [TimeRange(hole, start) for hole, start in holes.rows()]


def settled_ranges(gaps: pl.DataFrame, timeframe: Timeframe, now: datetime) -> pl.DataFrame:
    """Return the parts of gaps that are not to be asked for again now.

    Args:
        gaps: the ledger's rows of one series (start, end, status, confirmed, next_try).
        timeframe: of the series.
        now: the clock.

    Returns:
        start and end, in the order given.
    """
    waiting = pl.col("status").is_in(["open", "refused"])
    ripe = pl.col("next_try").is_null() | (pl.col("next_try") <= now)
    late = pl.col("end") - LATE_CANDLES * timeframe.duration
    believed = pl.col("confirmed") & (pl.col("status") == "open")
    end = pl.when(~(waiting & ripe)).then("end").when(believed).then(late).otherwise("start")
    return gaps.select("start", end=end).filter(pl.col("start") < pl.col("end"))


def contiguous_ranges(partitions: Iterable[Partition]) -> Iterator[tuple[Series, TimeRange]]:
    """Yield each series with the runs of neighbouring months that its partitions form."""

    def by_series(partition: Partition) -> tuple[str, Period]:
        return str(partition.series), partition.period

    for _, group in groupby(sorted(partitions, key=by_series), key=lambda part: str(part.series)):
        members = list(group)
        first = members[0]
        for before, after in zip(members, [*members[1:], None], strict=True):
            if after is None or after.period != before.period.next:
                yield before.series, TimeRange(first.period.start, before.period.end)
                if after is not None:
                    first = after
