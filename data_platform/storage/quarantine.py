"""Quarantine: the rows that an audit refused, each with its reason; never published, never lost.

Holds where and how they are kept. The same rows refused again lie in the same file, so that asking
an exchange that keeps sending a broken candle does not fill the disk.
"""

import io
from pathlib import Path

import polars as pl

from data_platform.domain.candles import content_hash
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.storage.atomic import publish_bytes
from data_platform.storage.layout import Layout


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
    buffer = io.BytesIO()
    refused.write_parquet(buffer, compression="zstd")
    publish_bytes(buffer.getvalue(), path)
    return path
