"""Prove the columns of people's own functions: do they see the future, can they be reproduced?

A function takes the candles of one market and timeframe, as `load_ohlcv` returns them, and returns
a frame (or one series) of as many rows, or of rows that `open_time` names. It is loaded anew for
each history, with the modules beside it, so that nothing it has kept of a longer one can hide a
leak; called twice in one piece, so that what it keeps or draws at random shows; and given the same
candles in other years, so that what it looks up by date elsewhere shows.
"""

import importlib.util
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from data_platform.domain.candles import TIME
from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import Timeframe
from data_platform.features.causality import Leak, Table, find_dated, find_leaks
from data_platform.features.moments import telling_moments

TOLERANCE = 1e-9
"""Sums over windows of another length differ by rounding; no leak that matters is as small."""

SHORT_HOLE, LONG_HOLE = 4, 25
"""Candles that are left out: real histories may have no gap, and in gaps leaks hide."""

_MADE = "_made"

FEWEST_CANDLES = 200
SYNTHETIC_CANDLES = 12_000
"""Past what code that samples long histories takes for long, and over several ends of months."""

Own = Callable[[Any], Any]
Library = Literal["polars", "pandas"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found out about a function."""

    columns: tuple[str, ...]
    """What it returns beside `open_time`."""
    leaks: tuple[Leak, ...]
    """Empty: every column is causal and reproducible."""
    moments: int
    """At how many moments history was cut and the future changed."""

    @property
    def unreproducible(self) -> frozenset[str]:
        """Return the columns that give another result when asked again."""
        return frozenset(it.column for it in self.leaks if it.probe == "repetition")

    @property
    def dated(self) -> frozenset[str]:
        """Return the columns that the dates tell, and not the candles."""
        return frozenset(it.column for it in self.leaks if it.probe == "dates")


def prove(
    load: Callable[[], Own],
    candles: pl.DataFrame,
    timeframe: Timeframe,
    moments: int,
    library: Library = "polars",
) -> Proof:
    """Return what the probes find out about a function of candles.

    Args:
        load: gives the function as nobody has called it yet.
        candles: `CANDLE_SCHEMA`, sorted; some are left out, so that there are gaps.
        timeframe: of the candles.
        moments: at how many moments history is cut and the future changed.
        library: whose frames the function takes.

    Raises:
        WrongUseError: too few candles, or the function fails or returns no columns of them.
    """
    if candles.height < FEWEST_CANDLES:
        raise WrongUseError(
            f"{candles.height} candles prove nothing; at least {FEWEST_CANDLES} are needed."
        )
    tables = {"candles": Table(_with_holes(candles), timeframe)}
    cuts = telling_moments(tables, "candles", moments)
    names = _own_names(_call(load(), tables["candles"].frame, library), tables["candles"].frame)

    def compute(give: Callable[[], Own], frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        made = _call(give(), frames["candles"], library)
        return made.select(it for it in ("open_time", *names) if it in made.columns)

    def leaks(give: Callable[[], Own], at: Sequence[datetime]) -> list[Leak]:
        return find_leaks(partial(compute, give), tables, "candles", at, tolerance=TOLERANCE)

    one = load()
    unsteady = [leak for leak in leaks(lambda: one, cuts[-1:]) if leak.probe == "repetition"]
    named = {leak.column for leak in unsteady}
    fresh = [*leaks(load, cuts), *find_dated(partial(compute, load), tables, TOLERANCE)]
    rest = [leak for leak in fresh if leak.column not in named]
    return Proof(names, (*unsteady, *rest), len(cuts))


def _own_names(made: pl.DataFrame, candles: pl.DataFrame) -> tuple[str, ...]:
    """Return what a function adds, or gives another meaning, to the columns of candles."""
    beside = candles.join(made, on="open_time", how="inner", suffix=_MADE, maintain_order="left")
    handed_through = {
        name
        for name in candles.columns
        if name + _MADE in beside.columns and beside[name + _MADE].equals(beside[name])
    }
    names = tuple(it for it in made.columns if it != "open_time" and it not in handed_through)
    if not names:
        raise WrongUseError("no column came beside those of the candles.")
    return names


def made_up_candles(
    timeframe: Timeframe, end: datetime, count: int = SYNTHETIC_CANDLES
) -> pl.DataFrame:
    """Return synthetic candles to try a function on, up to a time."""
    last = timeframe.floor(end)
    start = last - count * timeframe.duration
    return generate_candles(7, Market("binance", Pair("BTC/USDT")), timeframe, start, last).candles


def loader(text: str) -> Callable[[], Own]:
    """Return what loads the function `MODULE:FUNCTION` anew, each time it is called.

    Args:
        text: a module that can be imported from the current folder, or a file; and a function.

    Raises:
        WrongUseError: there is no such module or function.
    """
    module, colon, name = text.rpartition(":")
    if not colon or not module or not name:
        raise WrongUseError(f"{text!r}: expected MODULE:FUNCTION, such as my_columns:momentum.")

    known = frozenset(sys.modules)

    def load() -> Own:
        _forget_own_modules(known, module)
        with _current_folder_first():
            spec = _spec(module)
            if spec is None or spec.loader is None:
                raise WrongUseError(
                    f"no module {module!r} here. Run the command in its folder, or name the file: "
                    "my_columns.py:momentum."
                )
            loaded = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
        function = getattr(loaded, name, None)
        if not callable(function):
            raise WrongUseError(f"module {module!r} has no function {name!r}.")
        own: Own = function
        return own

    load()
    return load


def _forget_own_modules(known: Collection[str], module: str) -> None:
    """Drop what was imported since from the function's folder, which may keep older histories."""
    folders = {Path.cwd(), Path(module).resolve().parent}
    for name in [it for it in sys.modules if it not in known]:
        file = getattr(sys.modules[name], "__file__", None)
        if file and folders & set(Path(file).resolve().parents):
            del sys.modules[name]


def _spec(module: str) -> importlib.machinery.ModuleSpec | None:
    if module.endswith(".py"):
        path = Path(module)
        return importlib.util.spec_from_file_location(path.stem, path) if path.is_file() else None
    try:
        return importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None


@contextmanager
def _current_folder_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _with_holes(candles: pl.DataFrame) -> pl.DataFrame:
    row, third = pl.int_range(pl.len()), candles.height // 3
    short = row.is_between(third, third + SHORT_HOLE - 1)
    long = row.is_between(2 * third, 2 * third + LONG_HOLE - 1)
    return candles.filter(~(short | long))


def _call(function: Own, candles: pl.DataFrame, library: Library) -> pl.DataFrame:
    given = candles.to_pandas() if library == "pandas" else candles
    try:
        result = function(given)
    except Exception as error:  # other people's code may raise anything
        last = f"{candles['open_time'][-1]:%Y-%m-%d %H:%M}"
        raise WrongUseError(
            f"the function failed on {candles.height} candles up to {last}: "
            f"{type(error).__name__}: {error}. It must take any history that holds a candle."
        ) from error
    columns = _to_polars(result)
    if "open_time" not in columns.columns:
        if columns.height != candles.height:
            raise WrongUseError(
                f"{columns.height} rows came for {candles.height} candles; return one for each, or "
                "name them by a column `open_time`."
            )
        columns = columns.with_columns(candles["open_time"])
    if columns["open_time"].is_duplicated().any():
        raise WrongUseError("an `open_time` came twice; return one row for each.")
    return columns.with_columns(pl.col("open_time").cast(TIME))


def _to_polars(result: object) -> pl.DataFrame:
    if isinstance(result, pl.LazyFrame):
        return result.collect()
    if isinstance(result, pl.Series):
        return result.alias(result.name or "column").to_frame()
    if isinstance(result, pl.DataFrame):
        return result
    import pandas as pd

    if isinstance(result, pd.Series):
        result = result.to_frame(str(result.name or "column"))
    if isinstance(result, pd.DataFrame):
        frame: pl.DataFrame = pl.from_pandas(result.reset_index(drop="open_time" in result))
        return frame.drop("index", strict=False)
    raise WrongUseError(
        f"expected a frame or a series of polars or pandas, found {type(result).__name__}."
    )
