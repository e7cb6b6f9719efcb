"""Hand out any part of the lake as one file: Parquet, CSV, JSON, Feather or a program's own.

The rows are those of the read functions, nothing filled or rounded: every float in a text is the
shortest that reads back as the same float. A file is there whole or not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from data_platform.converters import FORMATS_BY_NAME
from data_platform.converters.converter import ExportFile
from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair, Series
from data_platform.operations.lake import Lake
from data_platform.operations.lookup import Known, Question, add_close, look_up
from data_platform.storage.atomic import publish_file

KINDS = ("parquet", "csv", "json", "feather")

_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Cut:
    """One series from a time to another, and as what it is handed out."""

    series: Series
    layer: str
    start: datetime
    end: datetime
    """Exclusive."""
    kind: str
    """One of `KINDS`, or of `FORMATS_BY_NAME` where the layer is candles."""

    @property
    def place(self) -> Path:
        """Return `binance/BTCUSDT_1h_20240101_20250130.parquet`: first and last day, inclusive.

        Other layers than candles have a folder of their own, `binance/features/...`. Another
        program's format lies where that program looks.
        """
        if wanted := FORMATS_BY_NAME.get(self.kind):
            return Path(wanted.path(ExportFile(self.series, None)))
        folder = Path(self.series.exchange)
        folder = folder if self.layer == "ohlcv" else folder / self.layer
        days = f"{self.start:%Y%m%d}_{self.end - _TICK:%Y%m%d}"
        name = f"{spell_pair(self.series.pair)}_{self.series.timeframe}_{days}"
        return folder / f"{name}.{self.kind}"


def spell_pair(pair: Pair) -> str:
    """Return `BTCUSDT`; of a pair with other signs than letters and digits its key."""
    plain = f"{pair.base}{pair.quote}"
    return plain if plain.isascii() and plain.isalnum() and ":" not in pair.symbol else pair.key


def read_cut(
    lake: Lake,
    known: Known,
    cut: Cut,
    *,
    feature_set: str | None = None,
    allow_missing: bool = False,
) -> pl.DataFrame:
    """Return the rows of a cut; of other layers than candles with the time they are known from.

    Args:
        lake: where they lie.
        known: what the config knows.
        cut: which rows.
        feature_set: as `look_up` takes it.
        allow_missing: leave out months that are not stored instead of raising.

    Raises:
        WrongUseError: the range holds nothing, nothing of it is stored, or a program's format is
            asked to hold more than candles.
        NotStoredError: a month is not stored.
        DamagedFileError: a file is gone, torn or changed.
    """
    series = cut.series
    if cut.kind in FORMATS_BY_NAME and cut.layer != "ohlcv":
        raise WrongUseError(f"format {cut.kind} holds candles: ask for ohlcv, not {cut.layer}.")
    question = Question(
        cut.layer,
        str(series.market),
        series.timeframe.name,
        cut.start,
        cut.end,
        feature_set=feature_set,
        allow_missing=allow_missing,
    )
    rows = look_up(lake, known, question)
    if rows.is_empty():
        raise WrongUseError(f"nothing of {series} is stored from {cut.start} to {cut.end}.")
    return rows if cut.layer == "ohlcv" else add_close(rows, series.timeframe)


def write_cut(rows: pl.DataFrame, cut: Cut, folder: Path) -> Path:
    """Write rows as the file that a cut names; one of the same name gives way.

    Args:
        rows: what is handed out, sorted by `open_time`.
        cut: what it is.
        folder: where to; its place below is the cut's.

    Returns:
        The file.

    Raises:
        ExportError: the program has no way to hold them.
        StorageError: it cannot be written; one of the same name is as it was.
    """
    path = folder / cut.place
    if wanted := FORMATS_BY_NAME.get(cut.kind):
        file = ExportFile(cut.series, None)
        publish_file(lambda target: wanted.write(rows, file, target), path)
    else:
        publish_file(lambda target: _WRITERS[cut.kind](rows, target), path)
    return path


def _write_parquet(rows: pl.DataFrame, path: Path) -> None:
    rows.write_parquet(path, compression="zstd")


def _write_feather(rows: pl.DataFrame, path: Path) -> None:
    rows.write_ipc(path, compression="lz4")


def _write_csv(rows: pl.DataFrame, path: Path) -> None:
    _spelled(rows).write_csv(path)


def _write_json(rows: pl.DataFrame, path: Path) -> None:
    _spelled(rows).write_json(path)


def _spelled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))


_WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "json": _write_json,
    "feather": _write_feather,
}
"""What each kind is: zstd, text with a header, an array of objects, lz4."""
