"""What the journal, the ledger and the files say of whole series, read once for many partitions.

Judges nothing: whether a partition is stale stands in `derive.py`. A full history has thousands of
partitions an exchange, and each asked by itself costs milliseconds.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from data_platform.domain.candles import TimeRange, content_hash
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Market, Series
from data_platform.domain.periods import Period
from data_platform.domain.precision import Precision
from data_platform.operations.lake import Lake
from data_platform.storage.journal import ABSENT, InputRow, JournalRow
from data_platform.storage.ledger import Status
from data_platform.storage.ledger_months import LedgerMonths, MonthChanges
from data_platform.storage.many_series import by_table, inputs_of_many, rows_of_many
from data_platform.storage.stored_files import StoredFile

LEDGER = "ledger"
"""Names, among a partition's inputs, what was known about missing candles."""

QUIET = "ledger no_trades"
"""Names, among a partition's inputs, the times that were known to be without trades."""

Read = tuple[str, Series]
"""A layer and a series that a partition is computed from."""


@dataclass(frozen=True, slots=True)
class Month:
    """A stored month as an input."""

    start: datetime
    content: str
    """Its key and the hash of its rows."""
    first: datetime
    last: datetime


@dataclass(slots=True)
class JournalBook:
    """What is known of whole series, read once each: journal rows, inputs, files, the ledger."""

    lake: Lake
    is_thorough: bool = False
    """Whether files are hashed even if size, time and inode are as they were."""
    _rows: dict[Read, list[JournalRow]] = field(default_factory=dict)
    _named: dict[Read, dict[tuple[Period | None, str | None], JournalRow]] = field(
        default_factory=dict
    )
    _months: dict[Read, list[Month]] = field(default_factory=dict)
    _inputs: dict[Read, dict[tuple[Period | None, str | None], tuple[InputRow, ...]]] = field(
        default_factory=dict
    )
    _files: dict[Read, list[StoredFile]] = field(default_factory=dict)
    _ledger: dict[Series, MonthChanges] = field(default_factory=dict)
    _precisions: dict[str, dict[Market, Precision]] = field(default_factory=dict)
    _noted: dict[Partition, tuple[InputRow, ...]] = field(default_factory=dict)
    """The inputs of partitions that were asked for ahead."""

    @classmethod
    def of_exchange(cls, lake: Lake, exchange: str) -> "JournalBook":
        """Return a book that has read every series of an exchange, with three questions."""
        book = cls(lake)
        for row in lake.store.journal_rows(exchange=exchange):
            book._rows.setdefault((row.layer, row.series), []).append(row)
        inputs = lake.store.inputs_of_exchange(exchange)
        ledgers = LedgerMonths(lake.state).of_exchange(exchange)
        for series in {series for _, series in book._rows}:
            key = (series.timeframe.name, series.pair.key)
            book._ledger[series] = ledgers.get(key, {})
            for layer in LAYERS_BY_NAME:
                book._rows.setdefault((layer, series), [])
                book._inputs[layer, series] = inputs.get((layer, *key), {})
        return book

    def read_ahead(
        self,
        partitions: Sequence[Partition],
        reads: Callable[[Partition], Iterable[Read]],
        *,
        with_ledger: bool = False,
    ) -> None:
        """Ask, with a handful of questions, for what is not known yet of some partitions.

        Args:
            partitions: of one layer, exchange and timeframe.
            reads: the layers and series that one is computed from.
            with_ledger: whether what the ledger says of their candles is wanted, too.
        """
        own = dict.fromkeys((it.layer, it.series) for it in partitions)
        others = dict.fromkeys(read for it in partitions for read in reads(it))
        for layer, series in by_table(read for read in (own | others) if read not in self._rows):
            rows = rows_of_many(self.lake.state, layer, series)
            self._rows |= {(layer, each): rows[each] for each in series}
        for layer, series in by_table(read for read in own if read not in self._files):
            files = self.lake.files.of_many(layer, series)
            self._files |= {(layer, each): files[each] for each in series}
        if with_ledger:
            candles = (
                read for read in others if read[0] == "ohlcv" and read[1] not in self._ledger
            )
            for _, series in by_table(candles):
                months = LedgerMonths(self.lake.state).of_many(series)
                self._ledger |= {each: months.get(each, {}) for each in series}
        unknown = [it for it in partitions if it not in self._noted]
        self._noted |= inputs_of_many(self.lake.state, unknown) if unknown else {}

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
        read = (partition.layer, partition.series)
        if read not in self._named:
            rows = self.rows(*read)
            self._named[read] = {(row.period, row.feature_set): row for row in rows}
        return self._named[read].get((partition.period, partition.feature_set))

    def months(self, layer: str, series: Series) -> list[Month]:
        """Return the months of a series that hold rows, in the order of time."""
        read = (layer, series)
        if read not in self._months:
            self._months[read] = [
                Month(row.period.start, f"{row.period}:{row.content_hash}", row.first, row.last)
                for row in self.rows(layer, series)
                if row.period and row.first and row.last
            ]
        return self._months[read]

    def newest(self, layer: str, series: Series) -> datetime | None:
        """Return the last stored open_time of a series, or None."""
        return max((it.last for it in self.months(layer, series)), default=None)

    def inputs(self, partition: Partition) -> tuple[InputRow, ...]:
        """Return what a partition was computed from."""
        if partition in self._noted:
            return self._noted[partition]
        read = (partition.layer, partition.series)
        if read not in self._inputs:
            self._inputs[read] = self.lake.store.inputs_of_series(*read)
        return self._inputs[read].get((partition.period, partition.feature_set), ())

    def ledger(self, series: Series) -> MonthChanges:
        """Return how often the ledger of each month of a series has come to say otherwise."""
        if series not in self._ledger:
            self._ledger[series] = LedgerMonths(self.lake.state).of_series(series)
        return self._ledger[series]

    def is_damaged(
        self, layer: str, series: Series, period: Period | None, feature_set: str | None = None
    ) -> bool:
        """Tell whether a file of a partition, or of an export, is not what was written."""
        read = (layer, series)
        if read not in self._files:
            self._files[read] = self.lake.files.of_series(layer, series)
        own = [file for file in self._files[read] if file.belongs_to(period, feature_set)]
        return bool(self.lake.files.damaged(own, hashed=lambda _: self.is_thorough))

    def precision(self, market: Market) -> Precision:
        """Return the decimals that a market's exported candles have needed so far."""
        exchange = market.exchange
        if exchange not in self._precisions:
            self._precisions[exchange] = self.lake.instruments.of_exchange(exchange)
        return self._precisions[exchange].get(market, Precision(0, 0))

    def forget(self, partition: Partition) -> None:
        """Read a series again when it is next asked for: it has been written."""
        read = (partition.layer, partition.series)
        self._rows.pop(read, None)
        self._named.pop(read, None)
        self._months.pop(read, None)
        self._inputs.pop(read, None)
        self._files.pop(read, None)
        self._ledger.pop(partition.series, None)
        self._noted.pop(partition, None)


def ledger_input(lake: Lake, series: Series, known: TimeRange, name: str = LEDGER) -> InputRow:
    """Return, as an input, what the ledger says of the times of a range.

    Args:
        lake: whose ledger.
        series: whose gaps.
        known: the range.
        name: `LEDGER` for every gap, `QUIET` for times without trades alone.
    """
    statuses: Collection[Status] | None = {"no_trades"} if name == QUIET else None
    return gaps_input(
        lake.sums.ranges(series, known.start, known.end, statuses), series, known, name
    )


def gaps_input(gaps: pl.DataFrame, series: Series, known: TimeRange, name: str) -> InputRow:
    """Return, as an input, what gaps that were read from the ledger say of the times of a range."""
    start, end = pl.col("start").clip(known.start), pl.col("end").clip(upper_bound=known.end)
    said = gaps.select(start, end, "status")
    return InputRow(name, series, known.start, known.end, content_hash(said))


def to_input(layer: str, series: Series, frame: pl.DataFrame) -> InputRow:
    """Return the record of rows that were read."""
    if frame.is_empty():
        return InputRow(layer, series, None, None, ABSENT)
    times = frame["open_time"]
    return InputRow(layer, series, times[0], times[-1], content_hash(frame))
