"""What is due: how far each series is, how late, and what the next tick has to ask for.

Decides from the journal, the ledger and the clock; sends nothing and writes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import polars as pl

from data_platform.domain.candles import TimeRange, closed_before
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, period_of
from data_platform.operations.judge import merge_limits
from data_platform.operations.lake import Lake
from data_platform.quality.continuity import COUNTED_STATUSES
from data_platform.quality.freshness import FRESHNESS_RULES, lateness
from data_platform.quality.rule import Limits
from data_platform.storage.ledger import Status

COUNTED = cast("tuple[Status, ...]", COUNTED_STATUSES)
"""The ledger's statuses that count as missing."""


@dataclass(frozen=True, slots=True)
class SeriesStatus:
    """How far one series is."""

    series: Series
    first: datetime | None
    """First stored candle."""
    last: datetime | None
    """Newest stored candle."""
    candles: int
    gaps: int
    """Runs of candles that are missing and should be there."""
    missing: int
    """Candles in those runs."""
    answered_until: datetime | None
    """End of what is stored or explained at the running edge; None: never asked for."""
    late: timedelta
    """Lateness by the freshness rule."""
    limit: timedelta
    """Lateness allowed, the refresh interval included."""

    @property
    def is_stale(self) -> bool:
        """Tell whether the series is later than allowed."""
        return self.late > self.limit

    def is_due(self, now: datetime, grace: timedelta) -> bool:
        """Tell whether a closed candle is neither stored nor explained."""
        closed = closed_before(now, self.series.timeframe, grace)
        return self.answered_until is None or self.answered_until < closed


@dataclass(frozen=True, slots=True)
class FreshnessLimits:
    """When a closed candle counts as late."""

    grace: timedelta
    allowance: timedelta
    """How seldom candles are refreshed on purpose."""
    limits: Mapping[str, Limits]
    """Thresholds of the config by rule."""

    def of(self, series: Series) -> timedelta:
        """Return the lateness allowed for a series."""
        rule = FRESHNESS_RULES[0]
        seconds = merge_limits(rule.name, rule.limits, self.limits)[series.timeframe.name]
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
    exchange = wanted[0].exchange
    stored = _stored(lake, exchange)
    # Times without trades are many and of no interest here but for the newest.
    gaps = lake.ledger.gaps_of(exchange, statuses=COUNTED)
    answered = lake.sums.confirmed_until(wanted)
    by_series = gaps.partition_by("pair", "timeframe", as_dict=True)
    return [
        _status(
            series,
            stored.get((series.pair.key, series.timeframe.name), _Stored()),
            answered.get(series),
            by_series.get((series.pair.key, series.timeframe.name), gaps.clear()),
            fresh,
            now,
        )
        for series in wanted
    ]


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


def _stored(lake: Lake, exchange: str) -> dict[tuple[str, str], _Stored]:
    found: dict[tuple[str, str], _Stored] = {}
    for row in lake.store.journal_rows("ohlcv", exchange):
        key = (row.series.pair.key, row.series.timeframe.name)
        before = found.get(key, _Stored())
        firsts = [time for time in (before.first, row.first) if time]
        lasts = [time for time in (before.last, row.last) if time]
        found[key] = _Stored(
            min(firsts, default=None), max(lasts, default=None), before.candles + row.rows
        )
    return found


def _status(  # what is known of one series
    series: Series,
    stored: _Stored,
    confirmed: datetime | None,
    counted: pl.DataFrame,
    fresh: FreshnessLimits,
    now: datetime,
) -> SeriesStatus:
    ends = [confirmed, stored.last + series.timeframe.duration if stored.last else None]
    edge = max((end for end in ends if end), default=None)
    unanswered = _unanswered(series, edge, counted, fresh.grace, now)
    return SeriesStatus(
        series=series,
        first=stored.first,
        last=stored.last,
        candles=stored.candles,
        gaps=counted.height,
        missing=int(counted["missing"].sum()),
        answered_until=edge,
        late=lateness(unanswered, series.timeframe, now),
        limit=fresh.of(series),
    )


def _unanswered(
    series: Series, edge: datetime | None, counted: pl.DataFrame, grace: timedelta, now: datetime
) -> list[TimeRange]:
    if edge is None:
        return []
    closed = closed_before(now, series.timeframe, grace)
    tail = [TimeRange(edge, closed)] if edge < closed else []
    # Older holes are the gap checks' business; here they would keep a running series red for ever.
    running = ~pl.col("confirmed") & (pl.col("start") >= period_of(now).start)
    holes = counted.filter(running).select("start", "end").rows()
    return [*tail, *(TimeRange(start, end) for start, end in holes)]
