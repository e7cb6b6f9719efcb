"""Quarantine: the rows that an audit refused, each with its reason; never published, never lost.

Holds where and how they are kept and read. The same rows refused again lie in the same file, so
that asking an exchange that keeps sending a broken candle does not fill the disk.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, content_hash
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.periods import to_period
from data_platform.storage import parquet_file
from data_platform.storage.atomic import publish_bytes
from data_platform.storage.journal import to_series
from data_platform.storage.layout import Layout

_NAME_LETTERS = 12


def keep_refused(layout: Layout, partition: Partition, refused: pl.DataFrame) -> Path | None:
    """Keep the rows that an audit refused.

    Args:
        layout: of the lake.
        partition: where they would have gone.
        refused: the rows with a column `reason`.

    Returns:
        The file that holds them; None when there are none.

    Raises:
        StorageError: there is no `reason`, or the file cannot be written.
    """
    if refused.is_empty():
        return None
    if "reason" not in refused.columns:
        raise StorageError(f"{partition}: refused rows without a column `reason`.")
    path = layout.quarantine(partition, content_hash(refused))
    # Sealed as a partition is: no journal row vouches for these bytes.
    publish_bytes(parquet_file.encode(partition, refused), path)
    return path


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """One file of refused rows."""

    name: str
    """What people call it: the beginning of its content's hash."""
    partition: Partition
    """Where the rows would have gone."""
    kept_at: datetime
    """When they were refused last, UTC."""
    rows: pl.DataFrame
    """A candle's columns and `reason`."""


def list_refused(layout: Layout) -> list[RefusedFile]:
    """Return every file of refused rows, the newest last.

    Raises:
        StorageError: one cannot be read.
    """
    found = [_to_refused(layout, path) for path in layout.find_quarantine()]
    return sorted(found, key=lambda file: (file.kept_at, str(file.partition), file.name))


def read_refused(layout: Layout, partition: Partition) -> pl.DataFrame:
    """Return all refused rows of a partition: a candle's columns and `reason`, sorted by time.

    Raises:
        StorageError: a file cannot be read.
    """
    frames = [_read(path) for path in sorted(layout.find_quarantine(partition))]
    empty = pl.Schema({**CANDLE_SCHEMA, "reason": pl.String()}).to_frame()
    if not frames:
        # As nearly always: `status` asks for every month that it scores.
        return empty
    rows = pl.concat([empty, *frames], how="diagonal_relaxed")
    return rows.unique(maintain_order=True).sort("open_time", nulls_last=True)


def refused_files(layout: Layout, exchange: str) -> dict[tuple[str, str, str], list[str]]:
    """Return the names of an exchange's files of refused candles, sorted.

    Returns:
        By timeframe's name, pair's key and month's key; a name is that of its content.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for path in sorted(layout.find_quarantine_of("ohlcv", exchange)):
        names = _names(layout, path)
        key = names["timeframe"], names["pair"], names["period"]
        found.setdefault(key, []).append(path.stem)
    return found


def _to_refused(layout: Layout, path: Path) -> RefusedFile:
    names = _names(layout, path)
    series = to_series(names["exchange"], names["timeframe"], names["pair"])
    layer = layout.relative(path).split("/")[1]
    partition = Partition(layer, series, to_period(names["period"]), names.get("set"))
    kept_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return RefusedFile(path.stem[:_NAME_LETTERS], partition, kept_at, _read(path))


def _names(layout: Layout, path: Path) -> dict[str, str]:
    return dict(part.split("=", 1) for part in layout.relative(path).split("/") if "=" in part)


def _read(path: Path) -> pl.DataFrame:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    fault = parquet_file.seal_fault(content)
    if fault:
        raise _unreadable(path, fault)
    return parquet_file.decode(content)


def _unreadable(path: Path, fault: str) -> StorageError:
    return StorageError(
        f"the refused rows in {path} cannot be read: {fault}. Put the file back from a backup, "
        "or move it away."
    )
