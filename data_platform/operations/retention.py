"""Let old candles leave the tables for the archive: opt-in, told first, nothing forgotten.

Holds which months go. A month goes as a whole, in every layer of its timeframe, once it has ended
longer ago than config keeps it. The platform still knows its candles: they can be read, nothing is
missing, stale or asked for again. Exports stay, and hold all that was ever stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_platform.domain.errors import DataPlatformError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.operations.lake import Lake
from data_platform.storage.archive import archive, bring_back, find_size
from data_platform.storage.layout import is_archived
from data_platform.storage.parquet_file import is_partitioned
from data_platform.storage.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Leaving:
    """One partition that is older than config keeps it."""

    partition: Partition
    rows: int
    size: int
    """Bytes of its file."""
    is_pinned: bool
    """Whether a snapshot holds it, so that it stays."""


def find_leaving(lake: Lake, keep: Mapping[str, timedelta], now: datetime) -> list[Leaving]:
    """Return every partition that is to leave the tables, by layer, series and month.

    Args:
        lake: whose.
        keep: how long candles stay, by timeframe; of those left out for ever.
        now: the clock, UTC.

    Raises:
        DamagedFileError: a snapshot cannot be read, so that nobody knows what it pins.
    """
    pinned = Snapshots(lake.store.root).pinned() if keep else set()
    found = []
    for row in lake.store.journal_rows() if keep else ():
        age = keep.get(row.series.timeframe.name)
        if age is None or row.period is None or not is_partitioned(row.layer):
            continue
        if now - row.period.end < age:
            continue
        partition = Partition(row.layer, row.series, row.period, row.feature_set)
        # A move that was interrupted has left the file in both places: it is found again.
        size = find_size(lake.store, partition)
        if size is not None:
            found.append(Leaving(partition, row.rows, size, row.file_sha256 in pinned))
    return found


def find_archived(lake: Lake, series: Series) -> list[Partition]:
    """Return the archived partitions of a series, of every layer, in the order of time."""
    return [
        Partition(row.layer, row.series, row.period, row.feature_set)
        for row in lake.store.journal_rows(
            exchange=series.exchange, timeframe=series.timeframe, pair=series.pair
        )
        if row.period is not None and is_archived(row.path)
    ]


def apply_retention(lake: Lake, leaving: Sequence[Leaving]) -> list[str]:
    """Move what is to leave and no snapshot pins; return what failed, one line each."""
    failures = []
    for it in leaving:
        if it.is_pinned:
            continue
        try:
            archive(lake.store, it.partition, lake.run_id)
        except DataPlatformError as error:
            failures.append(str(error))
    return failures


def undo_retention(lake: Lake, series: Series) -> tuple[int, list[str]]:
    """Move everything archived of a series back; return how much, and what failed."""
    count, failures = 0, []
    for partition in find_archived(lake, series):
        try:
            is_back = bring_back(lake.store, partition, lake.run_id)
        except DataPlatformError as error:
            failures.append(str(error))
            continue
        count += is_back
        if not is_back:
            failures.append(
                f"{partition}: its file is not in the archive. Put archive/ back first."
            )
    return count, failures
