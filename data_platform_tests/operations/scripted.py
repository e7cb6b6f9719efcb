"""A tiny exchange in memory for faults that no simulated exchange has: it fails on order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from data_platform.domain.candles import TimeRange, closed_before, empty_candles
from data_platform.domain.errors import SourceError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport
from data_platform.operations.update import CandleUpdate
from data_platform.operations.watch import Watch, nobody_watches
from data_platform.sources.base import AnswerTimes, FetchRequest, FetchResult, Window
from data_platform_tests.factories import GRACE
from data_platform_tests.operations.venues import NOW, rules_of


@dataclass
class ScriptedSource:
    """Serves candles as given, one window for each `page` candles; closed ones only."""

    candles: dict[Series, pl.DataFrame]
    clock: datetime = NOW
    page: int = 300
    failing: dict[Series, SourceError] = field(default_factory=dict)
    fails_at: dict[datetime, SourceError] = field(default_factory=dict)
    """Windows that hold one of these times fail."""
    unreachable: SourceError | None = None
    requests: list[FetchRequest] = field(default_factory=list)
    windows: int = 0
    opened: int = 0
    closed: int = 0

    def open(self) -> "ScriptedSource":
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def now(self) -> datetime:
        if self.unreachable:
            raise self.unreachable
        return self.clock

    @property
    def requests_made(self) -> int:
        return self.windows

    @property
    def faults(self) -> dict[str, int]:
        return {}

    @property
    def answer_times(self) -> AnswerTimes:
        return AnswerTimes()

    def fetch(self, requests: Sequence[FetchRequest]) -> Iterator[FetchResult]:
        """Yield the windows of all requests in turn, one of each."""
        self.requests += requests
        walks = [self._walk(request) for request in requests]
        while walks:
            for walk in list(walks):
                result = next(walk, None)
                if result is None:
                    walks.remove(walk)
                else:
                    yield result

    def asked(self) -> list[tuple[str, str, str]]:
        """What was asked since the last call: pair, start, end."""
        new, self.requests = self.requests, []
        return [
            (it.series.pair.key, f"{it.start:%Y-%m-%d %H:%M}", f"{it.end:%Y-%m-%d %H:%M}")
            for it in sorted(new, key=lambda it: (it.series.pair.key, it.start))
        ]

    def update(
        self,
        lake: Lake,
        partitions: Sequence[Partition],
        *,
        start: datetime | None = None,
        compare_from: datetime | None = None,
        watch: Watch | None = None,
        only: Mapping[Series, Sequence[TimeRange]] | None = None,
    ) -> LayerReport:
        return CandleUpdate(
            lake,
            self.open,
            rules_of(partitions, start=start, compare_from=compare_from, only=only),
            watch or nobody_watches(),
            clock=lambda: self.clock,
        ).run(partitions)

    def _walk(self, request: FetchRequest) -> Iterator[FetchResult]:
        step = request.series.timeframe.duration
        end = min(request.end, closed_before(self.clock, request.series.timeframe, GRACE))
        start = request.start
        while start < end:
            until = min(end, start + self.page * step)
            yield self._answer(request, start, until)
            start = until

    def _answer(self, request: FetchRequest, start: datetime, end: datetime) -> FetchResult:
        self.windows += 1
        at = [error for time, error in self.fails_at.items() if start <= time < end]
        error = self.failing.get(request.series) or next(iter(at), None)
        if error:
            window = Window(start, end, "failed", self.clock, error)
            return FetchResult(request, window, empty_candles())
        frame = self.candles.get(request.series, empty_candles())
        inside = frame.filter(pl.col("open_time").is_between(start, end, closed="left"))
        return FetchResult(request, Window(start, end, "answered", self.clock), inside)
