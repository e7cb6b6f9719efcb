"""How far the price moves: true range, the edges of its range, drawdown."""

import polars as pl

from data_platform.indicators.indicator import PERCENT, PRICE, Column, Indicator, Parameter, Recipe
from data_platform.indicators.windows import (
    ROW,
    highest,
    lowest,
    settled,
    smoothed,
    window_mean,
    window_sum,
)

TRUE_RANGE = pl.col("true_range")


def true_range() -> pl.Expr:
    """Return the step `true_range`: the candle's range, extended to the close before it."""
    high, low, close = pl.col("high"), pl.col("low"), pl.col("close")
    before = pl.when(pl.col(ROW) >= 1).then(close.shift(1)).otherwise(high)
    return (pl.max_horizontal(high, before) - pl.min_horizontal(low, before)).alias("true_range")


def true_range_sum(rows: int) -> tuple[pl.Expr, ...]:
    """Return the steps to `true_range_sum_<rows>`, which begins with a segment's second candle."""
    return true_range(), window_sum(TRUE_RANGE, rows, first=1).alias(f"true_range_sum_{rows}")


def top_and_bottom(rows: int) -> tuple[pl.Expr, ...]:
    """Return the steps `top_<rows>` and `bottom_<rows>`: the window's highest high, lowest low."""
    high, low = pl.col("high"), pl.col("low")
    return highest(high, rows).alias(f"top_{rows}"), lowest(low, rows).alias(f"bottom_{rows}")


def average_true_range(rows: int) -> Recipe:
    """Return the recipe of Wilder's average true range; a segment's first range is high - low."""
    name = f"atr_{rows}"
    column = Column(name, PRICE, f"Mean true range over {rows} candles (Wilder's smoothing).")
    steps = (true_range(), smoothed(TRUE_RANGE, rows, 1 / rows).alias(name))
    return Recipe((column,), settled(rows, 1 / rows, exact=1), steps)


def ulcer_index(rows: int) -> Recipe:
    """Return the recipe of Martin's ulcer index: how deep and long the close is under its top."""
    name = f"ulcer_{rows}"
    text = f"Root mean square of the drawdowns from the {rows}-candle top, last {rows} candles."
    close, fall = pl.col("close"), f"fall_{rows}"
    steps = (
        (100 * (close / highest(close, rows) - 1)).alias(fall),
        window_mean(pl.col(fall) ** 2, rows, first=rows - 1).sqrt().alias(name),
    )
    return Recipe((Column(name, PERCENT, text),), 2 * rows - 2, steps)


INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="atr",
        title="Average true range",
        inputs=("high", "low", "close"),
        parameters=(Parameter("rows", 14),),
        source="J. Welles Wilder, New Concepts in Technical Trading Systems, 1978, section III",
        build=average_true_range,
    ),
    Indicator(
        name="ulcer",
        title="Ulcer index",
        inputs=("close",),
        parameters=(Parameter("rows", 14),),
        source="Peter Martin and Byron McCann, The Investor's Guide to Fidelity Funds, 1989",
        build=ulcer_index,
    ),
)
