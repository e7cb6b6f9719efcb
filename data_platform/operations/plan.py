"""Which candles to ask an exchange for: what is missing, and a little that is already stored.

Decides from the lake, the ledger and the clock; sends nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from data_platform.domain.candles import (
    TimeRange,
    closed_before,
    missing_ranges,
    subtract_ranges,
)
from data_platform.domain.exchanges import Exchange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.operations.lake import Lake
from data_platform.quality.rule import Limits
from data_platform.sources.base import FetchRequest
from data_platform.storage.ledger import Gap

OVERLAP_CANDLES = 2
"""Newest stored candles asked for again with the tail, to notice that the exchange changed them."""


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
    stored = lake.store.read_range("ohlcv", series, wanted.start, wanted.end, columns=["open_time"])
    holes = missing_ranges(stored["open_time"], series.timeframe, wanted.start, wanted.end)
    if not holes:
        return []
    gaps = lake.ledger.gaps(series, wanted.start, wanted.end)
    known = [TimeRange(gap.start, gap.end) for gap in gaps if not is_due(gap, now)]
    return subtract_ranges(holes, known)


def is_due(gap: Gap, now: datetime) -> bool:
    """Tell whether a gap is to be asked for again: only what is not settled, and at its time."""
    return gap.status in ("open", "refused") and (gap.next_try is None or gap.next_try <= now)


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
