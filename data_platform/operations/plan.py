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


def plan_requests(
    lake: Lake, series: Series, wanted: TimeRange, rules: UpdateRules, now: datetime
) -> list[FetchRequest]:
    """Return what to ask for so that a range of one series becomes complete.

    Args:
        lake: what is stored and known.
        series: at an exchange's own timeframe.
        wanted: whole months, contiguous.
        rules: starts, grace and mode.
        now: the clock that tells which candles are closed.

    Returns:
        Requests in time order; one for the whole range where nothing is stored.

    Raises:
        StorageError: what is stored cannot be read.
    """
    timeframe = series.timeframe
    start = max(wanted.start, timeframe.ceil(rules.starts[series.pair]))
    end = min(wanted.end, closed_before(now, timeframe, rules.grace))
    if start >= end:
        return []
    clipped = TimeRange(start, end)
    parts = [clipped] if rules.full else missing_parts(lake, series, clipped, now)
    return [FetchRequest(series, part.start, part.end) for part in parts]


def missing_parts(lake: Lake, series: Series, wanted: TimeRange, now: datetime) -> list[TimeRange]:
    """Return the parts of a range that are neither stored nor explained, with the overlap."""
    times = lake.store.read_range("ohlcv", series, wanted.start, wanted.end, columns=["open_time"])[
        "open_time"
    ]
    holes = missing_ranges(times, series.timeframe, wanted.start, wanted.end)
    if not holes:
        return []
    gaps = lake.ledger.gaps(series, wanted.start, wanted.end)
    known = [TimeRange(gap.start, gap.end) for gap in gaps if not is_due(gap, now)]
    due = subtract_ranges(holes, known)
    if not due or due[-1].end != wanted.end or due[-1].start == wanted.start:
        return due
    overlap = OVERLAP_CANDLES * series.timeframe.duration
    floor = max(wanted.start, due[-2].end if len(due) > 1 else wanted.start)
    return [*due[:-1], TimeRange(max(floor, due[-1].start - overlap), due[-1].end)]


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
