"""Why grid times hold no candle, as far as one fetch can tell.

Turns the windows of a fetch and the rows the audit refused into ledger rows; reads nothing. How
long a hole is believed stands in `belief.py`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import TimeRange, join_ranges, missing_ranges, subtract_ranges
from data_platform.domain.markets import Series
from data_platform.operations.belief import (
    DELISTED_WAITS,
    SETTLED,
    Quiet,
    next_belief,
    status_of_confirmed,
)
from data_platform.sources.base import Window
from data_platform.storage.ledger import Gap, Status

REFUSED_WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""An exchange that sent a broken candle may mend it; asking at every tick would not help."""

FAILED_WAITS = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)
"""How long nobody asks by himself after the first, second, ... failure; an order does not wait."""

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
    quiet: Quiet
    known: Sequence[Gap] = ()
    """The ledger's rows that touch the slice, in time order."""
    is_known: bool = True
    """Whether any candle of the pair is stored, of whatever timeframe: it was listed once."""

    @property
    def slice(self) -> TimeRange:
        """Return the range that the windows cover."""
        return TimeRange(self.windows[0].start, self.windows[-1].end)


def explain_holes(times: pl.Series, evidence: Evidence) -> list[Gap]:
    """Return one ledger row for each run of missing times with the same reason.

    What a valid answer has confirmed stays as it was where this fetch failed or came too late. A
    hole that an answer had confirmed and that holds candles now keeps its row as `repaired`.

    Args:
        times: stored opening times, sorted, unique; at least those of the slice.
        evidence: what the fetch says.
    """
    timeframe = evidence.series.timeframe
    covered = evidence.slice
    holes = missing_ranges(times, timeframe, covered.start, covered.end)
    gaps = _repaired_gaps(evidence, holes)
    if not holes:
        return gaps
    times_refused = {timeframe.floor(time) for time in evidence.refused.unique()}
    refused = [TimeRange(time, time + timeframe.duration) for time in times_refused]
    honest = subtract_ranges(holes, refused)
    broken = join_ranges(subtract_ranges(holes, honest))
    for window in evidence.windows:
        gaps += [_refused_gap(evidence, part, window) for part, _ in _inside(broken, window)]
        for part, whole in _inside(honest, window):
            gaps += _explain(evidence, part, whole, window)
    return sorted(gaps, key=lambda gap: gap.start)


def _explain(
    evidence: Evidence, part: TimeRange, whole: TimeRange, window: Window
) -> Iterator[Gap]:
    is_after = evidence.last is None or part.start > evidence.last
    if not window.is_listed and evidence.is_known and is_after:
        yield _delisted_gap(evidence, part, window, "after_delisting")
        return
    if window.outcome == "answered":
        yield _confirmed_gap(evidence, part, whole, window)
        return
    known = [gap for gap in _pieces(evidence.known, part) if gap.confirmed]
    kept = [gap for gap in known if gap.status != "repaired"]
    for gap in kept:
        # Out of reach by now: there is no use in asking again.
        yield replace(gap, next_try=None) if window.outcome == "unavailable" else gap
    for rest in subtract_ranges([part], [TimeRange(gap.start, gap.end) for gap in kept]):
        if not window.is_listed and evidence.is_known:
            yield _delisted_gap(evidence, rest, window, "unavailable")
        else:
            yield _unanswered_gap(evidence, rest, window)


def _confirmed_gap(evidence: Evidence, part: TimeRange, whole: TimeRange, window: Window) -> Gap:
    status = status_of_confirmed(whole, evidence.first, evidence.last, evidence.quiet)
    before = [gap for gap in _pieces(evidence.known, part) if gap.confirmed]
    gap = _gap(evidence, part, window.evidence)
    if any(it.status == "outage" and it.end - it.start == part.end - part.start for it in before):
        # Other markets may have told so, and will be asked again.
        status = "outage" if status == "no_trades" else status
    if status == "open":
        tries = _tries(it for it in before if it.status == "open")
        soon = window.fetched_at + evidence.series.timeframe.duration
        return replace(gap, confirmed=True, tries=tries, next_try=soon)
    waits = evidence.quiet.is_doubtful(whole, status)
    settled = [it for it in before if it.status in SETTLED]
    tries, next_try = next_belief(settled, window.fetched_at)
    return replace(
        gap, status=status, confirmed=True, tries=tries, next_try=next_try if waits else None
    )


def _unanswered_gap(evidence: Evidence, part: TimeRange, window: Window) -> Gap:
    if window.outcome == "unavailable":
        gap = _gap(evidence, part, "older than the exchange's history")
        return replace(gap, status="unavailable", confirmed=True)
    gap = _gap(evidence, part, _first_reason(evidence.windows))
    wait = FAILED_WAITS[min(gap.tries, len(FAILED_WAITS)) - 1]
    return replace(gap, next_try=window.fetched_at + wait)


def _delisted_gap(evidence: Evidence, part: TimeRange, window: Window, status: Status) -> Gap:
    before = [it for it in _pieces(evidence.known, part) if it.status == status]
    tries, next_try = next_belief(before, window.fetched_at, DELISTED_WAITS)
    gap = _gap(evidence, part, "the exchange does not trade the pair any more")
    return replace(gap, status=status, confirmed=True, tries=tries, next_try=next_try)


def _refused_gap(evidence: Evidence, part: TimeRange, window: Window) -> Gap:
    gap = _gap(evidence, part, "a candle came and failed the audit; see quarantine")
    before = [it for it in _pieces(evidence.known, part) if it.status == "refused"]
    tries, next_try = next_belief(before, window.fetched_at, REFUSED_WAITS)
    return replace(gap, status="refused", tries=tries, next_try=next_try)


def _repaired_gaps(evidence: Evidence, holes: Sequence[TimeRange]) -> list[Gap]:
    believed = [
        gap
        for gap in _pieces(evidence.known, evidence.slice)
        if gap.confirmed and gap.status in (*SETTLED, "repaired")
    ]
    found = []
    for part in subtract_ranges([TimeRange(gap.start, gap.end) for gap in believed], holes):
        [gap] = _pieces(believed, part)
        was = f"a later answer held candles; was {gap.status}"
        repaired = _gap(evidence, part, gap.evidence if gap.status == "repaired" else was)
        found.append(replace(repaired, status="repaired", confirmed=True, tries=gap.tries))
    return found


def _gap(evidence: Evidence, part: TimeRange, reason: str) -> Gap:
    failures = (gap for gap in _pieces(evidence.known, part) if not gap.confirmed)
    return Gap(
        series=evidence.series,
        start=part.start,
        end=part.end,
        missing=evidence.series.timeframe.count(part.start, part.end),
        status="open",
        confirmed=False,
        evidence=reason,
        tries=_tries(failures),
    )


def _first_reason(windows: Iterable[Window]) -> str:
    # One for the whole slice: rows with different reasons would be joined into a long list.
    reasons = (str(window.error) for window in windows if window.error)
    return next(reasons, "no valid answer")[:MAX_REASON]


def _tries(before: Iterable[Gap]) -> int:
    return 1 + max((gap.tries for gap in before), default=0)


def _pieces(gaps: Sequence[Gap], part: TimeRange) -> Iterator[Gap]:
    first = bisect_right(gaps, part.start, key=lambda gap: gap.end)
    for number in range(first, len(gaps)):
        gap = gaps[number]
        if gap.start >= part.end:
            return
        yield replace(gap, start=max(gap.start, part.start), end=min(gap.end, part.end))


def _inside(ranges: Sequence[TimeRange], window: Window) -> Iterator[tuple[TimeRange, TimeRange]]:
    """Yield each range's part inside a window, and the whole range."""
    first = bisect_right(ranges, window.start, key=lambda part: part.end)
    for number in range(first, len(ranges)):
        whole = ranges[number]
        if whole.start >= window.end:
            return
        yield TimeRange(max(whole.start, window.start), min(whole.end, window.end)), whole
