"""What a converter is: one row per program, how it lays out files, how it writes and reads one.

Holds the shape and what every program's converter asks of candles; each program has its own
module.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, COLUMN_DESCRIPTIONS, TIME
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.precision import FINEST, Precision

LAST_DIGIT = 5e-16
"""From this relative change on, rounding shows in the first 15 significant digits."""

_VALUES = [name for name in CANDLE_SCHEMA if name != "open_time"]
_LETTERS_AND_DIGITS = re.compile(r"[A-Za-z0-9]+/[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class ExportFile:
    """What one export file holds."""

    series: Series
    period: Period | None
    """The month inside, or None for a file of the whole pair."""
    precision: Precision = FINEST
    """Of the market's numbers, for programs that want one for all its files."""

    def __str__(self) -> str:
        return f"{self.series} {self.period or 'all months'}"


@dataclass(frozen=True, slots=True)
class Month:
    """One month of a file that holds several."""

    period: Period
    rows: int
    """At least one."""
    content_hash: str
    """Of its candles, as the journal has it; the same hash, the same rows."""
    read: Callable[[], pl.DataFrame]
    """Return its candles, `CANDLE_SCHEMA`, sorted."""


Companions = dict[PurePosixPath, Callable[[Path], None]]
"""Further files: their places below `exports/`, and the functions that write them to a path."""


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column of a program's files, in the program's own words."""

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class Converter:
    """One program's file format.

    Every function that takes candles or a file raises `ExportError` when the program has no way
    to hold them; the message says which candle and what to do.
    """

    name: str
    """The layer's name: `vectorbt`."""
    title: str
    """The program, as people write it."""
    scope: Literal["pair", "period"]
    """Whether a file holds the whole pair or one month of it."""
    columns: tuple[ExportColumn, ...]
    """The columns of each file, in their order."""
    path: Callable[[ExportFile], PurePosixPath]
    """Return the file's place below `exports/`, in the program's own layout."""
    write: Callable[[pl.DataFrame, ExportFile, Path], None]
    """Write candles (`CANDLE_SCHEMA`, sorted, at least one row) to a path that does not exist."""
    read: Callable[[Path], pl.DataFrame]
    """Read such a file back as `CANDLE_SCHEMA`: the independent half of the round trip."""
    volume_step: float
    """Volumes are rounded to multiples of it, and sums of floats to what 15 digits say; 0: every
    bit of them is kept, as of all prices."""
    companions: Callable[[ExportFile], Companions]
    """Return further files that the program needs beside it (an instrument's definition).

    Places and bytes are the same for every month and timeframe of a market of one precision, so
    that runs in any order, or at once, leave the same files."""
    needs: Callable[[pl.DataFrame, Precision], Precision] | None = None
    """Return the decimals that candles need, and no fewer than the given ones. None: the program
    does not ask how many a market's numbers have."""
    renew: Callable[[Sequence[Month], ExportFile, Path, Path | None], None] | None = None
    """Write a whole pair's months to a path, taking from an older file what it holds already.

    The older file is one of this function's, whole and unchanged, or None; the bytes are the same
    with and without it. None: `write` makes the file of all candles."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format that a program takes too, written when somebody asks for it and kept by nobody.

    Both functions raise `ExportError` as a converter's do.
    """

    name: str
    """The word that asks for it: `freqtrade-parquet`."""
    path: Callable[[ExportFile], PurePosixPath]
    """Return the file's place below the folder that is exported to."""
    write: Callable[[pl.DataFrame, ExportFile, Path], None]
    """Write candles (`CANDLE_SCHEMA`, sorted, at least one row) to a path that does not exist."""


def find_differences(
    candles: pl.DataFrame, found: pl.DataFrame, converter: Converter
) -> pl.DataFrame:
    """Return the times at which a file does not hold the candles it is made of.

    Args:
        candles: of the lake, `CANDLE_SCHEMA`.
        found: what `converter.read` makes of the file.
        converter: whose volumes may be rounded.

    Returns:
        open_time and fault (`missing in the file`, `not in the lake`, `open, close differ`),
        sorted; a time that stands twice in the file is returned as not in the lake.
    """
    times = pl.col("open_time")
    numbered = pl.int_range(pl.len()).over("open_time")
    first, twice = found.filter(numbered == 0), found.filter(numbered > 0)
    extra = pl.concat([first.join(candles, on="open_time", how="anti"), twice])
    missing = candles.join(first, on="open_time", how="anti")
    both = candles.join(first, on="open_time", how="inner", suffix="_found")
    faults = [_fault(name, converter.volume_step if name == "volume" else 0.0) for name in _VALUES]
    unequal = both.select(times, fault=pl.concat_str(faults, separator=", ", ignore_nulls=True))
    return pl.concat(
        [
            missing.select(times, fault=pl.lit("missing in the file")),
            extra.select(times, fault=pl.lit("not in the lake")),
            unequal.filter(pl.col("fault") != "").with_columns(pl.col("fault") + " differ"),
        ]
    ).sort("open_time")


def _fault(name: str, step: float) -> pl.Expr:
    ours, theirs = pl.col(name), pl.col(f"{name}_found")
    apart = ((ours - theirs).abs() > step / 2 + ours * LAST_DIGIT) if step else ours != theirs
    return pl.when(apart | theirs.is_null() | theirs.is_nan()).then(pl.lit(name))


def describe_columns(names: tuple[str, ...], types: tuple[str, str]) -> tuple[ExportColumn, ...]:
    """Return a candle's six columns as a program names them.

    Args:
        names: in the order of `CANDLE_SCHEMA`.
        types: of the time, and of the five values.
    """
    pairs = zip(names, CANDLE_SCHEMA.names(), strict=True)
    return tuple(
        ExportColumn(name, types[0] if ours == "open_time" else types[1], COLUMN_DESCRIPTIONS[ours])
        for name, ours in pairs
    )


def no_companions(file: ExportFile) -> Companions:  # noqa: ARG001
    """Return no files: for programs that need nothing beside the candles."""
    return {}


def is_plain(pair: Pair) -> bool:
    """Return whether the pair is spot and spelled in ASCII letters and digits alone.

    Joining base and quote by a separator names such a pair uniquely; any other needs its key.
    """
    return _LETTERS_AND_DIGITS.fullmatch(pair.symbol) is not None


def require_candles(candles: pl.DataFrame, file: ExportFile) -> None:
    """Refuse what is no exportable frame of candles, before anything is written.

    Args:
        candles: should have exactly `CANDLE_SCHEMA`, at least one row, strictly increasing
            opening times, all of them inside the file's period if it has one.
        file: what the frame is said to be.

    Raises:
        ExportError: it has not; the message says what was found.
    """
    if candles.schema != CANDLE_SCHEMA:
        raise ExportError(
            f"{file}: expected the columns {dict(CANDLE_SCHEMA)}, found {dict(candles.schema)}."
        )
    if candles.is_empty():
        raise ExportError(f"{file}: no candle to export; store some first, then export again.")
    nulls = sum(candles.null_count().row(0))
    if nulls:
        raise ExportError(f"{file}: {nulls} values are missing; verify the stored candles.")
    times = candles["open_time"]
    late = times.filter(times <= times.shift(1))
    if len(late):
        raise ExportError(
            f"{file}: opening times must increase, found {late[0]} after a later or equal one; "
            "verify the stored candles."
        )
    period = file.period
    if period and not (period.start <= times[0] and times[-1] < period.end):
        raise ExportError(
            f"{file}: expected candles of this month only, found {times[0]} to {times[-1]}."
        )


def read_table(path: Path, read: Callable[[Path], Any]) -> Any:  # noqa: ANN401  (pyarrow has no types)
    """Return the Arrow table that a reader of pyarrow finds in a file.

    Raises:
        ExportError: the file is not there, cut short, or of another format.
    """
    import pyarrow as pa

    try:
        return read(path)
    except (pa.ArrowException, OSError) as error:
        raise ExportError(f"{path}: cannot be read ({error}); export it again.") from error


def require_read(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return what was read from a file, as `CANDLE_SCHEMA`.

    Args:
        frame: the six columns in the candle's order, under any names.
        path: the file, for messages.

    Raises:
        ExportError: a column has another type.
    """
    frame.columns = CANDLE_SCHEMA.names()
    if isinstance(frame.schema["open_time"], pl.Datetime):
        frame = frame.with_columns(pl.col("open_time").cast(TIME))
    if frame.schema != CANDLE_SCHEMA:
        raise ExportError(
            f"{path}: expected times and floats, found {', '.join(map(str, frame.dtypes))}; export "
            "it again."
        )
    return frame
