"""The plain CSV that NautilusTrader's `CSVBarDataLoader` reads, for workflows without a catalog.

Columns `timestamp,open,high,low,close,volume`, by which its wrangler takes them in this order; a
time is the candle's close in ISO 8601. Not as a number: the loader takes one for nanoseconds and
lands in 1970 without an error (NautilusTrader 1.231, run 2026-11-28).
"""

from pathlib import Path, PurePosixPath

import polars as pl

from data_platform.converters.converter import ExportFile, FileFormat, require_candles
from data_platform.converters.nautilus import to_bar_type


def to_path(file: ExportFile) -> PurePosixPath:
    """Return `nautilus-csv/BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL.csv`."""
    return PurePosixPath(CSV.name, f"{to_bar_type(file.series)}.csv")


def write_csv(candles: pl.DataFrame, file: ExportFile, path: Path) -> None:
    """Write candles as bars stamped by their close; every float is the shortest that is it.

    Args:
        candles: `CANDLE_SCHEMA`, sorted; gaps stay gaps.
        file: what the candles are; its timeframe tells when they close.
        path: where to write; does not exist yet.

    Raises:
        ExportError: the frame is empty or no frame of candles.
    """
    require_candles(candles, file)
    closed = pl.col("open_time") + file.series.timeframe.duration
    texts = closed.dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("timestamp")
    candles.select(texts, pl.exclude("open_time")).write_csv(path)


CSV = FileFormat("nautilus-csv", to_path, write_csv)
