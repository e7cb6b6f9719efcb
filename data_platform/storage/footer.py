"""The footer of a partition's file: which schema and which partition it names.

Holds what is read of a file without its rows; the rows and the seal stand in `parquet_file.py`.
"""

import io
from pathlib import Path

import polars as pl

from data_platform.domain.errors import NewerVersionError
from data_platform.domain.layers import Partition

SCHEMA_VERSION = 1
"""Raised when the columns or their meaning change; a file of a newer one is refused."""

VERSION_KEY = "data_platform.schema_version"
PARTITION_KEY = "data_platform.partition"

_VARINT_STEP = 1 << 7


def footer_fault(partition: Partition, content: bytes) -> str | None:
    """Return what a file whose bytes are proven says against being a partition's, or None."""
    footer = pl.read_parquet_metadata(io.BytesIO(content))
    fault = _version_fault(partition, footer[VERSION_KEY])
    if fault:
        return fault
    if footer[PARTITION_KEY] != str(partition):
        return f"it was written as {footer[PARTITION_KEY]}"
    return None


def read_footer_fault(partition: Partition, path: Path, tail: bytes, rows: int) -> str:
    """Return what the footer of a file whose bytes are proven says against its journal row, or ''.

    Args:
        partition: whose file it should be.
        path: where it lies; read again only where its end does not say all that it should.
        tail: its end, as it was hashed.
        rows: that the journal tells of.

    Raises:
        NewerVersionError: a newer program wrote it.
        OSError: the file cannot be read.
    """
    if _says(tail, partition, rows):
        return ""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    told = {key.decode(): value.decode() for key, value in footer.metadata.items()}
    fault = _version_fault(partition, told.get(VERSION_KEY))
    if fault:
        return fault
    if told.get(PARTITION_KEY) != str(partition):
        return f"it was written as {told.get(PARTITION_KEY)}"
    if footer.num_rows != rows:
        return f"it holds {footer.num_rows} rows, the journal tells of {rows}"
    return ""


def refuse_newer(partition: Partition, version: int) -> None:
    """Refuse a file whose schema this program does not know yet.

    Raises:
        NewerVersionError: a newer program wrote it; says what to install.
    """
    if version > SCHEMA_VERSION:
        raise NewerVersionError(
            f"{partition}: a newer data-platform wrote its file (schema version {version}, this "
            f"program reads up to {SCHEMA_VERSION}). Install that version or newer; nothing was "
            "changed."
        )


def _version_fault(partition: Partition, found: str | None) -> str | None:
    if found == str(SCHEMA_VERSION):
        return None
    if found is not None and found.isdecimal():
        refuse_newer(partition, int(found))
    return f"expected schema version {SCHEMA_VERSION}, found {found}"


def _says(tail: bytes, partition: Partition, rows: int) -> bool:
    """Tell whether a footer holds the very bytes that name partition, version and row count.

    A parser takes longer over it than hashing a small file does (0.1 ms, pyarrow 26.0.1). What does
    not hold the whole footer says nothing.
    """
    length = int.from_bytes(tail[-8:-4], "little") + 8
    footer = tail[-length:]
    own = _PARTITION + _spell(str(partition))
    # The footer's third field, between the schema's list and that of the row groups.
    count = b"\x16" + _varint(2 * rows) + b"\x19"
    return _VERSION in footer and own in footer and count in footer


def _spell(value: str) -> bytes:
    raw = value.encode()
    return b"\x18" + _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    spelt = bytearray()
    while number >= _VARINT_STEP:
        spelt.append(number % _VARINT_STEP + _VARINT_STEP)
        number //= _VARINT_STEP
    return bytes([*spelt, number])


_VERSION = VERSION_KEY.encode() + _spell(str(SCHEMA_VERSION))
_PARTITION = PARTITION_KEY.encode()
