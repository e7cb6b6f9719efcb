"""What an indicator is: a name with parameters, the columns it adds and the rows it needs.

Holds the shape only; the indicators stand at the foot of the module of their family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

PRICE = "quote currency per unit of base"
PERCENT = "percent, 0 to 100"
NUMBER = "number without unit"

MAX_ROWS = 1000
"""The longest window that is accepted: beyond it the history read per month outgrows the month."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number in an indicator's name."""

    name: str
    """What it means, for error messages."""
    kind: Literal["rows", "factor"] = "rows"
    """`rows`: a whole number of candles, 1 to `MAX_ROWS`. `factor`: a decimal above 0, to 100."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that an indicator adds, dtype Float64."""

    name: str
    """`<what>_<parameters>`."""
    unit: str
    description: str
    """One sentence for the UI."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one indicator with given parameters is computed."""

    columns: tuple[Column, ...]
    """What it adds, in order."""
    warm_up: int
    """Rows before the first wanted one such that the result does not depend on how many more
    there are: exactly where it looks back over a fixed window, to 1e-12 (of the price, or of the
    percentage) where it remembers everything."""
    steps: tuple[tuple[pl.Expr, ...], ...]
    """Named expressions over the candle's columns and those of earlier steps; see `windows.py`.
    Each depends on rows at or before its own. Names that are no column are dropped again."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """A family of columns: `sma` with any number of rows."""

    name: str
    """The word before the parameters."""
    title: str
    """How traders call it."""
    parameters: tuple[Parameter, ...]
    source: str
    """Where the formula is written down."""
    build: Callable[..., Recipe]
    """Takes one number per parameter.

    Raises `ValueError` when the numbers do not go together."""
