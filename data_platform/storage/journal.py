"""The journal: one row for each time that a partition changed, and which row is the newest.

Holds its rows as values and its statements; when a row is due is the write protocol's business.
Rows are never changed or deleted, so that what was known at any time can be told later.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series, from_key
from data_platform.domain.periods import Period, to_period
from data_platform.domain.timeframes import to_timeframe
from data_platform.storage.tables import (
    COMMITS,
    INPUTS,
    PARTITION,
    PARTITIONS,
    SERIES,
    to_ms,
    to_time,
)

ABSENT = "absent"
"""Stands for the content of what is not stored."""


@dataclass(frozen=True, slots=True)
class InputRow:
    """Rows that a derived partition was computed from."""

    layer: str
    series: Series
    first: datetime | None
    """Opening time of the first row read; None when there was none."""
    last: datetime | None
    """Opening time of the last row read."""
    content_hash: str
    """Of exactly those rows, or `ABSENT`."""


@dataclass(frozen=True, slots=True)
class CommitNote:
    """What the journal should say about a commit beside what the store sees itself."""

    reason: str | None = None
    """Why; None: `new`, `extend`, `repair`, `correction` or `recomputed`, told from the change."""
    source: str = ""
    """Where the rows came from: an exchange, a layer."""
    run_id: str = ""
    code_version: str = ""
    """Of the layer, by hand, with the hash of its parameters; never a git commit."""
    fetched_at: datetime | None = None
    """When the fetch of the rows began; None: newer than anything stored."""
    inputs: tuple[InputRow, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalRow:
    """The state of one partition after one commit."""

    id: int
    layer: str
    series: Series
    feature_set: str | None
    period: Period | None
    """None for an export file of a whole pair."""
    version: int
    """Counts up from 1 in each partition."""
    rows: int
    first: datetime | None
    last: datetime | None
    content_hash: str
    """Of the rows; of an export: of the candles it was made from."""
    file_sha256: str | None
    """None when there is no file, since there are no rows."""
    path: str | None
    """Below the lake's root."""
    months: tuple[Period, ...]
    """Those inside an export file of a whole pair; else empty."""
    schema_version: int
    source: str
    fetched_at: datetime | None
    run_id: str
    code_version: str
    reason: str
    committed_at: datetime
    rewrite_id: int
    """Of the partition's newest row that did more than add rows at the end; 0: none did."""

    @property
    def partition(self) -> Partition:
        """Return what it tells of.

        Raises:
            StorageError: it is an export file of a whole pair, which is none.
        """
        if self.period is None:
            raise StorageError(f"{self.layer} of {self.series} has no file of one period.")
        return Partition(self.layer, self.series, self.period, self.feature_set)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the write protocol tells the journal about a new row."""

    rows: int
    first: datetime | None
    last: datetime | None
    content_hash: str
    file_sha256: str | None
    path: str | None
    reason: str
    schema_version: int
    replaced: str | None = None
    """The sha256 of the file that this one replaces and that history keeps."""
    months: tuple[Period, ...] = ()
    fetched: tuple[datetime, datetime] | None = None
    """First and last open_time of the rows that the fetch brought."""
    added: int = 0
    changed: int = 0
    refused: int = 0


Key = Mapping[str, str]
"""The six columns that name a partition."""


def partition_key(partition: Partition) -> Key:
    """Return the columns that name a partition."""
    return file_key(partition.layer, partition.series, partition.period, partition.feature_set)


def file_key(
    layer: str, series: Series, period: Period | None, feature_set: str | None = None
) -> Key:
    """Return the columns that name a partition or an export file."""
    return {
        "layer": layer,
        **series_key(series),
        "feature_set": feature_set or "",
        "period": period.key if period else "",
    }


def series_key(series: Series) -> Key:
    """Return the columns that name a series."""
    return {
        "exchange": series.exchange,
        "timeframe": series.timeframe.name,
        "pair": series.pair.key,
    }


@lru_cache(maxsize=4096)
def to_series(exchange: str, timeframe: str, pair: str) -> Series:
    """Return the series that three columns name."""
    return Series(exchange, from_key(pair), to_timeframe(timeframe))


def append_row(
    connection: sa.Connection, key: Key, newest: JournalRow | None, entry: Entry, note: CommitNote
) -> JournalRow:
    """Add a row after the newest, make it the newest of its partition and note its inputs.

    The newest so far is what the holder of the partition's lock has read as such.

    Raises:
        StorageError: another writer added the same version: the lock was not held.
    """
    version = newest.version + 1 if newest else 1
    values = _values(key, entry, note) | {"version": version}
    try:
        commit_id = connection.execute(_ADDED, values).scalar_one()
    except sa.exc.IntegrityError as error:
        raise StorageError(f"two writers committed version {version} of {dict(key)}.") from error
    rewrite_id = commit_id if entry.replaced else newest.rewrite_id if newest else 0
    head = {"commit_id": commit_id, "rewrite_id": rewrite_id}
    if newest is None:
        connection.execute(_HEAD_ADDED, {**key, **head})
    else:
        named = {f"own_{name}": value for name, value in key.items()}
        connection.execute(_HEAD_MOVED, {**named, **head})
    if note.inputs:
        connection.execute(_INPUTS_ADDED, _input_values(commit_id, note.inputs))
    return to_row({**values, "id": commit_id, "rewrite_id": rewrite_id})


def newest_row(connection: sa.Connection, key: Key) -> JournalRow | None:
    """Return the newest row of a partition, or None when it was never committed."""
    found = connection.execute(_NEWEST_OF, key).mappings().first()
    return to_row(found) if found else None


HEADS = PARTITIONS.join(COMMITS, COMMITS.c.id == PARTITIONS.c.commit_id)
"""The journal cut down to the newest row of each partition."""

NEWEST = sa.select(COMMITS, PARTITIONS.c.rewrite_id).select_from(HEADS)

# Written once: to build a statement costs SQLAlchemy as much as SQLite needs to carry it out.
_NEWEST_OF = NEWEST.where(*(PARTITIONS.c[name] == sa.bindparam(name) for name in PARTITION))
_ADDED = COMMITS.insert().returning(COMMITS.c.id)
_HEAD_ADDED = PARTITIONS.insert()
_INPUTS_ADDED = INPUTS.insert()
_HEAD_MOVED = (
    PARTITIONS.update()
    .where(*(PARTITIONS.c[name] == sa.bindparam(f"own_{name}") for name in PARTITION))
    .values(commit_id=sa.bindparam("commit_id"), rewrite_id=sa.bindparam("rewrite_id"))
)


def equal(table: sa.Table, key: Key) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a table's columns have the values of a key."""
    return [table.c[name] == value for name, value in key.items()]


def among(table: sa.Table, series: Collection[Series]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a row tells of some series of one exchange and timeframe."""
    first = next(iter(series))
    return [
        table.c.exchange == first.exchange,
        table.c.timeframe == first.timeframe.name,
        table.c.pair.in_([each.pair.key for each in series]),
    ]


def _values(key: Key, entry: Entry, note: CommitNote) -> dict[str, Any]:
    first, last = entry.fetched or (None, None)
    return {
        **key,
        "rows": entry.rows,
        "first_open": to_ms(entry.first),
        "last_open": to_ms(entry.last),
        "content_hash": entry.content_hash,
        "file_sha256": entry.file_sha256,
        "path": entry.path,
        "replaced": entry.replaced,
        "months": json.dumps([month.key for month in entry.months]),
        "schema_version": entry.schema_version,
        "source": note.source,
        "fetched_at": to_ms(note.fetched_at),
        "fetched_first": to_ms(first),
        "fetched_last": to_ms(last),
        "run_id": note.run_id,
        "code_version": note.code_version,
        "reason": entry.reason,
        "added": entry.added,
        "changed": entry.changed,
        "refused": entry.refused,
        "committed_at": to_ms(datetime.now(UTC)),
    }


def _input_values(commit_id: int, inputs: Sequence[InputRow]) -> list[dict[str, Any]]:
    return [
        {
            "commit_id": commit_id,
            "position": position,
            "layer": each.layer,
            **series_key(each.series),
            "first_open": to_ms(each.first),
            "last_open": to_ms(each.last),
            "content_hash": each.content_hash,
        }
        for position, each in enumerate(inputs)
    ]


def to_row(found: Mapping[str, Any] | sa.RowMapping) -> JournalRow:
    """Return a row of the table `commits` as a value."""
    return JournalRow(
        id=found["id"],
        layer=found["layer"],
        series=to_series(*(found[name] for name in SERIES)),
        feature_set=found["feature_set"] or None,
        period=to_period(found["period"]) if found["period"] else None,
        version=found["version"],
        rows=found["rows"],
        first=to_time(found["first_open"]),
        last=to_time(found["last_open"]),
        content_hash=found["content_hash"],
        file_sha256=found["file_sha256"],
        path=found["path"],
        months=tuple(to_period(key) for key in json.loads(found["months"])),
        schema_version=found["schema_version"],
        source=found["source"],
        fetched_at=to_time(found["fetched_at"]),
        run_id=found["run_id"],
        code_version=found["code_version"],
        reason=found["reason"],
        committed_at=to_time(found["committed_at"]) or datetime.now(UTC),
        rewrite_id=found["rewrite_id"],
    )
