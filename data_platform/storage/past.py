"""The lake as it was known at a time: what had been committed by then, and nothing since.

Reads the journal's row of that time and the file that still holds its rows: the first one that the
write protocol has kept since, or the one stored now. A plain extension at the end keeps no file, so
a later file is cut at the last open_time that the journal had then; its content hash of that time
proves the cut.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import content_hash
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, periods_between
from data_platform.storage import parquet_file
from data_platform.storage.history import HistoryReader
from data_platform.storage.journal import JournalRow, equal, partition_key, series_key, to_row
from data_platform.storage.tables import COMMITS, to_ms


class PastReader:
    """One lake, read as it was known at one time."""

    def __init__(self, store: HistoryReader, time: datetime) -> None:
        """Read what had been committed to a store by a time, UTC, inclusive."""
        self._store = store
        self._time = time

    def stored_periods(
        self, layer: str, series: Series, feature_set: str | None = None
    ) -> set[Period]:
        """Return the months of a series that had been materialized, empty ones too."""
        return {row.period for row in self._rows(layer, series, feature_set) if row.period}

    def read_range(
        self,
        layer: str,
        series: Series,
        start: datetime,
        end: datetime,
        *,
        feature_set: str | None = None,
    ) -> pl.DataFrame:
        """Return the rows with start <= open_time < end that were known, across periods, sorted.

        Raises:
            StorageError: a file that held them is gone or was changed.
        """
        touched = set(periods_between(start, end)) if start < end else set()
        rows = [row for row in self._rows(layer, series, feature_set) if row.period in touched]
        frames = [self._read(row) for row in rows if row.rows]
        empty = parquet_file.leading_schema(layer).to_frame()
        frame = pl.concat(frames, how="diagonal") if frames else empty
        return frame.filter((pl.col("open_time") >= start) & (pl.col("open_time") < end))

    def _rows(self, layer: str, series: Series, feature_set: str | None) -> Sequence[JournalRow]:
        key = {"layer": layer, **series_key(series), "feature_set": feature_set or ""}
        known = [*equal(COMMITS, key), COMMITS.c.committed_at <= to_ms(self._time)]
        newest = sa.select(sa.func.max(COMMITS.c.id)).where(*known).group_by(COMMITS.c.period)
        query = sa.select(COMMITS).where(COMMITS.c.id.in_(newest)).order_by(COMMITS.c.period)
        with self._store.state.read() as connection:
            found = connection.execute(query).mappings().all()
        return [to_row({**row, "rewrite_id": 0}) for row in found]

    def _read(self, row: JournalRow) -> pl.DataFrame:
        partition = row.partition
        stored = self._store.kept(partition, self._next_replaced(partition, row))
        cut = stored.filter(pl.col("open_time") <= row.last)
        if content_hash(cut) != row.content_hash:
            raise StorageError(
                f"{partition}: what was stored at {self._time:%Y-%m-%d %H:%M:%S} UTC cannot be told"
                ": its file was lost and fetched or computed anew since, with other rows."
            )
        return cut

    def _next_replaced(self, partition: Partition, row: JournalRow) -> str | None:
        """Return the sha256 of the first file kept since; None: nothing was rewritten since."""
        later = [*equal(COMMITS, partition_key(partition)), COMMITS.c.version > row.version]
        query = sa.select(COMMITS.c.replaced).where(*later, COMMITS.c.replaced.is_not(None))
        with self._store.state.read() as connection:
            return connection.execute(query.order_by(COMMITS.c.version).limit(1)).scalar()
