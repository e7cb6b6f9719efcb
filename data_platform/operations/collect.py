"""Gather the windows of a fetch into months that can be committed.

Pure: takes results, gives slices; a slice is one request's part of one month, complete.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import polars as pl

from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, period_of, periods_between
from data_platform.sources.base import FetchRequest, FetchResult, Window


@dataclass(frozen=True, slots=True)
class Slice:
    """One request's part of one month."""

    series: Series
    period: Period
    windows: tuple[Window, ...]
    """In time order, without a hole, inside the month."""
    candles: pl.DataFrame
    """What came inside the windows, unaudited."""

    @property
    def failures(self) -> list[str]:
        """Return why windows failed."""
        return [str(window.error) for window in self.windows if window.error]

    @property
    def is_unlisted(self) -> bool:
        """Tell whether all that failed did because the exchange does not list the pair."""
        failed = [window for window in self.windows if window.error]
        return bool(failed) and not any(window.is_listed for window in failed)

    @property
    def is_lost(self) -> bool:
        """Tell whether no window was answered."""
        return all(window.outcome == "failed" for window in self.windows)


@dataclass(slots=True)
class Collector:
    """Holds the windows of months that are not complete yet."""

    _open: dict[FetchRequest, list[FetchResult]] = field(default_factory=dict)

    def add(self, result: FetchResult) -> Iterator[Slice]:
        """Take one window; yield every month that it completes."""
        waiting = self._open.setdefault(result.request, [])
        for part in _by_month(result):
            waiting.append(part)
            month = period_of(part.window.start)
            if part.window.end >= min(month.end, result.request.end):
                yield self._take(result.request)
                waiting = self._open.setdefault(result.request, [])

    def rest(self) -> Iterator[Slice]:
        """Yield what the exchange's clock cut short: months that still run."""
        for request in list(self._open):
            if self._open[request]:
                yield self._take(request)

    def _take(self, request: FetchRequest) -> Slice:
        parts = self._open.pop(request)
        return Slice(
            series=request.series,
            period=period_of(parts[0].window.start),
            windows=tuple(part.window for part in parts),
            candles=pl.concat([part.candles for part in parts]),
        )


def _by_month(result: FetchResult) -> Iterator[FetchResult]:
    window = result.window
    for month in periods_between(window.start, window.end):
        start, end = max(window.start, month.start), min(window.end, month.end)
        if (start, end) == (window.start, window.end):
            yield result
            return
        time = pl.col("open_time")
        yield FetchResult(
            result.request,
            replace(window, start=start, end=end),
            result.candles.filter((time >= start) & (time < end)),
        )
