"""What the journal, the ledger and the files say of whole series, read once for many partitions.

Judges nothing: whether a partition is stale stands in `derive.py`. A full history has thousands of
partitions an exchange, and each asked by itself costs milliseconds.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

import polars as pl

from data_platform.domain.candles import TimeRange, content_hash
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.operations.lake import Lake
from data_platform.storage.journal import InputRow, JournalRow
from data_platform.storage.ledger import Status
from data_platform.storage.ledger_sums import RANGE_SCHEMA
from data_platform.storage.stored_files import StoredFile

LEDGER = "ledger"
"""Names, among a partition's inputs, what was known about missing candles."""

QUIET = "ledger no_trades"
"""Names, among a partition's inputs, the times that were known to be without trades."""

Read = tuple[str, Series]
"""A layer and a series that a partition is computed from."""

_ALWAYS = TimeRange(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Month:
    """A stored month as an input."""

    start: datetime
    content: str
    """Its key and the hash of its rows."""
    last: datetime | None


@dataclass(slots=True)
class JournalBook:
    """What is known of whole series, read once each: journal rows, inputs, files and gaps."""

    lake: Lake
    is_thorough: bool = False
    """Whether files are hashed even if size, time and inode are as they were."""
    _rows: dict[Read, list[JournalRow]] = field(default_factory=dict)
    _months: dict[Read, list[Month]] = field(default_factory=dict)
    _inputs: dict[Read, dict[tuple[Period | None, str | None], tuple[InputRow, ...]]] = field(
        default_factory=dict
    )
    _files: dict[Read, list[StoredFile]] = field(default_factory=dict)
    _gaps: dict[Read, pl.DataFrame] = field(default_factory=dict)
    """By the name of the input that tells of them."""

    def rows(self, layer: str, series: Series) -> list[JournalRow]:
        """Return a layer's journal rows of a series, in the order of time."""
        read = (layer, series)
        if read not in self._rows:
            self._rows[read] = self.lake.store.journal_rows(
                layer, series.exchange, series.timeframe, series.pair
            )
        return self._rows[read]

    def row(self, partition: Partition) -> JournalRow | None:
        """Return a partition's journal row, or None when it was never committed."""
        names = (partition.period, partition.feature_set)
        rows = self.rows(partition.layer, partition.series)
        return next((row for row in rows if (row.period, row.feature_set) == names), None)

    def months(self, layer: str, series: Series) -> list[Month]:
        """Return the months of a series that hold rows, in the order of time."""
        read = (layer, series)
        if read not in self._months:
            self._months[read] = [
                Month(row.period.start, f"{row.period}:{row.content_hash}", row.last)
                for row in self.rows(layer, series)
                if row.rows and row.period
            ]
        return self._months[read]

    def newest(self, layer: str, series: Series) -> datetime | None:
        """Return the last stored open_time of a series, or None."""
        return max((it.last for it in self.months(layer, series) if it.last), default=None)

    def inputs(self, partition: Partition) -> tuple[InputRow, ...]:
        """Return what a partition was computed from."""
        read = (partition.layer, partition.series)
        if read not in self._inputs:
            self._inputs[read] = self.lake.store.inputs_of_series(*read)
        return self._inputs[read].get((partition.period, partition.feature_set), ())

    def is_as_noted(self, noted: InputRow) -> bool:
        """Tell whether the ledger says of a range what an input has noted of it."""
        if noted.first is None or noted.last is None:
            return True
        read = (noted.layer, noted.series)
        if read not in self._gaps:
            self._gaps[read] = _gaps(self.lake, noted.layer, noted.series, _ALWAYS)
        known = TimeRange(noted.first, noted.last)
        return noted == _ledger_row(noted.layer, noted.series, known, self._gaps[read])

    def is_damaged(
        self, layer: str, series: Series, period: Period | None, feature_set: str | None = None
    ) -> bool:
        """Tell whether a file of a partition, or of an export, is not what was written."""
        read = (layer, series)
        if read not in self._files:
            self._files[read] = self.lake.files.of_series(layer, series)
        own = [file for file in self._files[read] if file.belongs_to(period, feature_set)]
        return bool(self.lake.files.damaged(own, hashed=lambda _: self.is_thorough))

    def forget(self, partition: Partition) -> None:
        """Read a series again when it is next asked for: it has been written."""
        read = (partition.layer, partition.series)
        self._rows.pop(read, None)
        self._months.pop(read, None)
        self._inputs.pop(read, None)
        self._files.pop(read, None)


def ledger_input(lake: Lake, series: Series, known: TimeRange, name: str = LEDGER) -> InputRow:
    """Return, as an input, what the ledger says of the times of a range.

    Args:
        lake: whose ledger.
        series: whose gaps.
        known: the range.
        name: `LEDGER` for every gap, `QUIET` for times without trades alone.
    """
    return _ledger_row(name, series, known, _gaps(lake, name, series, known))


def _gaps(lake: Lake, name: str, series: Series, known: TimeRange) -> pl.DataFrame:
    statuses: Collection[Status] | None = {"no_trades"} if name == QUIET else None
    return lake.sums.ranges(series, known.start, known.end, statuses)


def _ledger_row(name: str, series: Series, known: TimeRange, gaps: pl.DataFrame) -> InputRow:
    if gaps.is_empty():
        return InputRow(name, series, known.start, known.end, _hash_of_nothing())
    # Rows of a series never overlap, and they are in the order of time.
    first = gaps["end"].search_sorted(known.start, "right")
    last = gaps["start"].search_sorted(known.end, "left")
    inside = gaps[first:last].select(
        pl.col("start").clip(known.start), pl.col("end").clip(upper_bound=known.end), "status"
    )
    return InputRow(name, series, known.start, known.end, content_hash(inside))


@cache
def _hash_of_nothing() -> str:
    return content_hash(RANGE_SCHEMA.to_frame().select("start", "end", "status"))
