"""Which candles to ask an exchange for: what is missing, and a little that is already stored.

Decides from the lake, the ledger and the clock; sends nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import polars as pl

from data_platform.domain.candles import TIME, TimeRange, closed_before, subtract_ranges
from data_platform.domain.errors import DamagedFileError, StorageError
from data_platform.domain.exchanges import Exchange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.delisted import find_delisted
from data_platform.operations.lake import Lake
from data_platform.quality.standards import Standards
from data_platform.sources.base import FetchRequest
from data_platform.sources.pages import LATE_CANDLES
from data_platform.storage.ledger import WAITING, Gap

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
    limits: Standards
    """What the config says of each rule."""
    compare_from: datetime | None = None
    """Ask for everything from here on and compare it with what is stored; earlier, and without
    it, only for what is missing."""
    only: Mapping[Series, Sequence[TimeRange]] | None = None
    """Ask for nothing but what is missing of these times, sorted; None: no such bound."""


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
    wanted = _until_delisting(lake, series, _wanted(series, months, rules, now), now)
    if wanted.start >= wanted.end:
        return []
    compared = _compared(series, wanted, rules)
    parts = _missing(lake, series, TimeRange(wanted.start, compared.start), rules, now)
    parts += [compared] if compared.start < compared.end else []
    return [Need(series, part, wanted.start) for part in _bounded(series, parts, rules)]


Unread = list[tuple[TimeRange, StorageError]]
"""Months of which it cannot be told what they lack, and why."""


def plan_readable(
    lake: Lake, series: Series, months: TimeRange, rules: UpdateRules, now: datetime
) -> tuple[list[Need], Unread]:
    """Return what those months of a range lack that can be read, and which cannot.

    Arguments as `plan_needs`.
    """
    try:
        return plan_needs(lake, series, months, rules, now), []
    except DamagedFileError:
        pass
    except StorageError as error:
        return [], [(months, error)]
    needs: list[Need] = []
    unread: Unread = []
    for period in periods_between(months.start, months.end):
        month = TimeRange(period.start, period.end)
        try:
            needs += plan_needs(lake, series, month, rules, now)
        except StorageError as error:
            unread.append((month, error))
    return needs, unread


def needs_of_gaps(
    gaps: Sequence[Gap], partitions: Iterable[Partition], rules: UpdateRules, now: datetime
) -> list[Need]:
    """Return what gaps lack of the months that are asked for.

    Args:
        gaps: to be asked for, of any series.
        partitions: what is asked for.
        rules: starts and grace.
        now: the clock that tells which candles are closed.
    """
    needs = []
    for series, months in contiguous_ranges(partitions):
        wanted = _wanted(series, months, rules, now)
        for gap in gaps:
            start, end = max(gap.start, wanted.start), min(gap.end, wanted.end)
            if gap.series == series and start < end:
                parts = _bounded(series, [TimeRange(start, end)], rules)
                needs += [Need(series, part, wanted.start) for part in parts]
    return needs


def _bounded(series: Series, parts: list[TimeRange], rules: UpdateRules) -> list[TimeRange]:
    if rules.only is None:
        return parts
    return subtract_ranges(parts, subtract_ranges(parts, rules.only.get(series, ())))


def _wanted(series: Series, months: TimeRange, rules: UpdateRules, now: datetime) -> TimeRange:
    timeframe = series.timeframe
    start = max(months.start, timeframe.ceil(rules.starts[series.pair]))
    end = min(months.end, closed_before(now, timeframe, rules.grace))
    return TimeRange(start, end)


def _until_delisting(lake: Lake, series: Series, wanted: TimeRange, now: datetime) -> TimeRange:
    ended = find_delisted(lake, [series]).get(series)
    if ended is None or not ended.is_believed(now):
        return wanted
    return TimeRange(wanted.start, min(wanted.end, ended.since))


def _compared(series: Series, wanted: TimeRange, rules: UpdateRules) -> TimeRange:
    if rules.compare_from is None:
        return TimeRange(wanted.end, wanted.end)
    start = series.timeframe.floor(rules.compare_from)
    return TimeRange(min(max(start, wanted.start), wanted.end), wanted.end)


def _missing(
    lake: Lake, series: Series, wanted: TimeRange, rules: UpdateRules, now: datetime
) -> list[TimeRange]:
    times = lake.store.times("ohlcv", series, wanted.start, wanted.end)
    if len(times) == series.timeframe.count(wanted.start, wanted.end):
        return []
    gaps = lake.sums.ranges(series, wanted.start, wanted.end)
    settled = settled_ranges(gaps, series.timeframe, rules.exchange.page_size, now)
    return uncovered_ranges(times, settled, series.timeframe, wanted)


def uncovered_ranges(
    times: pl.Series, known: pl.DataFrame, timeframe: Timeframe, wanted: TimeRange
) -> list[TimeRange]:
    """Return the runs of a range that are neither stored nor known.

    Args:
        times: stored opening times, sorted.
        known: start and end of other ranges, which may reach out of the wanted one.
        timeframe: of the candles.
        wanted: the range.
    """
    ends = (times + timeframe.duration).alias("end")
    stored = pl.DataFrame([times.alias("start"), ends])
    edge = pl.DataFrame({"start": [wanted.end], "end": [wanted.end]}, {"start": TIME, "end": TIME})
    covered = pl.concat([stored, known, edge]).sort("start")
    # One pass over both: an illiquid series has tens of thousands of explained holes a year.
    reach = pl.max_horizontal(pl.col("end").cum_max().shift(1), pl.lit(wanted.start, TIME))
    holes = covered.select(reach.alias("hole"), "start").filter(pl.col("hole") < pl.col("start"))
    return [TimeRange(hole, start) for hole, start in holes.rows()]


def settled_ranges(
    gaps: pl.DataFrame, timeframe: Timeframe, page_size: int, now: datetime
) -> pl.DataFrame:
    """Return the parts of gaps that are not to be asked for again now.

    Of a confirmed hole behind the newest candle only the last candles are asked for again, which
    may come late: a halted market would cost more requests with every tick. Of the time before
    the listing only the page before the first candle: an exchange may have years of it.

    Args:
        gaps: the ledger's rows of one series (start, end, status, confirmed, next_try).
        timeframe: of the series.
        page_size: candles in one answer.
        now: the clock.

    Returns:
        start and end, in the order given.
    """
    status, next_try = pl.col("status"), pl.col("next_try")
    # What nobody has answered is due whenever somebody asks; only who asks by himself waits.
    is_unanswered = (status == "open") & ~pl.col("confirmed")
    is_due = (next_try <= now) | (next_try.is_null() & status.is_in(WAITING)) | is_unanswered
    late = pl.col("end") - LATE_CANDLES * timeframe.duration
    page = pl.col("end") - page_size * timeframe.duration
    end = (
        pl.when(~is_due.fill_null(value=False))
        .then("end")
        .when(pl.col("confirmed") & (status == "open"))
        .then(late)
        .when(status == "before_listing")
        .then(page)
        .otherwise("start")
    )
    return gaps.select("start", end=end).filter(pl.col("start") < pl.col("end"))


def due_parts(
    gaps: pl.DataFrame, timeframe: Timeframe, page_size: int, now: datetime
) -> pl.DataFrame:
    """Return the gaps of one series cut to what is to be asked for now; arguments as above.

    Returns:
        The same columns; without the gaps of which nothing is due.
    """
    settled = settled_ranges(gaps, timeframe, page_size, now).rename({"end": "settled"})
    cut = gaps.join(settled, on="start", how="left").with_columns(
        start=pl.coalesce("settled", "start")
    )
    return cut.filter(pl.col("start") < pl.col("end")).select(gaps.columns)


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
