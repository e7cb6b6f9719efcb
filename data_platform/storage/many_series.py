"""What the journal says and the files hold of many series, each with a handful of questions.

Asked one by one, a series costs SQLAlchemy more than all of them cost SQLite, and opening a file
costs polars more than decoding a small one.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.candles import places_between
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.storage import parquet_file
from data_platform.storage.heads import inputs_by_partition
from data_platform.storage.journal import NEWEST, InputRow, JournalRow, among, to_row
from data_platform.storage.needed_months import needed_months
from data_platform.storage.reading import PartitionReader
from data_platform.storage.state import State
from data_platform.storage.tables import PARTITIONS


def by_table(reads: Iterable[tuple[str, Series]]) -> Iterator[tuple[str, list[Series]]]:
    """Part layers and series, each pair once, into series of one layer, exchange and timeframe."""
    tables: dict[tuple[str, str, Timeframe], list[Series]] = {}
    for layer, series in dict.fromkeys(reads):
        tables.setdefault((layer, series.exchange, series.timeframe), []).append(series)
    for (layer, _, _), found in tables.items():
        yield layer, found


def rows_of_many(
    state: State, layer: str, series: Collection[Series]
) -> dict[Series, list[JournalRow]]:
    """Return the newest journal rows of a layer of each series, by period."""
    wanted = NEWEST.where(PARTITIONS.c.layer == layer, *among(PARTITIONS, series))
    found: dict[Series, list[JournalRow]] = {each: [] for each in series}
    with state.read() as connection:
        for row in connection.execute(wanted.order_by(PARTITIONS.c.period)).mappings():
            known = to_row(row)
            found[known.series].append(known)
    return found


def inputs_of_many(
    state: State, partitions: Collection[Partition]
) -> dict[Partition, tuple[InputRow, ...]]:
    """Return what each partition of one layer was computed from; nothing if it never was."""
    first = next(iter(partitions))
    wanted = (
        PARTITIONS.c.layer == first.layer,
        PARTITIONS.c.period.in_(sorted({it.period.key for it in partitions})),
        *among(PARTITIONS, {it.series for it in partitions}),
    )
    with state.read() as connection:
        found = inputs_by_partition(connection, wanted)
    names = {it: (it.layer, it.series.timeframe.name, it.series.pair.key) for it in partitions}
    return {
        it: found.get(name, {}).get((it.period, it.feature_set), ()) for it, name in names.items()
    }


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one series: those with start <= open_time < end, and the newest ones before."""

    series: Series
    start: datetime
    end: datetime
    rows: int = 0
    """How many before; fewer are returned when fewer are stored."""


class ManyReader(PartitionReader):
    """Reads rows of many series with few calls."""

    def read_many(
        self, layer: str, wanted: Sequence[Stretch], columns: Sequence[str] | None = None
    ) -> list[pl.DataFrame]:
        """Return the rows of each stretch, as `read_with_history` does; each file is read once.

        Args:
            layer: which table; not features.
            wanted: of which series, which rows.
            columns: only these; None: all, null where an older partition lacks one.

        Raises:
            DamagedFileError: a journalled file of any of them is gone, torn or changed.
        """
        known: dict[Series, list[JournalRow]] = {}
        for _, series in by_table((layer, it.series) for it in wanted):
            known |= rows_of_many(self.state, layer, series)
        months = [_needed(known[it.series], it) for it in wanted]
        named = {row.id: row for rows in months for row in rows}
        names = None if columns is None else list(dict.fromkeys(["open_time", *columns]))
        contents = [self._vouched(row) for row in named.values()]
        heights = [row.rows for row in named.values()]
        held = dict(zip(named, parquet_file.decode_each(contents, heights, names), strict=True))
        empty = self._read_rows(layer, [], columns)
        return [
            _cut(_joined([held[row.id] for row in rows], empty), it, columns)
            for it, rows in zip(wanted, months, strict=True)
        ]


def _needed(rows: Sequence[JournalRow], wanted: Stretch) -> list[JournalRow]:
    stored = [row for row in rows if row.rows and row.feature_set is None]
    return needed_months(stored, wanted.start, wanted.end, wanted.rows)


def _joined(parts: Sequence[pl.DataFrame], empty: pl.DataFrame) -> pl.DataFrame:
    if len(parts) == 1:
        return parts[0]
    # Earlier months may still hold the columns of another configuration.
    return pl.concat(parts, how="diagonal") if parts else empty


def _cut(frame: pl.DataFrame, wanted: Stretch, columns: Sequence[str] | None) -> pl.DataFrame:
    first, last = places_between(frame["open_time"], wanted.start, wanted.end)
    first = max(0, first - wanted.rows)
    inside = frame.slice(first, last - first)
    return inside if columns is None else inside.select(it for it in columns if it in inside)
