"""How far a change of stored candles reaches down the line, told before anything is made again.

The grid holds a copy of each candle, so the two show which candles have changed since it was made.
What was computed notes which rows it read: where these ranges meet, it will be another, and so on
down the line. Nothing is computed here; what reads no changed row is never named.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TimeRange
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.operations.journal_book import JournalBook, Read


@dataclass(slots=True)
class Reach:
    """Which rows will be others, by layer and series."""

    book: JournalBook
    moved: dict[Read, list[TimeRange]] = field(default_factory=dict)
    causes: list[str] = field(default_factory=list)
    """The states of the stale grids that it began with."""

    def begin(self, partition: Partition, state: str) -> None:
        """Note the rows of a stale grid that will be others because candles have changed.

        Args:
            partition: the grid.
            state: another one as soon as its candles move on.
        """
        try:
            changed = _changed_candles(self.book, partition)
        except StorageError:
            # A run names what cannot be read; what rests on it is found in turn.
            return
        if changed is not None:
            self._add(partition, changed)
            self.causes.append(f"{partition}:{state}")

    def follow(self, partition: Partition, reads: int) -> bool:
        """Tell whether a partition has read rows that will be others, and note which of its own.

        Args:
            partition: derived, stored.
            reads: how many of its inputs tell of months.
        """
        ranges = list(self._met(partition, reads))
        for each in ranges:
            self._add(partition, each)
        return bool(ranges)

    def _met(self, partition: Partition, reads: int) -> Iterator[TimeRange]:
        period = partition.period
        for noted in self.book.inputs(partition)[reads:]:
            if noted.first is None or noted.last is None:
                continue
            # A row looks back as far as the first row looked, and no further.
            back = max(timedelta(0), period.start - noted.first)
            step = noted.series.timeframe.duration
            for change in self.moved.get((noted.layer, noted.series), ()):
                if change.start <= noted.last and noted.first < change.end:
                    start = max(period.start, change.start)
                    yield TimeRange(
                        start, max(start + step, min(period.end, change.end + back + step))
                    )

    def _add(self, partition: Partition, rows: TimeRange) -> None:
        self.moved.setdefault((partition.layer, partition.series), []).append(rows)


def _changed_candles(book: JournalBook, partition: Partition) -> TimeRange | None:
    series, period, store = partition.series, partition.period, book.lake.store
    names = CANDLE_SCHEMA.names()
    candles = store.read_range("ohlcv", series, period.start, period.end, columns=names)
    grid = store.read_range(
        "filled", series, period.start, period.end, columns=[*names, "is_filled"]
    )
    if candles.is_empty() or grid.is_empty():
        return None
    held = grid.filter(~pl.col("is_filled")).select(names)
    until = grid["open_time"][-1]
    new = candles.filter(pl.col("open_time") <= until).join(held, on=names, how="anti")
    gone = held.join(candles, on="open_time", how="anti")
    times = pl.concat([new["open_time"], gone["open_time"]]).sort()
    if times.is_empty():
        return None
    # Rows that are carried after the last changed candle are others, too.
    later = candles.filter(pl.col("open_time") > times[-1])["open_time"]
    return TimeRange(times[0], later[0] if later.len() else period.end)
