"""Binance's bulk archives: one zip a month or a day, with its checksum beside it.

https://github.com/binance/binance-public-data (read 2026-11-28): `BTCUSDT-1m-2024-01.zip` holds
one CSV of twelve columns, the first six of which are a candle's, most without a header; its time is
the opening, in milliseconds, in microseconds since 2025-01-01 (spot). `<name>.CHECKSUM` beside it
holds the sha256 as `sha256sum` writes it.
"""

import hashlib
import io
import re
import zipfile
import zlib
from pathlib import Path

import polars as pl

from data_platform.converters.foreign import ForeignFormat, to_candles
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ForeignFileError
from data_platform.domain.markets import Series

_NAME = re.compile(r"([A-Z0-9]+)-([0-9]+[a-zA-Z]+)-[0-9]{4}-[0-9]{2}(-[0-9]{2})?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_COLUMNS = 12

MAX_BYTES = 1 << 30
"""A month of seconds takes 300 MB; what says it is larger is no archive of candles."""


def read_archive(path: Path, series: Series) -> pl.DataFrame:
    """Return the rows of an archive as `CANDLE_SCHEMA`, in the file's order.

    Args:
        path: the zip; its checksum file lies beside it.
        series: what it is said to be; the name must agree.

    Raises:
        ForeignFileError: name or checksum do not fit, the checksum is missing, or the content is
            no table of candles.
    """
    _require_name(path, series)
    _require_checksum(path)
    try:
        with zipfile.ZipFile(path) as archive:
            [member] = archive.infolist()
            if member.file_size > MAX_BYTES:
                raise ForeignFileError(f"{path}: holds {member.file_size:,} bytes, no candles.")
            content = archive.read(member)
    # What a library calls a value that it cannot unpack: more or fewer files than one. A password
    # or an unknown way to pack is a RuntimeError.
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError) as error:
        raise ForeignFileError(f"{path}: expected a zip with one CSV file: {error}.") from error
    return to_candles(_to_table(content, path), path, ForeignFormat(), series.timeframe)


def _to_table(content: bytes, path: Path) -> pl.DataFrame:
    has_header = content[:1].isalpha()
    try:
        table = pl.read_csv(io.BytesIO(content), has_header=has_header, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise ForeignFileError(f"{path}: its CSV cannot be read: {error}.") from error
    if table.width != _COLUMNS:
        raise ForeignFileError(f"{path}: expected {_COLUMNS} columns, found {table.width}.")
    named = table.select(table.columns[: len(CANDLE_SCHEMA)])
    named.columns = CANDLE_SCHEMA.names()
    return named


def _require_name(path: Path, series: Series) -> None:
    match = _NAME.fullmatch(path.stem)
    symbol = f"{series.pair.base}{series.pair.quote}"
    if match is None or path.suffix != ".zip":
        raise ForeignFileError(
            f"{path}: expected the name of an archive, {symbol}-{series.timeframe}-2024-01.zip."
        )
    if (match[1], match[2]) != (symbol, series.timeframe.name):
        raise ForeignFileError(
            f"{path}: by its name these are candles of {match[1]} {match[2]}, not of {series}."
        )


def _require_checksum(path: Path) -> None:
    beside = path.with_name(f"{path.name}.CHECKSUM")
    try:
        told, _, name = beside.read_text(errors="replace").strip().partition(" ")
    except OSError as error:
        raise ForeignFileError(
            f"{beside}: {error.strerror}. Download it beside the archive, whose sha256 it tells."
        ) from error
    if _SHA256.fullmatch(told) is None or name.strip(" *") != path.name:
        raise ForeignFileError(
            f"{beside}: expected a sha256 and the name {path.name}, as sha256sum writes them."
        )
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ForeignFileError(f"{path}: {error.strerror}.") from error
    if found != told.lower():
        raise ForeignFileError(
            f"{path}: its sha256 is {found}, its checksum file says {told}; download it again."
        )
