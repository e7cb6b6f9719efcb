"""What an indicator is: a name with parameters, the columns it adds and the rows it needs.

Holds the shape only; the indicators stand at the foot of the module of their family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

PRICE = "quote currency per unit of base"
BASE = "base currency"
QUOTE = "quote currency"
PERCENT = "percent, 0 to 100"
SIGNED_PERCENT = "percent, may be negative"
FRACTION = "fraction, 0 to 1"
FLAG = "1 or 0"
NUMBER = "number without unit"
UNITS = (PRICE, BASE, QUOTE, PERCENT, SIGNED_PERCENT, FRACTION, FLAG, NUMBER)

ALL: Final = "all"
"""The warm-up of what remembers everything: its whole segment, from its first candle on."""

WarmUp = int | Literal["all"]

MAX_ROWS = 1000
"""The longest window that is accepted: beyond it the history read per month outgrows the month."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number in an indicator's name."""

    name: str
    """What it means, for error messages."""
    default: float
    """As `ta` has it, or the formula's author."""
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
    warm_up: WarmUp
    """Rows before the first wanted one such that the result has the same bits however many more
    there are; `ALL`: those of its segment."""
    steps: tuple[pl.Expr, ...]
    """Named expressions over the candle's columns and those of earlier steps; see `windows.py`.
    Each depends on rows at or before its own. A name tells the same values in every recipe, with
    their parameters, for what several recipes name is computed once: `true_range`, `ema_12`."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """A family of columns: `sma` with any number of rows."""

    name: str
    """The word before the parameters."""
    title: str
    """How traders call it."""
    inputs: tuple[str, ...]
    """The candle's columns that it reads, beside time and segment."""
    parameters: tuple[Parameter, ...]
    source: str
    """Where the formula is written down."""
    build: Callable[..., Recipe]
    """Takes one number per parameter.

    Raises `ValueError` when the numbers do not go together."""

    @property
    def default_name(self) -> str:
        """Return the name with every parameter at its default: `bb_20_2`."""
        return spell(self.name, *(parameter.default for parameter in self.parameters))


def spell(name: str, *numbers: float) -> str:
    """Return a name with its parameters: `bb_20_2`."""
    return "_".join((name, *(f"{number:g}" for number in numbers)))
