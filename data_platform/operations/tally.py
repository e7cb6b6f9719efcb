"""What one month of candles comes to: expected, stored, refused, and how late its series is.

Counts only what the components of a score are made of (`quality/score.py`); writes nothing.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.periods import Period
from data_platform.operations.due import SeriesStatus
from data_platform.operations.lake import Lake
from data_platform.operations.missing import COUNTED, History
from data_platform.quality.score import Delay
from data_platform.storage.ledger import Status
from data_platform.storage.quarantine import read_refused

EXCUSED: tuple[Status, ...] = ("no_trades", "before_listing", "after_delisting", "unavailable")
"""The ledger's statuses of times of which no candle is expected: what gap checks leave out."""

StoredMonth = tuple[int, datetime, datetime]
"""Candles, first and newest one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MonthCount:
    """Candles of one month."""

    expected: int
    stored: int
    refused: int | None
    """Different rows that the audit kept out; None: they cannot be read."""


@dataclass(frozen=True)
class SeriesCounter:
    """Counts the months of one series."""

    lake: Lake
    status: SeriesStatus
    """How far the series is, as of `now`."""
    history: History
    now: datetime

    @cached_property
    def wanted(self) -> TimeRange:
        """Return the times of which there should be a candle or an excuse.

        Up to the newest closed candle, but for those that are awaited within the limit of
        lateness, which are not missing yet. Behind the end of a pair that is not traded any more
        nothing is wanted.
        """
        status, timeframe = self.status, self.status.series.timeframe
        start = self.history.starts.get(status.series.pair) or status.first or self.now
        overdue = timeframe.ceil(self.now - status.limit) - timeframe.duration
        start = timeframe.ceil(start)
        known = status.answered_until or start
        end = known if status.delisting else max(known, overdue)
        return TimeRange(start, max(start, end))

    def month(self, period: Period) -> TimeRange:
        """Return the part of what is wanted that lies in a month; may be empty."""
        start = max(self.wanted.start, period.start)
        return TimeRange(start, max(start, min(self.wanted.end, period.end)))

    @property
    def delay(self) -> Delay | None:
        """Return how late the series is; None when its pair has ended and nothing is awaited.

        One that nobody ever asked for is as late as its first candle.
        """
        status = self.status
        if status.delisting:
            return None
        unasked = self.now - self.wanted.start - status.series.timeframe.duration
        late = unasked if status.answered_until is None else status.late
        return Delay(max(late, timedelta(0)), status.limit)

    def count(self, period: Period, held: StoredMonth | None) -> MonthCount:
        """Return what a month holds and should hold.

        Args:
            period: the month.
            held: what the journal says is stored of it; None: nothing.
        """
        series, month = self.status.series, self.month(period)
        excused = self.lake.sums.missing(series, month.start, month.end, EXCUSED)
        return MonthCount(
            expected=series.timeframe.count(month.start, month.end)
            - excused
            - self._undecided(month),
            stored=self._stored(month, held),
            refused=self._refused(Partition("ohlcv", series, period)),
        )

    def _undecided(self, month: TimeRange) -> int:
        """Return how many times behind the newest candle may yet turn out to be without trades."""
        series, last = self.status.series, self.status.last
        if self.history.quiet_candle != "omitted" or last is None or last >= month.end:
            return 0
        holes = self.lake.sums.ranges(series, month.start, month.end, COUNTED)
        silent = holes.filter(pl.col("confirmed") & (pl.col("start") > last))
        return sum(
            series.timeframe.count(max(start, month.start), min(end, month.end))
            for start, end in silent.select("start", "end").rows()
        )

    def _stored(self, month: TimeRange, held: StoredMonth | None) -> int:
        if held is None:
            return 0
        rows, first, _ = held
        if first >= month.start:
            return rows
        try:
            return len(self.lake.store.times("ohlcv", self.status.series, month.start, month.end))
        except StorageError as error:
            _log.warning("its candles count as missing: %s", error)
            return 0

    def _refused(self, partition: Partition) -> int | None:
        try:
            return read_refused(self.lake.store.layout, partition).height
        except StorageError as error:
            _log.warning("%s: its validity is unknown: %s", partition, error)
            return None
