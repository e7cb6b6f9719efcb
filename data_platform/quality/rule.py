"""What a rule is: a name that should be true, a severity, and a pure function.

Holds the shape only; the rules stand at the foot of the module of their dimension.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
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
    """`CANDLE_SCHEMA`, sorted: the `history_candles` stored before them; fewer, or none, where
    fewer are stored."""
    timeframe: Timeframe
    closed_end: datetime
    """Candles that open before it have closed, by the exchange's clock."""


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


@dataclass(frozen=True, slots=True)
class GapRule:
    """One statement about missing candles that should be true."""

    name: str
    """The statement, and the name of its asset check: `no_long_gaps`."""
    severity: Severity
    description: str
    """One sentence for the UI."""
    limits: Limits
    """Its thresholds and their defaults."""
    find: Callable[[pl.DataFrame, Timeframe, Limits], pl.DataFrame]
    """Return offending runs, days or pairs (`pair`, `open_time`, then what explains), empty =
    pass, of the ledger's rows of one exchange and timeframe (pair, start, end, missing, status)."""


@dataclass(frozen=True, slots=True)
class FreshnessRule:
    """How late the newest candles of a series may be."""

    name: str
    """The statement, and the name of its asset check: `candles_fresh`."""
    severity: Severity
    description: str
    """One sentence for the UI."""
    limits: Limits
    """Seconds of lateness allowed, by timeframe."""
    find: Callable[[pl.DataFrame, Timeframe, Limits], pl.DataFrame]
    """Return the late rows of a frame of one row a pair (pair, late_seconds); empty = pass."""
