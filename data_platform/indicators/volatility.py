"""How far the price moves: true range, Bollinger bands."""

import polars as pl

from data_platform.indicators.indicator import PRICE, Column, Indicator, Parameter, Recipe
from data_platform.indicators.windows import (
    deviations,
    lagged,
    rows_to_forget,
    smoothed,
    window_mean,
)


def true_range() -> pl.Expr:
    """Return the candle's range, extended to the close before it where there is one."""
    high, low, before = pl.col("high"), pl.col("low"), lagged(pl.col("close"))
    return pl.max_horizontal(high - low, (high - before).abs(), (low - before).abs())


def average_true_range(rows: int) -> Recipe:
    """Return the recipe of Wilder's average true range; a segment's first range is high - low."""
    name = f"atr_{rows}"
    column = Column(name, PRICE, f"Mean true range over {rows} candles (Wilder's smoothing).")
    steps = (
        (true_range().alias("range"),),
        (smoothed(pl.col("range"), rows, 1 / rows).alias(name),),
    )
    return Recipe((column,), rows + rows_to_forget(1 / rows), steps)


def bollinger_bands(rows: int, width: float) -> Recipe:
    """Return the recipe of the mean close and `width` population standard deviations around it."""
    key = f"{rows}_{width:g}"
    upper, middle, lower = f"bb_upper_{key}", f"bb_middle_{key}", f"bb_lower_{key}"
    columns = (
        Column(upper, PRICE, f"Middle band plus {width:g} standard deviations."),
        Column(middle, PRICE, f"Mean close of the last {rows} candles."),
        Column(lower, PRICE, f"Middle band less {width:g} standard deviations."),
    )
    close, center = pl.col("close"), pl.col(middle)
    squares = [part**2 for part in deviations(close, center, rows)]
    steps = (
        (window_mean(close, rows).alias(middle),),
        ((sum(squares[1:], squares[0]) / rows).sqrt().alias("deviation"),),
        (
            (center + width * pl.col("deviation")).alias(upper),
            (center - width * pl.col("deviation")).alias(lower),
        ),
    )
    return Recipe(columns, rows - 1, steps)


INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="atr",
        title="Average true range",
        parameters=(Parameter("rows"),),
        source="J. Welles Wilder, New Concepts in Technical Trading Systems, 1978, section III",
        build=average_true_range,
    ),
    Indicator(
        name="bb",
        title="Bollinger bands",
        parameters=(Parameter("rows"), Parameter("standard deviations", "factor")),
        source="John Bollinger, Bollinger on Bollinger Bands, 2001: population deviation",
        build=bollinger_bands,
    ),
)
