"""What must hold inside each stored candle: the order of its prices, their sign, its volume.

The audit refuses such rows before they are stored (`schema.py`); these rules hold the stored
ones to it, so that a file damaged or written by other hands is seen. Stays out: everything that
needs two rows.
"""

import polars as pl

from data_platform.quality.rule import Limits, Rule, RuleInput
from data_platform.quality.schema import NUMBERS, PRICES, TRUTHS


def find_disordered_prices(given: RuleInput, _limits: Limits) -> pl.DataFrame:
    """Return candles whose high is not their highest or whose low is not their lowest price."""
    enclosed = TRUTHS["high below open, low or close"] & TRUTHS["low above open, high or close"]
    return _untrue(given, enclosed, PRICES)


def find_impossible_prices(given: RuleInput, _limits: Limits) -> pl.DataFrame:
    """Return candles with a price that is empty, not finite, zero or negative."""
    possible = pl.all_horizontal(pl.col(name).is_finite() & (pl.col(name) > 0) for name in PRICES)
    return _untrue(given, possible, PRICES)


def find_impossible_volumes(given: RuleInput, _limits: Limits) -> pl.DataFrame:
    """Return candles whose volume is empty, not finite or negative; zero is possible."""
    possible = pl.col("volume").is_finite() & TRUTHS["volume below zero"]
    return _untrue(given, possible, NUMBERS[-1:])


def _untrue(given: RuleInput, truth: pl.Expr, columns: tuple[str, ...]) -> pl.DataFrame:
    return given.candles.filter(~truth.fill_null(value=False)).select("open_time", *columns)


RULES: tuple[Rule, ...] = (
    Rule(
        name="high_not_below_low",
        severity="error",
        description="High is the highest and low the lowest of the candle's four prices.",
        limits={},
        find=find_disordered_prices,
    ),
    Rule(
        name="prices_above_zero",
        severity="error",
        description="Every price is a finite number above zero.",
        limits={},
        find=find_impossible_prices,
    ),
    Rule(
        name="volume_not_negative",
        severity="error",
        description="Volume is a finite number, zero or more.",
        limits={},
        find=find_impossible_volumes,
    ),
)
