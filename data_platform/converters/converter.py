"""What a converter is: one row per program, how it lays out files, how it writes and reads one.

Holds the shape only; each program has its own module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import polars as pl

from data_platform.domain.markets import Series
from data_platform.domain.periods import Period


@dataclass(frozen=True, slots=True)
class ExportFile:
    """What one export file holds."""

    series: Series
    period: Period | None
    """The month inside, or None for a file of the whole pair."""


@dataclass(frozen=True, slots=True)
class Converter:
    """One program's file format."""

    name: str
    """The layer's name: `vectorbt`."""
    title: str
    """The program, as people write it."""
    scope: Literal["pair", "period"]
    """Whether a file holds the whole pair or one month of it."""
    path: Callable[[ExportFile], PurePosixPath]
    """Return the file's place below `exports/`, in the program's own layout."""
    write: Callable[[pl.DataFrame, ExportFile, Path], None]
    """Write candles (`CANDLE_SCHEMA`, sorted, at least one row) to a path that does not exist."""
    read: Callable[[Path], pl.DataFrame]
    """Read such a file back as `CANDLE_SCHEMA`: the independent half of the round trip."""
    companions: Callable[
        [pl.DataFrame, ExportFile], tuple[tuple[PurePosixPath, Callable[[Path], None]], ...]
    ]
    """Return further files that the program needs beside it (an instrument's definition):
    place below `exports/` and a function that writes it."""
