"""What is due: how far each series is, how late, and what the next tick has to ask for.

Decides from the journal, the ledger and the clock; sends nothing and writes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import TimeRange, closed_before
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, period_of
from data_platform.operations.delisted import Delisting, find_delisted
from data_platform.operations.lake import Lake
from data_platform.quality.freshness import FRESHNESS_RULES, lateness
from data_platform.quality.standards import Standards


@dataclass(frozen=True, slots=True)
class SeriesStatus:
    """How far one series is."""

    series: Series
    first: datetime | None
    """First stored candle."""
    last: datetime | None
    """Newest stored candle."""
    candles: int
    answered_until: datetime | None
    """End of what is stored or explained at the running edge; None: never asked for."""
    late: timedelta
    """Lateness by the freshness rule."""
    limit: timedelta
    """Lateness allowed, the refresh interval included."""
    delisting: Delisting | None = None
    """Its end, where its pair is not traded any more."""

    @property
    def is_stale(self) -> bool:
        """Tell whether the series is later than allowed."""
        return self.late > self.limit

    def until_lost(self, reach: timedelta | None) -> timedelta | None:
        """Return how long the oldest candle that is awaited can still be had.

        Args:
            reach: how far back the exchange's candles go; None: to the listing.

        Returns:
            Negative: since then it cannot. None: nothing is awaited, or nothing leaves.
        """
        if reach is None or not self.late:
            return None
        return reach - self.series.timeframe.duration - self.late

    def is_due(self, now: datetime, grace: timedelta) -> bool:
        """Tell whether a closed candle is neither stored nor explained."""
        if self.delisting is not None and self.delisting.is_believed(now):
            return False
        closed = closed_before(now, self.series.timeframe, grace)
        return self.answered_until is None or self.answered_until < closed


@dataclass(frozen=True, slots=True)
class FreshnessLimits:
    """When a closed candle counts as late."""

    grace: timedelta
    allowance: timedelta
    """How seldom candles are refreshed on purpose."""
    limits: Standards
    """What the config says of each rule."""

    def of(self, series: Series) -> timedelta:
        """Return the lateness allowed for a series."""
        seconds = self.limits.of(FRESHNESS_RULES[0], series).limits[series.timeframe.name]
        return timedelta(seconds=seconds) + self.allowance + self.grace


def series_status(
    lake: Lake, wanted: Sequence[Series], fresh: FreshnessLimits, now: datetime
) -> list[SeriesStatus]:
    """Return how far each series of one exchange is.

    Args:
        lake: where candles lie.
        wanted: series of one exchange.
        fresh: the limits of lateness.
        now: the clock, UTC.
    """
    if not wanted:
        return []
    months = lake.store.months(wanted[0].exchange).group_by("timeframe", "pair")
    sums = months.agg(pl.col("first").min(), pl.col("last").max(), pl.col("rows").sum()).rows()
    stored = {(name, pair): _Stored(*sum_) for name, pair, *sum_ in sums}
    answered = lake.sums.confirmed_until(wanted)
    # Older holes are the gap checks' business; here they would keep a running series red for ever.
    failed = lake.sums.unconfirmed_since(wanted, period_of(now).start)
    ended = find_delisted(lake, wanted)
    found = []
    for series in wanted:
        own = stored.get((series.timeframe.name, series.pair.key), _Stored())
        edge = _edge(series, own, answered.get(series))
        unanswered = _tail(series, edge, fresh.grace, now) + (
            failed.get(series, []) if edge else []
        )
        found.append(
            SeriesStatus(
                series=series,
                first=own.first,
                last=own.last,
                candles=own.candles,
                answered_until=edge,
                late=lateness([] if series in ended else unanswered, series.timeframe, now),
                limit=fresh.of(series),
                delisting=ended.get(series),
            )
        )
    return found


def first_due_period(
    statuses: Collection[SeriesStatus], now: datetime, grace: timedelta
) -> Period | None:
    """Return the first month that a tick has to carry, or None when nothing is due.

    A tick looks back one month at most: what is older is a backfill's work.
    """
    due = [status for status in statuses if status.is_due(now, grace)]
    if not due:
        return None
    running = period_of(now)
    edges = [period_of(status.answered_until) for status in due if status.answered_until]
    return max(min([*edges, running]), running.previous)


@dataclass(frozen=True, slots=True)
class _Stored:
    first: datetime | None = None
    last: datetime | None = None
    candles: int = 0


def _edge(series: Series, stored: _Stored, confirmed: datetime | None) -> datetime | None:
    close = stored.last + series.timeframe.duration if stored.last else None
    return max((end for end in (confirmed, close) if end), default=None)


def _tail(
    series: Series, edge: datetime | None, grace: timedelta, now: datetime
) -> list[TimeRange]:
    closed = closed_before(now, series.timeframe, grace)
    return [TimeRange(edge, closed)] if edge and edge < closed else []
