"""Foreign candles: CSV, Parquet and Freqtrade's files, read as candles of ours.

Each reader gives the rows as they stand in the file: what cannot be true is left for the audit, and
nothing is sorted out, rounded or filled. What cannot be understood at all (a word where a number
should be, a column that is not there, a time finer than a millisecond) is an error that names file
and row; then nothing of the file is taken.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from data_platform.converters.converter import ExportFile
from data_platform.converters.freqtrade import to_path as to_freqtrade_path
from data_platform.domain.candles import CANDLE_SCHEMA, TIME
from data_platform.domain.errors import ForeignFileError
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe

Unit = Literal["s", "ms", "us", "ns"]

_UNITS: dict[Unit, tuple[int, int, int]] = {
    "s": (1000, 1, 10**11),
    "ms": (1, 1, 10**14),
    "us": (1, 1000, 10**17),
    "ns": (1, 1_000_000, 2**63),
}
"""Of each unit: milliseconds in one or one divided by, and what its times stay below. Seconds have
ten digits from 2001 to 2286, each finer unit three more."""

_NUMBER = r"^\d+$"

_ISO_DAY = r"^\d{4}[-/]\d{2}[-/]\d{2}"
"""How a time in words begins: of 01/02/2024 nobody knows the month."""

_FREQTRADE_NAME = re.compile(r"[A-Z0-9_]+-[0-9]+[A-Za-z]+(-[a-z_]+)?")

_SEPARATORS = ",;\t|"

ALIASES: dict[str, tuple[str, ...]] = {
    "open_time": ("open_time", "timestamp", "time", "date", "datetime", "unix", "ts"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "base_volume"),
}
"""Under which names a column is found by itself; blanks and capitals do not matter."""


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """How a file spells candles."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Our name -> the file's; one that is left out is found by `ALIASES`."""
    stamp: Literal["open", "close"] = "open"
    """Which end of the candle its time tells."""
    unit: Unit | None = None
    """Of times that are whole numbers; None: by their size, the same in the whole file."""


Reader = Callable[[Path, ForeignFormat, Series], pl.DataFrame]


def read_csv(path: Path, spelled: ForeignFormat, series: Series) -> pl.DataFrame:
    """Return the rows of a CSV file with a header as `CANDLE_SCHEMA`, in the file's order.

    Args:
        path: the file, UTF-8, parted by commas, semicolons, tabs or bars; other columns than the
            six are passed over, blank lines at its end are no rows.
        spelled: its columns and times.
        series: what it is said to hold; its timeframe counts for times that tell the close.

    Raises:
        ForeignFileError: it cannot be read; names file, row and what was found.
    """
    try:
        # As text: a float that is read as a number by one and as text by another is two floats.
        table = pl.read_csv(path, infer_schema=False, separator=_separator(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        # What follows the first line is advice about arguments of polars.
        [told, *_] = str(error).splitlines()
        raise ForeignFileError(f"{path}: no CSV file with a header: {told}.") from error
    filled = table.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    rows = table.head(filled[-1] + 1 if len(filled) else 0)
    return to_candles(rows, path, spelled, series.timeframe)


def read_parquet(path: Path, spelled: ForeignFormat, series: Series) -> pl.DataFrame:
    """Return the rows of a Parquet file, as `read_csv`."""
    try:
        table = pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ForeignFileError(f"{path}: no Parquet file: {error}.") from error
    return to_candles(table, path, spelled, series.timeframe)


def read_freqtrade(path: Path, spelled: ForeignFormat, series: Series) -> pl.DataFrame:
    """Return the rows of a file that Freqtrade has written (feather or parquet), as `read_csv`.

    Raises:
        ForeignFileError: as `read_csv`; or it has a name of Freqtrade's that tells another series,
            or prices of another kind (futures, mark).
    """
    _require_freqtrade_name(path, series)
    try:
        is_parquet = path.suffix == ".parquet"
        table = pl.read_parquet(path) if is_parquet else pl.read_ipc(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ForeignFileError(
            f"{path}: no feather or parquet file of Freqtrade: {error}. Its JSON loses digits; "
            "convert it there by `freqtrade convert-data --format-to feather`."
        ) from error
    return to_candles(table, path, spelled, series.timeframe)


def to_candles(
    table: pl.DataFrame, path: Path, spelled: ForeignFormat, timeframe: Timeframe
) -> pl.DataFrame:
    """Return a table's rows as `CANDLE_SCHEMA`; errors as `read_csv`.

    Args:
        table: as it stands in the file.
        path: of the file, for messages.
        spelled: its columns and times.
        timeframe: for times that tell the close.
    """
    chosen = _choose_columns(table, path, spelled)
    values = [
        _to_numbers(table[chosen[name]], name, path)
        for name in CANDLE_SCHEMA
        if name != "open_time"
    ]
    times = _to_times(table[chosen["open_time"]], path, spelled.unit)
    if spelled.stamp == "close":
        times = _to_opens(times, timeframe)
    return pl.DataFrame([times.alias("open_time"), *values]).cast(CANDLE_SCHEMA)


def _separator(path: Path) -> str:
    with path.open("rb") as file:
        header = file.readline(1 << 16).decode(errors="replace")
    return max(_SEPARATORS, key=header.count)


def _require_freqtrade_name(path: Path, series: Series) -> None:
    expected = to_freqtrade_path(ExportFile(series, None)).stem
    if _FREQTRADE_NAME.fullmatch(path.stem) and path.stem != expected:
        raise ForeignFileError(
            f"{path}: by its name this is {path.stem}, and {series} would be {expected}; name the "
            "series that it is."
        )


def _choose_columns(table: pl.DataFrame, path: Path, spelled: ForeignFormat) -> dict[str, str]:
    unknown = sorted(spelled.columns.keys() - CANDLE_SCHEMA.keys())
    if unknown:
        raise ForeignFileError(
            f"column {unknown[0]!r} is none of a candle's: {', '.join(CANDLE_SCHEMA)}."
        )
    found: dict[str, str] = {}
    for name in CANDLE_SCHEMA:
        wanted = spelled.columns.get(name)
        fitting = [it for it in table.columns if _fits(it, name, wanted)]
        if len(fitting) != 1:
            told = f"{name}={fitting[0] if fitting else 'its name there'}"
            raise ForeignFileError(
                f"{path}: expected one column for {name}, found {', '.join(fitting) or 'none'} in "
                f"{', '.join(table.columns)}; say which by --column {told}."
            )
        found[name] = fitting[0]
    return found


def _fits(column: str, name: str, wanted: str | None) -> bool:
    if wanted is not None:
        return column == wanted
    return column.strip().lower().replace(" ", "_") in ALIASES[name]


def _to_numbers(values: pl.Series, name: str, path: Path) -> pl.Series:
    if not (values.dtype.is_numeric() or values.dtype in {pl.String, pl.Null}):
        raise ForeignFileError(f"{path}: {name} should be numbers, found {values.dtype}.")
    # A decimal by its text: a quotient of floats rounds twice.
    by_text = values.dtype in {pl.String, pl.Decimal}
    numbers = values.cast(pl.String).str.strip_chars().replace({"": None}) if by_text else values
    try:
        return numbers.cast(pl.Float64).alias(name)
    except pl.exceptions.PolarsError:
        wrong = numbers.is_not_null() & numbers.cast(pl.Float64, strict=False).is_null()
        raise _wrong_value(path, wrong, name, values, "a number") from None


def _to_times(values: pl.Series, path: Path, unit: Unit | None) -> pl.Series:
    if values.null_count():
        raise _wrong_value(path, values.is_null(), "open_time", values, "a time")
    if isinstance(values.dtype, pl.Datetime):
        return _whole_ms(values, path)
    if values.is_empty() or values.dtype == pl.Date:
        return values.cast(TIME)
    if values.dtype.is_float() and (values.is_finite() & (values == values.floor())).all():
        values = values.cast(pl.Int64, strict=False)
    if not (values.dtype.is_numeric() or values.dtype == pl.String):
        raise ForeignFileError(f"{path}: open_time should be times, found {values.dtype}.")
    text = values.cast(pl.String).str.strip_chars().str.replace(r"^(\d+)\.0+$", "$1")
    if text.str.contains(_NUMBER).all():
        return _of_numbers(text, path, unit)
    return _of_words(text, path)


def _of_words(text: pl.Series, path: Path) -> pl.Series:
    wrong = ~text.str.contains(_ISO_DAY)
    strange = wrong & ~text.str.contains(_NUMBER)
    if strange.any():
        wrong = strange
    if not wrong.any():
        zoned = text.str.replace(r" ?UTC$", "Z")
        parsed = zoned.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        wrong = parsed.is_null()
    if wrong.any():
        raise _wrong_value(path, wrong, "open_time", text, "a time in ISO 8601")
    return _whole_ms(parsed, path)


def _of_numbers(text: pl.Series, path: Path, unit: Unit | None) -> pl.Series:
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count():
        raise _wrong_value(path, numbers.is_null(), "open_time", text, "a time")
    units = {_unit_of(number) for number in (numbers.min(), numbers.max())}
    if unit is None and len(units) > 1:
        raise ForeignFileError(
            f"{path}: its times are of different units ({', '.join(sorted(units))} by their size); "
            "say which by --unit, or part the file."
        )
    unit = unit or units.pop()
    times, parts, below = _UNITS[unit]
    if int(numbers.max()) >= below:  # type: ignore[arg-type]
        raise _wrong_value(path, numbers >= below, "open_time", numbers, f"a time in {unit}")
    finer = numbers % parts != 0
    if finer.any():
        raise _wrong_value(path, finer, "open_time", numbers, "whole milliseconds")
    return (numbers * times // parts).cast(TIME)


def _unit_of(number: Any) -> Unit:  # noqa: ANN401  (polars' smallest and largest have no type)
    return next(unit for unit, (_, _, below) in _UNITS.items() if number < below)


def _whole_ms(times: pl.Series, path: Path) -> pl.Series:
    has_zone = getattr(times.dtype, "time_zone", None) is not None
    zoned = times.dt.convert_time_zone("UTC") if has_zone else times.dt.replace_time_zone("UTC")
    whole = zoned.dt.cast_time_unit("ms")
    finer = whole.dt.epoch("ns") != zoned.dt.epoch("ns")
    if finer.any():
        raise _wrong_value(path, finer, "open_time", times, "whole milliseconds")
    return whole


def _to_opens(closes: pl.Series, timeframe: Timeframe) -> pl.Series:
    # Some write the last instant inside the candle: 00:59:59.999.
    ms = closes.dt.epoch("ms")
    ends = pl.select(pl.when(ms % timeframe.ms == timeframe.ms - 1).then(ms + 1).otherwise(ms))
    return (ends.to_series() - timeframe.ms).cast(TIME)


def _wrong_value(
    path: Path, wrong: pl.Series, name: str, values: pl.Series, expected: str
) -> ForeignFileError:
    row = wrong.arg_true()[0]
    return ForeignFileError(
        f"{path}, row {row + 1} (the first is 1): {name} should be {expected}, found "
        f"{values[row]!r}; {int(wrong.sum())} such rows. Nothing of the file was taken."
    )


READERS: dict[str, Reader] = {
    "csv": read_csv,
    "parquet": read_parquet,
    "freqtrade": read_freqtrade,
}
"""By the name that people type. Archives of Binance are `binance_archive.py`'s."""
