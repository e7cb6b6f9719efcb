"""Freqtrade: one Feather file per pair and timeframe, as its data folder has them; Parquet too.

Columns `date,open,high,low,close,volume`; `date` is the candle's opening in UTC milliseconds, the
rest are doubles. Freqtrade takes six columns of other names by position and turns integer dates
into an empty frame without an error, so names and types are exact here. It fills gaps itself
while loading; the file holds none but real candles. Feather and not JSON: Freqtrade's JSON reader
loses the last bit of most prices (Freqtrade 2026.9, run 2026-11-25).
https://www.freqtrade.io/en/stable/data-download/#data-format
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from data_platform.converters.converter import (
    Converter,
    ExportFile,
    FileFormat,
    Month,
    describe_columns,
    no_companions,
    read_table,
    require_candles,
    require_read,
)
from data_platform.converters.record_batches import Batch, write_batches
from data_platform.domain.candles import content_hash
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Pair

_COLUMNS = ["date", "open", "high", "low", "close", "volume"]

_LEVEL = -3
"""Of LZ4: leaves the times as they are, nearly.

LZ4's default makes matches of five bytes of them, which take longer to read than all other columns
together, and the highest level, which Freqtrade itself writes with, takes forty times as long to
write. A year of 1m is read in 12.0 ms (default: 17.0, Freqtrade's own file: 13.2) and takes 16.0 MB
(14.9, 13.5)."""

_BATCH_ROWS = 100_000
"""Of a batch of whole months: what a new candle writes anew, at most. Two months of 1m; smaller
batches cost a reader more calls, and in one batch of all rows its threads wait for one another."""

_UNDERSCORES = str.maketrans(dict.fromkeys("/ .@$+:", "_"))
"""What Freqtrade's `pair_to_filename` replaces."""


def to_path(file: ExportFile) -> PurePosixPath:
    """Return `freqtrade/<exchange>/BTC_USDT-1h.feather`, where `--datadir` looks for it.

    A derivative (its symbol names a settlement currency) goes where Freqtrade keeps futures:
    `freqtrade/<exchange>/futures/BTC_USDT_USDT-1h-futures.feather`.

    Raises:
        ExportError: the symbol has a sign that no file name may hold.
    """
    series = file.series
    folder = PurePosixPath("freqtrade", series.exchange)
    name = f"{_to_file_name(series.pair)}-{series.timeframe.name}"
    if ":" in series.pair.symbol:
        return folder / "futures" / f"{name}-futures.feather"
    return folder / f"{name}.feather"


def write_feather(candles: pl.DataFrame, file: ExportFile, path: Path) -> None:
    """Write candles as Freqtrade's Feather file, lz4-compressed.

    Args:
        candles: `CANDLE_SCHEMA`, sorted; gaps stay gaps.
        file: what the candles are, for messages.
        path: where to write; does not exist yet.

    Raises:
        ExportError: the frame is empty or no frame of candles.
    """
    table = _to_table(candles, file)
    starts = range(0, table.num_rows, _BATCH_ROWS)
    slices = [("", table.slice(at, _BATCH_ROWS)) for at in starts]
    _write([Batch("", partial(tuple, it)) for it in slices], path, None)


def renew_feather(
    months: Sequence[Month], file: ExportFile, path: Path, older: Path | None
) -> None:
    """Write months as Freqtrade's Feather file, those that an older one holds as they lie there.

    Args:
        months: in the order of time.
        file: what they are, for messages.
        path: where to write; does not exist yet.
        older: the file that gives way, whole and unchanged; None: there is none.

    Raises:
        ExportError: a month is empty, or no frame of its candles.
    """
    batches = [_to_batch(group, file) for group in _group(months)]
    _write(batches, path, older)


def read_feather(path: Path) -> pl.DataFrame:
    """Return the candles of such a file, read by pyarrow, as `CANDLE_SCHEMA`.

    Raises:
        ExportError: the file is not one that `write_feather` makes.
    """
    from pyarrow import feather

    return _read(path, feather.read_table)


def to_parquet_path(file: ExportFile) -> PurePosixPath:
    """Return `freqtrade-parquet/<exchange>/BTC_USDT-1h.parquet`, as `to_path` does."""
    below = to_path(file).relative_to("freqtrade")
    return PurePosixPath(PARQUET.name, below.with_suffix(".parquet"))


def write_parquet(candles: pl.DataFrame, file: ExportFile, path: Path) -> None:
    """Write candles as Freqtrade's Parquet file (`dataformat_ohlcv: parquet`), as `write_feather`.

    Raises:
        ExportError: the frame is empty or no frame of candles.
    """
    import pyarrow.parquet as pq

    require_candles(candles, file)
    table = candles.to_arrow().rename_columns(_COLUMNS)
    pq.write_table(table, path, compression="snappy", use_dictionary=False)


def read_parquet(path: Path) -> pl.DataFrame:
    """Return the candles of such a file as `CANDLE_SCHEMA`.

    Raises:
        ExportError: the file is not one that `write_parquet` makes.
    """
    import pyarrow.parquet as pq

    return _read(path, partial(pq.read_table, partitioning=None))


def _group(months: Sequence[Month]) -> Iterator[list[Month]]:
    """Yield the months of each batch."""
    group: list[Month] = []
    for month in months:
        if group and sum(it.rows for it in group) + month.rows > _BATCH_ROWS:
            yield group
            group = []
        group.append(month)
    yield group


def _to_batch(months: Sequence[Month], file: ExportFile) -> Batch:
    def read() -> tuple[str, Any]:
        import pyarrow as pa

        frames = [it.read() for it in months]
        files = [replace(file, period=it.period) for it in months]
        tables = [_to_table(*each) for each in zip(frames, files, strict=True)]
        # A month may have been stored anew since it was listed.
        return _name(content_hash(it) for it in frames), pa.concat_tables(tables)

    return Batch(_name(it.content_hash for it in months), read)


def _name(hashes: Iterable[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _to_table(candles: pl.DataFrame, file: ExportFile) -> Any:  # noqa: ANN401
    require_candles(candles, file)
    return candles.to_arrow().rename_columns(_COLUMNS)


def _write(batches: Sequence[Batch], path: Path, older: Path | None) -> None:
    import pyarrow as pa

    date = ("date", pa.timestamp("ms", tz="UTC"))
    schema = pa.schema([date, *((name, pa.float64()) for name in _COLUMNS[1:])])
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("lz4", _LEVEL))
    write_batches(batches, schema, options, path, older)


def _read(path: Path, read: Callable[[Path], Any]) -> pl.DataFrame:
    table = read_table(path, read)
    times = str(table.schema[0].type)
    if table.column_names != _COLUMNS or times != "timestamp[ms, tz=UTC]":
        raise ExportError(
            f"{path}: expected {', '.join(_COLUMNS)} with dates in UTC milliseconds, found "
            f"{', '.join(map(str, table.schema))}; export the pair again."
        )
    return require_read(pl.DataFrame(pl.from_arrow(table)), path)


def _to_file_name(pair: Pair) -> str:
    name = pair.symbol.translate(_UNDERSCORES)
    if not name.isprintable() or "\\" in name:
        raise ExportError(
            f"pair {pair.symbol!r}: Freqtrade has no file name for it; leave Freqtrade's export "
            "of this pair out."
        )
    return name


CONVERTER = Converter(
    name="freqtrade",
    title="Freqtrade",
    scope="pair",
    columns=describe_columns(tuple(_COLUMNS), ("timestamp[ms, UTC]", "double")),
    path=to_path,
    write=write_feather,
    read=read_feather,
    volume_step=0.0,
    companions=no_companions,
    renew=renew_feather,
)

PARQUET = FileFormat("freqtrade-parquet", to_parquet_path, write_parquet)
