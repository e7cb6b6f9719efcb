"""What the regular grid of one month is made of: its candles, and what those before leave.

Reads the lake alone; the formulas stand in `features/fill.py`. Where the config names a backup,
its stored candles are read over the gaps in `BACKED`, and noted like every other input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, FILLED_SCHEMA, TimeRange, places_between
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
from data_platform.operations.journal_book import QUIET, gaps_input, to_input
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Gathered, Ingredients, gathered
from data_platform.storage.journal import ABSENT, InputRow
from data_platform.storage.ledger import Status
from data_platform.storage.many_series import Stretch

BACKED: tuple[Status, ...] = ("open", "refused", "outage", "unavailable")
"""The gaps that a backup may cover: the exchange was asked and gave no candle, or gives none any
more, although there may have been trades. Not times without trades, nor before a listing or after
a delisting, where no candle is the truth; nor what nobody has asked for yet."""

NO_TRADES: tuple[Status, ...] = ("no_trades",)


def gather_filled(
    lake: Lake, partitions: Sequence[Partition], backup: str | None = None
) -> Gathered:
    """Read what the grid of some months is made of: their candles, and what those before leave.

    Args:
        lake: where candles lie.
        partitions: the months, of one exchange and timeframe.
        backup: the exchange whose candles may cover open gaps; None: none may.
    """
    months = _read(lake, partitions, backup)
    segments = _segments(lake, months, backup)
    found = {
        month.partition: _ingredients(month, segments.get(place), backup)
        for place, month in enumerate(months)
    }
    return gathered(found, fill_together)


@dataclass(frozen=True, slots=True)
class _Month:
    """What is read of one month and of the newest candle before it."""

    partition: Partition
    stored: pl.DataFrame
    """Its own candles and the newest before."""
    known: TimeRange
    """From the first of them to the grid's end."""
    quiet: pl.DataFrame
    """The gaps without trades."""
    backed: "_Backed"

    @property
    def before(self) -> pl.DataFrame:
        """Return the last candle before the month, the series' own or the backup's."""
        return self.backed.candles.slice(max(self._begin - 1, 0), min(self._begin, 1))

    @property
    def candles(self) -> pl.DataFrame:
        """Return those of the month."""
        return self.backed.candles.slice(self._begin)

    @property
    def _begin(self) -> int:
        start = self.partition.period.start
        return places_between(self.backed.candles["open_time"], start, start)[0]


def _read(lake: Lake, partitions: Sequence[Partition], backup: str | None) -> list[_Month]:
    spans = [(it.series, it.period) for it in partitions]
    stretches = [Stretch(series, it.start, it.end, 1) for series, it in spans]
    candles = lake.store.read_many("ohlcv", stretches)
    newest = lake.store.newest(partitions[0].series.exchange)
    known = []
    for partition, stored in zip(partitions, candles, strict=True):
        series, start = partition.series, partition.period.start
        last = newest.get((series.pair.key, series.timeframe.name))
        first = stored["open_time"][0] if stored.height else start
        known.append(TimeRange(first, max(first, _grid_end(partition, stored, last))))
    asked = [(it.series, span) for it, span in zip(partitions, known, strict=True)]
    quiet = lake.sums.ranges_of_many(asked, NO_TRADES)
    return [
        _Month(it, stored, span, gaps, _back(lake, it.series, backup, stored, span))
        for it, stored, span, gaps in zip(partitions, candles, known, quiet, strict=True)
    ]


_Segment = tuple[datetime, InputRow]
"""A segment, and the row of the grid that told of it, as an input."""


def _segments(lake: Lake, months: Sequence[_Month], backup: str | None) -> dict[int, _Segment]:
    """Return the segment that the last candle before each month lies in, by the month's place."""
    # The month before has worked it out, where its grid can be read; else look back for the
    # newest break. Both give the same: a segment is named by its first candle.
    lasts = {
        place: before["open_time"][0]
        for place, month in enumerate(months)
        if (before := month.before).height
    }
    parts = [months[place].partition for place in lasts]
    found: dict[int, _Segment] = {}
    for (place, last), row in zip(lasts.items(), _grids_before(lake, parts), strict=True):
        partition = months[place].partition
        if row.height and row["open_time"][0] >= last:
            noted = to_input("filled", partition.series, row)
            found[place] = (row["segment"][0], noted)
        else:
            segment = _look_back(lake, partition, backup)
            found[place] = (segment, InputRow("filled", partition.series, None, None, ABSENT))
    return found


def _grids_before(lake: Lake, partitions: Sequence[Partition]) -> list[pl.DataFrame]:
    """Return the last grid row before each month; none where it cannot be read."""
    columns = ["open_time", "segment"]
    stretches = [Stretch(it.series, it.period.start, it.period.start, 1) for it in partitions]
    try:
        return lake.store.read_many("filled", stretches, columns)
    except DamagedFileError:
        if len(partitions) == 1:
            return [FILLED_SCHEMA.to_frame().select(columns)]
        return [row for it in partitions for row in _grids_before(lake, [it])]


def _look_back(lake: Lake, partition: Partition, backup: str | None) -> datetime:
    series, start = partition.series, partition.period.start
    rows, first = 0, lake.store.first(series)
    while True:
        rows = max(2 * rows, 5_000)
        own = lake.store.read_before("ohlcv", series, start, rows)
        known = TimeRange(own["open_time"][0], start)
        times = _back(lake, series, backup, own, known).candles["open_time"]
        quiet = _ranges(lake, series, known, NO_TRADES)
        segment = segment_of_last(times, quiet, series.timeframe)
        if segment > times[0] or times[0] == first:
            return segment


def _ingredients(
    month: _Month, before: _Segment | None, backup: str | None
) -> tuple[Ingredients, Sparse]:
    series, period, known = month.partition.series, month.partition.period, month.known
    inputs = [
        to_input("ohlcv", series, month.stored),
        gaps_input(month.quiet, series, known, QUIET),
    ]
    carry, since = None, {}
    if before is not None:
        segment, grid = before
        carry = Carry(month.before, segment)
        inputs.append(grid)
        if grid.first:
            since = {("ohlcv", series): known.start, ("filled", series): grid.first}
    if backup is not None:
        other = ("ohlcv", backup_of(series, backup))
        inputs.append(to_input(*other, month.backed.taken))
        if carry is None or since:
            since[other] = month.backed.since or period.end
    sparse = Sparse(
        month.candles,
        carry,
        _clipped(month.quiet, known),
        series.timeframe,
        period.start,
        max(known.end, period.start),
    )
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


def _grid_end(partition: Partition, stored: pl.DataFrame, newest: datetime | None) -> datetime:
    period = partition.period
    if newest is not None and newest >= period.end:
        return period.end
    if stored.is_empty():
        return period.start
    end: datetime = stored["open_time"][-1] + partition.series.timeframe.duration
    return end


def _ranges(
    lake: Lake, series: Series, known: TimeRange, statuses: Sequence[Status]
) -> list[TimeRange]:
    return _clipped(lake.sums.ranges(series, known.start, known.end, statuses), known)


def _clipped(gaps: pl.DataFrame, known: TimeRange) -> list[TimeRange]:
    times = gaps.select("start", "end").rows()
    return [TimeRange(max(first, known.start), min(last, known.end)) for first, last in times]
