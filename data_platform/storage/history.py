"""What partitions held before: each replaced value, when it was fetched and what took its place.

Reads the journal's older rows and the files that the write protocol keeps under `history/`; puts
nothing there.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.storage import parquet_file
from data_platform.storage.journal import JournalRow, Key, equal, partition_key, series_key, to_row
from data_platform.storage.many_series import ManyReader
from data_platform.storage.reading import read_bytes
from data_platform.storage.tables import COMMITS, PARTITION, PARTITIONS, to_frame, to_ms, to_time

_FETCHES = pl.Schema({"first": TIME, "last": TIME, "fetched_at": TIME})

# Written once, as the journal's: every commit to a stored partition asks it.
_FETCHED_LATER = sa.select(COMMITS.c.fetched_first, COMMITS.c.fetched_last).where(
    *(COMMITS.c[name] == sa.bindparam(name) for name in PARTITION),
    COMMITS.c.fetched_at > sa.bindparam("than"),
    COMMITS.c.fetched_first.is_not(None),
)


class HistoryReader(ManyReader):
    """The reading half of the store of one lake, with what it held before."""

    def replaced(self, partition: Partition, version: int | None = None) -> pl.DataFrame:
        """Return every value of a partition that a later one has replaced.

        Args:
            partition: which one.
            version: only what this version of it replaced; None: all.

        Returns:
            open_time, `old_<column>` and `new_<column>` of each value, fetched_at (when the old
            values were fetched), replaced_at (when the new ones were; both null in layers that are
            computed), version, run_id; sorted by version and open_time. The new values are null
            where a row was removed.

        Raises:
            StorageError: a file that the journal names is not in `history/`, or was changed.
        """
        with self.state.read() as connection:
            rows = _versions(connection, partition_key(partition))
        found = [
            self._replaced_by(partition, row, rows[:number])
            for number, row in enumerate(rows)
            if row["replaced"] and version in (None, row["version"])
        ]
        return pl.concat(found, how="diagonal") if found else _nothing(partition)

    def versions(self, partition: Partition) -> list[JournalRow]:
        """Return every journal row of a partition, the oldest first."""
        with self.state.read() as connection:
            return [_to_row(row) for row in _versions(connection, partition_key(partition))]

    def telling(self, layer: str, series: Series) -> list[JournalRow]:
        """Return the commits of a series that did more than add rows at the end, and each newest.

        By feature set, month and version; a month of minutes has thousands of the others.
        """
        same = (COMMITS.c[name] == PARTITIONS.c[name] for name in PARTITION)
        tells = sa.or_(COMMITS.c.reason != "extend", COMMITS.c.id == PARTITIONS.c.commit_id)
        query = (
            sa.select(COMMITS)
            .join(PARTITIONS, sa.and_(*same))
            .where(*equal(PARTITIONS, {"layer": layer, **series_key(series)}), tells)
            .order_by(COMMITS.c.feature_set, COMMITS.c.period, COMMITS.c.version)
        )
        with self.state.read() as connection:
            return [_to_row(row) for row in connection.execute(query).mappings()]

    def rewrites(self, partition: Partition, limit: int) -> list[JournalRow]:
        """Return the newest commits that replaced a file of a partition, the newest first."""
        mine = [*equal(COMMITS, partition_key(partition)), COMMITS.c.replaced.is_not(None)]
        query = sa.select(COMMITS).where(*mine).order_by(COMMITS.c.version.desc()).limit(limit)
        with self.state.read() as connection:
            return [_to_row(row) for row in connection.execute(query).mappings()]

    def stretches(self, partition: Partition) -> list[tuple[list[JournalRow], str | None]]:
        """Return the commits of a partition, cut before each that replaced a file.

        Returns:
            Of each stretch its commits, which after the first only added rows at the end, and the
            sha256 of the file that ended it; None of the last: it is the one that is stored.
        """
        with self.state.read() as connection:
            rows = _versions(connection, partition_key(partition))
        found: list[tuple[list[JournalRow], str | None]] = []
        stretch: list[JournalRow] = []
        for row in rows:
            if row["replaced"]:
                found.append((stretch, row["replaced"]))
                stretch = []
            stretch.append(_to_row(row))
        return [*found, (stretch, None)] if stretch else found

    def kept(self, partition: Partition, sha256: str | None) -> pl.DataFrame:
        """Return the rows of a file of a partition that history keeps.

        Args:
            partition: whose file.
            sha256: the file's; None: the one that is stored now.

        Raises:
            StorageError: it is gone or was changed.
        """
        if sha256 is not None:
            return self._version(partition, sha256)
        stored = self.read(partition)
        if stored is None:
            raise StorageError(
                f"{partition}: its file is gone; what the partition held before cannot be told. "
                "Fetch it again, or put the file back from a backup."
            )
        return stored.frame

    def _replaced_by(
        self, partition: Partition, row: sa.RowMapping, before: Sequence[sa.RowMapping]
    ) -> pl.DataFrame:
        old = self._version(partition, row["replaced"])
        new = self._version(partition, row["file_sha256"]) if row["file_sha256"] else old.clear()
        names = [name for name in old.columns if name in new.columns and name != "open_time"]
        both = old.join(new, on="open_time", how="left", suffix=" new")
        differs = [pl.col(name).ne_missing(pl.col(f"{name} new")) for name in names]
        changed = both.filter(pl.any_horizontal(differs))
        return _with_fetch_times(changed, before).select(
            "open_time",
            *(pl.col(name).alias(f"old_{name}") for name in names),
            *(pl.col(f"{name} new").alias(f"new_{name}") for name in names),
            "fetched_at",
            replaced_at=pl.lit(row["fetched_at"], pl.Int64).cast(TIME),
            version=pl.lit(row["version"], pl.Int64),
            run_id=pl.lit(row["run_id"]),
        )

    def _version(self, partition: Partition, sha256: str) -> pl.DataFrame:
        kept = self.layout.history(partition, sha256)
        places = (kept, self.layout.partition(partition), self.layout.archived(partition))
        for path in places:
            content = read_bytes(path)
            if content is not None and hashlib.sha256(content).hexdigest() == sha256:
                return parquet_file.decode(content)
        raise StorageError(
            f"{partition}: {kept} is gone or was changed; what the partition held before cannot "
            "be told. Put the file back from a backup."
        )


def fetched_later(
    connection: sa.Connection, key: Key, than: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the first and last open_time that each later fetch of a partition brought."""
    found = connection.execute(_FETCHED_LATER, {**key, "than": to_ms(than)})
    edges = ((to_time(first), to_time(last)) for first, last in found)
    return [(first, last) for first, last in edges if first is not None and last is not None]


def _versions(connection: sa.Connection, key: Key) -> Sequence[sa.RowMapping]:
    query = sa.select(COMMITS).where(*equal(COMMITS, key)).order_by(COMMITS.c.version)
    return connection.execute(query).mappings().all()


def _to_row(found: sa.RowMapping) -> JournalRow:
    return to_row({**found, "rewrite_id": 0})


def _with_fetch_times(rows: pl.DataFrame, before: Sequence[sa.RowMapping]) -> pl.DataFrame:
    # Of two fetches of one candle the one that began later has won.
    given: list[tuple[Any, ...]] = [
        (row["fetched_first"], row["fetched_last"], row["fetched_at"])
        for row in before
        if row["fetched_at"] is not None and row["fetched_first"] is not None
    ]
    fetches = to_frame(given, _FETCHES)
    times = (
        rows.select("open_time")
        .join_where(
            fetches,
            pl.col("open_time") >= pl.col("first"),
            pl.col("open_time") <= pl.col("last"),
        )
        .group_by("open_time")
        .agg(pl.col("fetched_at").max())
    )
    return rows.join(times, on="open_time", how="left").sort("open_time")


def _nothing(partition: Partition) -> pl.DataFrame:
    names = [name for name in parquet_file.leading_schema(partition.layer) if name != "open_time"]
    schema = parquet_file.leading_schema(partition.layer)
    return pl.DataFrame(
        schema={
            "open_time": TIME,
            **{f"old_{name}": schema[name] for name in names},
            **{f"new_{name}": schema[name] for name in names},
            "fetched_at": TIME,
            "replaced_at": TIME,
            "version": pl.Int64(),
            "run_id": pl.String(),
        }
    )
