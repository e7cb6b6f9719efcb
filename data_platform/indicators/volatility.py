"""How far the price moves: true range, drawdown."""

import polars as pl

from data_platform.indicators.indicator import PERCENT, PRICE, Column, Indicator, Parameter, Recipe
from data_platform.indicators.windows import ROW, highest, settled, smoothed, window_mean


def true_range() -> pl.Expr:
    """Return the candle's range, extended to the close before it where there is one."""
    high, low, close = pl.col("high"), pl.col("low"), pl.col("close")
    before = pl.when(pl.col(ROW) >= 1).then(close.shift(1)).otherwise(high)
    return pl.max_horizontal(high, before) - pl.min_horizontal(low, before)


def average_true_range(rows: int) -> Recipe:
    """Return the recipe of Wilder's average true range; a segment's first range is high - low."""
    name = f"atr_{rows}"
    column = Column(name, PRICE, f"Mean true range over {rows} candles (Wilder's smoothing).")
    steps = (
        (true_range().alias("range"),),
        (smoothed(pl.col("range"), rows, 1 / rows).alias(name),),
    )
    return Recipe((column,), settled(rows, 1 / rows, exact=1), steps)


def ulcer_index(rows: int) -> Recipe:
    """Return the recipe of Martin's ulcer index: how deep and long the close is under its top."""
    name = f"ulcer_{rows}"
    text = f"Root mean square of the drawdowns from the {rows}-candle top, last {rows} candles."
    close, fall = pl.col("close"), pl.col("fall")
    steps = (
        ((100 * (close / highest(close, rows) - 1)).alias("fall"),),
        (window_mean(fall**2, rows, first=rows - 1).sqrt().alias(name),),
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
