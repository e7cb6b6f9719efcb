"""Why grid times hold no candle, as far as one fetch can tell.

Turns the windows of a fetch and the rows the audit refused into ledger rows; reads nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import TimeRange, join_ranges, missing_ranges, subtract_ranges
from data_platform.domain.exchanges import QuietCandle
from data_platform.domain.markets import Series
from data_platform.sources.base import Window
from data_platform.storage.ledger import Gap, Status

REFUSED_RETRY = timedelta(hours=1)
"""An exchange that sent a broken candle may mend it; asking at every tick would not help."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one fetch says about a slice of one series."""

    series: Series
    windows: Sequence[Window]
    """Cover the slice without a hole, in time order."""
    refused: pl.Series
    """Opening times of rows that the audit refused, dtype `TIME`."""
    first: datetime | None
    """The series' first stored candle, this fetch included."""
    last: datetime | None
    """The series' newest stored candle, this fetch included."""
    quiet_candle: QuietCandle

    @property
    def slice(self) -> TimeRange:
        """Return the range that the windows cover."""
        return TimeRange(self.windows[0].start, self.windows[-1].end)


def explain_holes(times: pl.Series, evidence: Evidence) -> list[Gap]:
    """Return one ledger row for each run of missing times with the same reason.

    Args:
        times: stored opening times, sorted, unique; at least those of the slice.
        evidence: what the fetch says.
    """
    timeframe = evidence.series.timeframe
    covered = evidence.slice
    holes = missing_ranges(times, timeframe, covered.start, covered.end)
    if not holes:
        return []
    refused = [TimeRange(time, time + timeframe.duration) for time in evidence.refused.unique()]
    gaps = []
    for window in evidence.windows:
        inside = _clip(holes, TimeRange(window.start, window.end))
        untouched = subtract_ranges(inside, refused)
        broken = join_ranges(subtract_ranges(inside, untouched))
        gaps += [_refused_gap(evidence, part, window) for part in broken]
        gaps += [_gap(evidence, part, window) for part in untouched]
    return sorted(gaps, key=lambda gap: gap.start)


def status_of_confirmed(
    hole: TimeRange, first: datetime | None, last: datetime | None, quiet_candle: QuietCandle
) -> Status:
    """Return the status of times that the exchange has confirmed to hold no candle.

    Args:
        hole: the missing times.
        first: the series' first stored candle, or None.
        last: the series' newest stored candle, or None.
        quiet_candle: what the exchange sends for a time without trades.

    Returns:
        `before_listing` before the first candle; `no_trades` or `outage` between two candles;
        `open` after the newest, where a candle may still come.
    """
    if first is None or last is None or hole.end <= first:
        return "before_listing"
    if hole.start > last:
        return "open"
    return settled_status(quiet_candle)


def settled_status(quiet_candle: QuietCandle) -> Status:
    """Return what a confirmed hole between two candles is."""
    return "no_trades" if quiet_candle == "omitted" else "outage"


def _gap(evidence: Evidence, part: TimeRange, window: Window) -> Gap:
    status: Status
    if window.outcome == "failed":
        status, confirmed, reason = "open", False, str(window.error)
    elif window.outcome == "unavailable":
        status, confirmed, reason = "unavailable", True, "older than the exchange's history"
    else:
        status = status_of_confirmed(part, evidence.first, evidence.last, evidence.quiet_candle)
        confirmed, reason = True, "a valid answer held no candle"
    retry = window.fetched_at + evidence.series.timeframe.duration if confirmed else None
    return Gap(
        series=evidence.series,
        start=part.start,
        end=part.end,
        missing=evidence.series.timeframe.count(part.start, part.end),
        status=status,
        confirmed=confirmed,
        evidence=reason,
        tries=1,
        next_try=retry if status == "open" else None,
    )


def _refused_gap(evidence: Evidence, part: TimeRange, window: Window) -> Gap:
    return Gap(
        series=evidence.series,
        start=part.start,
        end=part.end,
        missing=evidence.series.timeframe.count(part.start, part.end),
        status="refused",
        confirmed=False,
        evidence="a candle came and failed the audit; see quarantine",
        tries=1,
        next_try=window.fetched_at + REFUSED_RETRY,
    )


def _clip(ranges: Sequence[TimeRange], limit: TimeRange) -> list[TimeRange]:
    clipped = [TimeRange(max(part.start, limit.start), min(part.end, limit.end)) for part in ranges]
    return [part for part in clipped if part.start < part.end]
