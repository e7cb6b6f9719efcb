"""What the regular grid of one month is made of: its candles, and what those before leave.

Reads the lake alone; the formulas stand in `features/fill.py`. Where the config names a backup,
its stored candles are read over the gaps in `BACKED`, and noted like every other input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, FILLED_SCHEMA, TimeRange
from data_platform.domain.errors import DamagedFileError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.features.fill import (
    Carry,
    Sparse,
    add_backup,
    fill_together,
    segment_of_last,
    to_backed,
)
from data_platform.operations.journal_book import QUIET, ledger_input, to_input
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Gathered, Ingredients, gathered
from data_platform.storage.journal import ABSENT, InputRow
from data_platform.storage.ledger import Status

BACKED: tuple[Status, ...] = ("open", "refused", "outage", "unavailable")
"""The gaps that a backup may cover: the exchange was asked and gave no candle, or gives none any
more, although there may have been trades. Not times without trades, nor before a listing or after
a delisting, where no candle is the truth; nor what nobody has asked for yet."""


def gather_filled(
    lake: Lake, partitions: Sequence[Partition], backup: str | None = None
) -> Gathered:
    """Read what the grid of some months is made of: their candles, and what those before leave.

    Args:
        lake: where candles lie.
        partitions: the months.
        backup: the exchange whose candles may cover open gaps; None: none may.
    """
    found = {partition: _gather(lake, partition, backup) for partition in partitions}
    return gathered(found, fill_together)


def _gather(lake: Lake, partition: Partition, backup: str | None) -> tuple[Ingredients, Sparse]:
    series, period = partition.series, partition.period
    stored = lake.store.read_with_history("ohlcv", series, period.start, period.end, 1)
    end = _grid_end(lake, partition, stored)
    start = stored["open_time"][0] if stored.height else period.start
    known = TimeRange(start, max(start, end))
    quiet = _quiet_times(lake, series, known)
    inputs = [to_input("ohlcv", series, stored), ledger_input(lake, series, known, QUIET)]
    backed = _back(lake, series, backup, stored, known)
    before, candles = _cut(backed.candles, period.start)
    carry, since = None, {}
    if before.height:
        look = _Look(lake, series, backup, before["open_time"][0], period.start)
        segment, grid = look.segment()
        carry = Carry(before, segment)
        inputs.append(grid)
        if grid.first:
            since = {("ohlcv", series): start, ("filled", series): grid.first}
    if backup is not None:
        inputs.append(to_input("ohlcv", backup_of(series, backup), backed.taken))
        if carry is None or since:
            since["ohlcv", backup_of(series, backup)] = backed.since or period.end
    until = max(end, period.start)
    sparse = Sparse(candles, carry, quiet, series.timeframe, period.start, until)
    return Ingredients(tuple(inputs), since=since), sparse


def backup_of(series: Series, backup: str) -> Series:
    """Return the series of another exchange that may cover gaps: the same pair and timeframe."""
    return replace(series, exchange=backup)


@dataclass(frozen=True, slots=True)
class _Backed:
    candles: pl.DataFrame
    """`BACKED_SCHEMA`: the own candles, and the backup's in open gaps."""
    since: datetime | None
    """Where the first open gap begins; None without one."""

    @property
    def taken(self) -> pl.DataFrame:
        rows = self.candles.filter(pl.col("fill_method").is_not_null())
        return rows.select(CANDLE_SCHEMA.names())


def _back(
    lake: Lake, series: Series, backup: str | None, own: pl.DataFrame, known: TimeRange
) -> _Backed:
    gaps = _ranges(lake, series, known, BACKED) if backup is not None else []
    if backup is None or not gaps:
        return _Backed(to_backed(own), None)
    within = (gaps[0].start, gaps[-1].end)
    others = lake.store.read_range("ohlcv", backup_of(series, backup), *within)
    return _Backed(add_backup(own, others, gaps, backup), gaps[0].start)


def _cut(candles: pl.DataFrame, start: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the last candle before a time, and those from it on."""
    is_before = pl.col("open_time") < start
    return candles.filter(is_before).tail(1), candles.filter(~is_before)


def _grid_end(lake: Lake, partition: Partition, stored: pl.DataFrame) -> datetime:
    series, period = partition.series, partition.period
    newest = lake.store.newest(series.exchange).get((series.pair.key, series.timeframe.name))
    if newest is not None and newest >= period.end:
        return period.end
    if stored.is_empty():
        return period.start
    end: datetime = stored["open_time"][-1] + series.timeframe.duration
    return end


@dataclass(frozen=True, slots=True)
class _Look:
    """A look back for the segment that the last candle before a month lies in."""

    lake: Lake
    series: Series
    backup: str | None
    last: datetime
    """That candle, the series' own or the backup's."""
    start: datetime
    """Of the month."""

    def segment(self) -> tuple[datetime, InputRow]:
        """Return the segment, and the row of the grid that told, as an input."""
        # The month before has worked it out, where its grid can be read; else look back for the
        # newest break. Both give the same: a segment is named by its first candle.
        before = self._filled_before()
        if before.height and before["open_time"][0] >= self.last:
            row = before.select("open_time", "segment")
            return row["segment"][0], to_input("filled", self.series, row)
        rows, first = 0, self.lake.store.first(self.series)
        while True:
            rows = max(2 * rows, 5_000)
            own = self.lake.store.read_before("ohlcv", self.series, self.start, rows)
            known = TimeRange(own["open_time"][0], self.start)
            times = _back(self.lake, self.series, self.backup, own, known).candles["open_time"]
            quiet = _quiet_times(self.lake, self.series, known)
            segment = segment_of_last(times, quiet, self.series.timeframe)
            if segment > times[0] or times[0] == first:
                return segment, InputRow("filled", self.series, None, None, ABSENT)

    def _filled_before(self) -> pl.DataFrame:
        try:
            return self.lake.store.read_before("filled", self.series, self.start, 1)
        except DamagedFileError:
            return FILLED_SCHEMA.to_frame()


def _quiet_times(lake: Lake, series: Series, known: TimeRange) -> list[TimeRange]:
    return _ranges(lake, series, known, ("no_trades",))


def _ranges(
    lake: Lake, series: Series, known: TimeRange, statuses: Sequence[Status]
) -> list[TimeRange]:
    gaps = lake.sums.ranges(series, known.start, known.end, statuses).select("start", "end")
    return [TimeRange(max(first, known.start), min(last, known.end)) for first, last in gaps.rows()]
