"""Why grid times hold no candle, as far as one fetch can tell.

Turns the windows of a fetch and the rows the audit refused into ledger rows; reads nothing.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import TimeRange, join_ranges, missing_ranges, subtract_ranges
from data_platform.domain.exchanges import QuietCandle
from data_platform.domain.markets import Series
from data_platform.sources.base import Window
from data_platform.storage.ledger import Gap, Status

REFUSED_RETRY = timedelta(hours=1)
"""An exchange that sent a broken candle may mend it; asking at every tick would not help."""

MAX_REASON = 200
"""Characters of an error that the ledger keeps."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one fetch says about a slice of one series, and what was known before."""

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
    known: Sequence[Gap] = ()
    """The ledger's rows that touch the slice, in time order."""

    @property
    def slice(self) -> TimeRange:
        """Return the range that the windows cover."""
        return TimeRange(self.windows[0].start, self.windows[-1].end)


def explain_holes(times: pl.Series, evidence: Evidence) -> list[Gap]:
    """Return one ledger row for each run of missing times with the same reason.

    What a valid answer has confirmed stays as it was where this fetch failed or came too late.

    Args:
        times: stored opening times, sorted, unique; at least those of the slice.
        evidence: what the fetch says.
    """
    timeframe = evidence.series.timeframe
    covered = evidence.slice
    holes = missing_ranges(times, timeframe, covered.start, covered.end)
    if not holes:
        return []
    times_refused = {timeframe.floor(time) for time in evidence.refused.unique()}
    refused = [TimeRange(time, time + timeframe.duration) for time in times_refused]
    confirmed = [gap for gap in evidence.known if gap.confirmed]
    gaps: list[Gap] = []
    for window in evidence.windows:
        inside = _inside(holes, TimeRange(window.start, window.end))
        if window.outcome != "answered":
            kept = [piece for part in inside for piece in _pieces(confirmed, part)]
            gaps += kept
            inside = subtract_ranges(inside, [TimeRange(gap.start, gap.end) for gap in kept])
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
        status, confirmed, reason = "open", False, _first_reason(evidence.windows)
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
        tries=_tries(evidence, part),
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
        tries=_tries(evidence, part),
        next_try=window.fetched_at + REFUSED_RETRY,
    )


def _first_reason(windows: Iterable[Window]) -> str:
    # One for the whole slice: rows with different reasons would be joined into a long list.
    reasons = (str(window.error) for window in windows if window.error)
    return next(reasons, "no valid answer")[:MAX_REASON]


def _tries(evidence: Evidence, part: TimeRange) -> int:
    return 1 + max((gap.tries for gap in _pieces(evidence.known, part)), default=0)


def _pieces(gaps: Sequence[Gap], part: TimeRange) -> Iterator[Gap]:
    first = bisect_right(gaps, part.start, key=lambda gap: gap.end)
    for number in range(first, len(gaps)):
        gap = gaps[number]
        if gap.start >= part.end:
            return
        yield replace(gap, start=max(gap.start, part.start), end=min(gap.end, part.end))


def _inside(ranges: Sequence[TimeRange], limit: TimeRange) -> list[TimeRange]:
    found = []
    first = bisect_right(ranges, limit.start, key=lambda part: part.end)
    for number in range(first, len(ranges)):
        part = ranges[number]
        if part.start >= limit.end:
            break
        found.append(TimeRange(max(part.start, limit.start), min(part.end, limit.end)))
    return found
