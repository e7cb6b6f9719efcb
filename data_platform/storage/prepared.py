"""What a commit needs of a partition's rows: worked out when it asks, or before its turn.

Pure, and nearly all of it outside Python's lock: another thread may hash and encode the next
partitions while this one waits for the disk.
"""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from data_platform.domain import candles
from data_platform.domain.layers import Partition
from data_platform.storage import parquet_file


@dataclass(frozen=True)
class Prepared:
    """All rows that a partition is to hold."""

    partition: Partition
    frame: pl.DataFrame

    @cached_property
    def content_hash(self) -> str:
        """Return the hash of the rows."""
        return candles.content_hash(self.frame)

    @cached_property
    def file(self) -> tuple[bytes, str]:
        """Return the whole file of the rows, and its sha256."""
        return parquet_file.encode_and_hash(self.partition, self.frame)


def prepare(partition: Partition, frame: pl.DataFrame) -> Prepared:
    """Return rows, at least one, with their hash and file worked out."""
    made = Prepared(partition, frame)
    _ = made.file, made.content_hash
    return made


def to_prepared(partition: Partition, rows: pl.DataFrame | Prepared) -> Prepared:
    """Return rows with their hash and file to be worked out when asked for, or as they are."""
    return rows if isinstance(rows, Prepared) else Prepared(partition, rows)
