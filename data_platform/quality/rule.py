"""What a rule is: a name that should be true, a severity, and a pure function.

Holds the shape only; the rules stand at the foot of the module of their dimension.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from data_platform.domain.timeframes import Timeframe

Severity = Literal["warn", "error"]

Limits = Mapping[str, float]
"""Thresholds by the name the rule gives them, from `configs/thresholds.yaml`."""


@dataclass(frozen=True, slots=True)
class RuleInput:
    """What a rule may look at: one partition's candles, and the rows before it if stored."""

    candles: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted: the stored candles of one partition."""
    before: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted: up to 100 stored candles before them; may be empty."""
    timeframe: Timeframe


@dataclass(frozen=True, slots=True)
class Rule:
    """One statement about candles that should be true."""

    name: str
    """The statement, and the name of its asset check: `high_not_below_low`."""
    severity: Severity
    description: str
    """One sentence for the UI."""
    limits: Limits
    """Its thresholds and their defaults; empty when it has none."""
    find: Callable[[RuleInput, Limits], pl.DataFrame]
    """Return the offending rows (`open_time` first, then what explains); empty = pass."""
