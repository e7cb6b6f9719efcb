"""Averages of the close: plain, weighted, exponential, adaptive."""

import polars as pl

from data_platform.indicators import arrays
from data_platform.indicators.indicator import PRICE, Column, Indicator, Parameter, Recipe
from data_platform.indicators.windows import (
    ROW,
    by_array,
    by_segment,
    lagged,
    memory,
    ratio,
    settled,
    smoothed,
    window_mean,
    window_sum,
)

CLOSE = pl.col("close")


def span(rows: int) -> float:
    """Return the weight of the newest value in an exponential average of `rows` candles."""
    return 2 / (rows + 1)


def exponential(value: pl.Expr, rows: int) -> pl.Expr:
    """Return the exponential average of `rows` candles, null until as many are known."""
    return smoothed(value, rows, span(rows))


def simple_moving_average(rows: int) -> Recipe:
    """Return the recipe of the mean close of `rows` candles."""
    name = f"sma_{rows}"
    column = Column(name, PRICE, f"Mean close of the last {rows} candles.")
    return Recipe((column,), rows - 1, (window_mean(CLOSE, rows).alias(name),))


def weighted_moving_average(rows: int) -> Recipe:
    """Return the recipe of the mean close with weights 1 (oldest) to `rows` (newest)."""
    name = f"wma_{rows}"
    text = f"Mean close of the last {rows} candles, weights falling by one from {rows}."
    total = by_array(lambda values: arrays.weighted_sum(values, rows), CLOSE)
    mean = pl.when(pl.col(ROW) >= rows - 1).then(total / (rows * (rows + 1) / 2))
    return Recipe((Column(name, PRICE, text),), rows - 1, (mean.alias(name),))


def exponential_moving_average(rows: int) -> Recipe:
    """Return the recipe of the close smoothed with weight 2 / (rows + 1)."""
    name = f"ema_{rows}"
    column = Column(name, PRICE, f"Exponentially weighted mean close, span {rows} candles.")
    steps = (exponential(CLOSE, rows).alias(name),)
    return Recipe((column,), settled(rows, span(rows)), steps)


def adaptive_moving_average(rows: int, fast: int, slow: int) -> Recipe:
    """Return the recipe of Kaufman's KAMA: the smoother, the less the price gets on.

    A price that stands still gets on as slowly as can be.
    """
    name = f"kama_{rows}_{fast}_{slow}"
    text = f"Close smoothed as an EMA of {fast} to {slow} candles, by efficiency over {rows}."
    moved = (CLOSE - lagged(CLOSE, rows)).abs()
    efficiency = ratio(moved, window_sum(pl.col("way"), rows, first=1)).fill_null(0.0)
    weight = (efficiency * (span(fast) - span(slow)) + span(slow)) ** 2
    # Where nothing moves for long, only the slowest weight forgets.
    length = memory(min(span(fast), span(slow)) ** 2)
    average = by_segment(
        lambda close, weights: arrays.adaptive_average(close, weights, rows, length), CLOSE, weight
    )
    steps = ((CLOSE - lagged(CLOSE)).abs().alias("way"), average.alias(name))
    return Recipe((Column(name, PRICE, text),), rows + length, steps)


INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="sma",
        title="Simple moving average",
        inputs=("close",),
        parameters=(Parameter("rows", 20),),
        source="https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-"
        "overlays/technical-overlays/moving-averages-simple-and-exponential",
        build=simple_moving_average,
    ),
    Indicator(
        name="wma",
        title="Weighted moving average",
        inputs=("close",),
        parameters=(Parameter("rows", 9),),
        source="Robert Colby, The Encyclopedia of Technical Market Indicators, 2003",
        build=weighted_moving_average,
    ),
    Indicator(
        name="ema",
        title="Exponential moving average",
        inputs=("close",),
        parameters=(Parameter("rows", 14),),
        source="https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-"
        "overlays/technical-overlays/moving-averages-simple-and-exponential",
        build=exponential_moving_average,
    ),
    Indicator(
        name="kama",
        title="Kaufman's adaptive moving average",
        inputs=("close",),
        parameters=(Parameter("rows", 10), Parameter("fast rows", 2), Parameter("slow rows", 30)),
        source="Perry Kaufman, Trading Systems and Methods, 1995",
        build=adaptive_moving_average,
    ),
)
