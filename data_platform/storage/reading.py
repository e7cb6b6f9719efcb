"""Read partitions: every byte that leaves the lake is one the journal vouches for.

Holds the reading half of the store. A file is opened once and read whole, so that a writer that
renames a new one over it is never noticed; its sha256 is compared with the journal's (0.5 ms for a
month of 1m), since a flipped bit reads as a wrong candle in 722 of 1000 trials.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl

from data_platform.domain.candles import TIME, content_hash, places_between
from data_platform.domain.errors import ArchivedError, StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.storage import footer, parquet_file
from data_platform.storage.current import Current
from data_platform.storage.heads import JournalReader, rows_of_series
from data_platform.storage.journal import ABSENT, JournalRow
from data_platform.storage.layout import is_archived
from data_platform.storage.needed_months import needed_months

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a partition holds."""

    frame: pl.DataFrame
    """Sorted by `open_time`."""
    version: str
    """An opaque token, to be handed to `commit` as `expected`."""


class PartitionReader(JournalReader):
    """The reading half of the store of one lake."""

    def read(self, partition: Partition, columns: Sequence[str] | None = None) -> Stored | None:
        """Return a partition's rows and version, or None when no file is there.

        Args:
            partition: which one.
            columns: only these; None: all.

        Raises:
            DamagedFileError: the file is torn, changed or not ours.
            StorageError: it cannot be read.
        """
        current = self._current(partition, columns)
        if current.frame is None:
            return None
        return Stored(current.frame, current.version)

    def read_range(
        self,
        layer: str,
        series: Series,
        start: datetime,
        end: datetime,
        *,
        feature_set: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return the stored rows with start <= open_time < end, across periods, sorted.

        Args:
            layer: which table.
            series: whose rows.
            start: first time.
            end: end, exclusive.
            feature_set: `<name>-v<version>` in the layer features.
            columns: only these; None: all, null where an older partition lacks one.

        Raises:
            DamagedFileError: a journalled file is gone, torn or changed.
        """
        asked = (layer, series, start, end, 0)
        return self.read_with_history(*asked, feature_set=feature_set, columns=columns)

    def read_before(
        self,
        layer: str,
        series: Series,
        time: datetime,
        rows: int,
        *,
        feature_set: str | None = None,
    ) -> pl.DataFrame:
        """Return the newest `rows` stored rows with open_time < time, sorted.

        As `read_with_history`, of a range without any time.
        """
        return self.read_with_history(layer, series, time, time, rows, feature_set=feature_set)

    def read_with_history(  # noqa: PLR0913  # a range, and by name what of it
        self,
        layer: str,
        series: Series,
        start: datetime,
        end: datetime,
        rows: int,
        *,
        feature_set: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return the rows with start <= open_time < end and the newest `rows` before, sorted.

        Args:
            layer: which table.
            series: whose rows.
            start: first time.
            end: end, exclusive.
            rows: how many before; fewer are returned when fewer are stored.
            feature_set: `<name>-v<version>` in the layer features.
            columns: only these; None: all, null where an older partition lacks one.

        Raises:
            DamagedFileError: a journalled file is gone, torn or changed.
        """
        found = self._months(layer, series, feature_set)
        frame = self._read_rows(layer, needed_months(found, start, end, rows), columns)
        first, last = places_between(frame["open_time"], start, end)
        first = max(0, first - rows)
        inside = frame.slice(first, last - first)
        return inside if columns is None else inside.select(it for it in columns if it in inside)

    def times(self, layer: str, series: Series, start: datetime, end: datetime) -> pl.Series:
        """Return the stored opening times with start <= open_time < end, sorted.

        For planning what to fetch: a journalled file that is gone counts as not stored, so that
        moving a damaged file away and fetching again repairs it. Of an archived month that is not
        here every time counts as stored: nothing of it is asked for again.

        Args:
            layer: which table; not features.
            series: whose times.
            start: first time.
            end: end, exclusive.

        Raises:
            DamagedFileError: a journalled file is torn or changed.
        """
        rows = needed_months(self._months(layer, series, None), start, end, 0)
        there = [row for row in rows if self._is_there(row)]
        away = [row for row in rows if is_archived(row.path) and row not in there]
        times = self._read_rows(layer, there, ["open_time"])["open_time"]
        if away:
            times = pl.concat([times, *(_grid(row) for row in away)]).sort()
        return times.filter(times.is_between(start, end, closed="left"))

    def files(
        self,
        layer: str,
        series: Series,
        periods: Iterable[Period],
        feature_set: str | None = None,
    ) -> list[Path]:
        """Return the files of a series that the journal knows, in the order of time.

        Args:
            layer: which table.
            series: whose files.
            periods: only of these months.
            feature_set: `<name>-v<version>` in the layer features.
        """
        wanted, rows = set(periods), self._months(layer, series, feature_set)
        return [self.root / row.path for row in rows if row.path and row.period in wanted]

    def _months(self, layer: str, series: Series, feature_set: str | None) -> list[JournalRow]:
        with self.state.read() as connection:
            return rows_of_series(connection, layer, series, feature_set)

    def _is_there(self, row: JournalRow) -> bool:
        return row.path is not None and (self.root / row.path).exists()

    def _current(
        self,
        partition: Partition,
        columns: Sequence[str] | None = None,
        *,
        is_replaced: bool = False,
    ) -> Current:
        row = self.journal(partition)
        path = self._place(partition, row)
        place = self.layout.relative(path)
        content = read_bytes(path)
        if content is None:
            if is_archived(place) and not is_replaced:
                raise _away(partition, path)
            if row is not None and row.rows:
                _log.warning("%s: %s is gone; it counts as not stored.", partition, path)
            return Current(row, b"", ABSENT, ABSENT, place)
        sha = hashlib.sha256(content).hexdigest()
        if row is not None and sha == row.file_sha256:
            footer.refuse_newer(partition, row.schema_version)
            parse = partial(parquet_file.decode, content, None if columns is None else [*columns])
            return Current(row, content, row.content_hash, sha, place, parse)
        if is_replaced:
            return Current(row, content, ABSENT, sha, place)
        # A crash between rename and journal leaves a whole file that the journal does not know.
        frame = parquet_file.inspect(partition, content, str(path), row.rows if row else 0)
        known = content_hash(frame)
        frame = frame if columns is None else frame.select(columns)
        return Current(row, content, known, sha, place, lambda: frame)

    def _place(self, partition: Partition, row: JournalRow | None) -> Path:
        """Return where the file of a partition lies: among the tables before the archive."""
        place, archived = self.layout.partition(partition), self.layout.archived(partition)
        if not place.exists() and (is_archived(row.path) if row else archived.exists()):
            return archived
        return place

    def _read_rows(
        self, layer: str, rows: Sequence[JournalRow], columns: Sequence[str] | None
    ) -> pl.DataFrame:
        wanted = None if columns is None else ["open_time", *columns]
        names = None if wanted is None else list(dict.fromkeys(wanted))
        contents = [self._vouched(row) for row in rows]
        if contents:
            return parquet_file.decode_many(contents, names)
        empty = parquet_file.leading_schema(layer).to_frame()
        return empty if names is None else empty.select(each for each in names if each in empty)

    def _vouched(self, row: JournalRow) -> bytes:
        partition = row.partition
        if row.path is None:
            raise StorageError(f"{row.layer} of {row.series} has no file of one period.")
        footer.refuse_newer(partition, row.schema_version)
        content = read_bytes(self.root / row.path)
        if content is None and is_archived(row.path):
            raise _away(partition, self.root / row.path)
        if content is None:
            raise parquet_file.damaged(partition, row.path, f"gone; {row.rows} rows were stored")
        if hashlib.sha256(content).hexdigest() != row.file_sha256:
            parquet_file.inspect(partition, content, str(self.root / row.path), row.rows)
        return content


def read_bytes(path: Path) -> bytes | None:
    """Return the whole content of a file, or None when it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}.") from error


def _grid(row: JournalRow) -> pl.Series:
    """Return every time from the first to the last one that a row tells of."""
    if row.first is None or row.last is None:
        return pl.Series("open_time", [], TIME)
    step = row.series.timeframe.duration
    return pl.datetime_range(row.first, row.last, step, eager=True).cast(TIME).rename("open_time")


def _away(partition: Partition, path: Path) -> ArchivedError:
    return ArchivedError(
        f"{partition} was archived by retention, and {path} is not there. Put the folder archive/ "
        "back, or mount it there; its candles are known and are not fetched again."
    )
