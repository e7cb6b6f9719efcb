"""Where the price is going: moving averages, MACD, ADX."""

import polars as pl

from data_platform.indicators.indicator import (
    PERCENT,
    PRICE,
    Column,
    Indicator,
    Parameter,
    Recipe,
)
from data_platform.indicators.volatility import true_range
from data_platform.indicators.windows import (
    NEGLIGIBLE,
    lagged,
    ratio,
    rows_to_forget,
    smoothed,
    window_mean,
)

CLOSE = pl.col("close")


def simple_moving_average(rows: int) -> Recipe:
    """Return the recipe of the mean close of `rows` candles."""
    name = f"sma_{rows}"
    column = Column(name, PRICE, f"Mean close of the last {rows} candles.")
    return Recipe((column,), rows - 1, ((window_mean(CLOSE, rows).alias(name),),))


def exponential_moving_average(rows: int) -> Recipe:
    """Return the recipe of the close smoothed with weight 2 / (rows + 1)."""
    name = f"ema_{rows}"
    column = Column(name, PRICE, f"Exponentially weighted mean close, span {rows} candles.")
    steps = ((smoothed(CLOSE, rows, _span(rows)).alias(name),),)
    return Recipe((column,), _warm_up_of_span(rows), steps)


def moving_average_convergence(fast: int, slow: int, signal: int) -> Recipe:
    """Return the recipe of the MACD line, its signal line and their difference."""
    if fast >= slow:
        raise ValueError(f"the fast average ({fast} rows) must be shorter than the slow ({slow})")
    key = f"{fast}_{slow}_{signal}"
    line, signal_line, histogram = f"macd_{key}", f"macd_signal_{key}", f"macd_histogram_{key}"
    columns = (
        Column(line, PRICE, f"EMA of {fast} candles less EMA of {slow} candles of the close."),
        Column(signal_line, PRICE, f"EMA of {signal} candles of the MACD line."),
        Column(histogram, PRICE, "MACD line less its signal line."),
    )
    averages = (
        smoothed(CLOSE, fast, _span(fast)).alias("fast"),
        smoothed(CLOSE, slow, _span(slow)).alias("slow"),
    )
    difference = ((pl.col("fast") - pl.col("slow")).alias(line),)
    signals = smoothed(pl.col(line), signal, _span(signal), slow - 1).alias(signal_line)
    bars = ((pl.col(line) - pl.col(signal_line)).alias(histogram),)
    warm_up = _warm_up_of_span(slow) + _warm_up_of_span(signal)
    return Recipe(columns, warm_up, (averages, difference, (signals,), bars))


def average_directional_index(rows: int) -> Recipe:
    """Return the recipe of Wilder's directional movement: ADX, +DI, -DI.

    Where the range has shrunk to nothing there is no direction: all three are null. Where it has
    not, but nothing moved either way, the directional index counts as 0.
    """
    adx, plus, minus = f"adx_{rows}", f"plus_di_{rows}", f"minus_di_{rows}"
    columns = (
        Column(adx, PERCENT, f"Strength of the trend, either way, over {rows} candles (Wilder)."),
        Column(plus, PERCENT, f"Share of upward movement in the range, {rows} candles (Wilder)."),
        Column(minus, PERCENT, f"Share of downward movement in the range, {rows} candles."),
    )
    up = pl.col("high") - lagged(pl.col("high"))
    down = lagged(pl.col("low")) - pl.col("low")
    moves = (
        pl.when((up > down) & (up > 0)).then(up).otherwise(0.0).alias("up"),
        pl.when((down > up) & (down > 0)).then(down).otherwise(0.0).alias("down"),
        true_range().alias("range"),
    )
    averages = tuple(
        smoothed(pl.col(name), rows, 1 / rows, first=1).alias(f"mean_{name}")
        for name in ("up", "down", "range")
    )
    smallest = NEGLIGIBLE * CLOSE
    shares = (
        (100 * ratio(pl.col("mean_up"), pl.col("mean_range"), smallest)).alias(plus),
        (100 * ratio(pl.col("mean_down"), pl.col("mean_range"), smallest)).alias(minus),
    )
    both = pl.col(plus) + pl.col(minus)
    apart = ratio((pl.col(plus) - pl.col(minus)).abs(), both, 100 * NEGLIGIBLE)
    directional = ((100 * apart).fill_null(0.0).alias("directional"),)
    strength = smoothed(pl.col("directional"), rows, 1 / rows, first=rows).alias("strength")
    known = (pl.when(pl.col(plus).is_not_null()).then(pl.col("strength")).alias(adx),)
    # The ratio may rest on moves from before a stand-still, and the index smooths it once more.
    warm_up = 2 * rows + rows_to_forget(1 / rows, NEGLIGIBLE * 1e-14)
    return Recipe(columns, warm_up, (moves, averages, shares, directional, (strength,), known))


def _span(rows: int) -> float:
    return 2 / (rows + 1)


def _warm_up_of_span(rows: int) -> int:
    return rows + rows_to_forget(_span(rows))


_ROWS = (Parameter("rows"),)
_SCHOOL = "https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays"

INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="sma",
        title="Simple moving average",
        parameters=_ROWS,
        source=f"{_SCHOOL}/technical-overlays/moving-averages-simple-and-exponential",
        build=simple_moving_average,
    ),
    Indicator(
        name="ema",
        title="Exponential moving average",
        parameters=_ROWS,
        source=f"{_SCHOOL}/technical-overlays/moving-averages-simple-and-exponential",
        build=exponential_moving_average,
    ),
    Indicator(
        name="macd",
        title="Moving average convergence/divergence",
        parameters=(Parameter("fast rows"), Parameter("slow rows"), Parameter("signal rows")),
        source="Gerald Appel, Technical Analysis: Power Tools for Active Investors, 2005",
        build=moving_average_convergence,
    ),
    Indicator(
        name="adx",
        title="Average directional index",
        parameters=_ROWS,
        source="J. Welles Wilder, New Concepts in Technical Trading Systems, 1978, section IV",
        build=average_directional_index,
    ),
)
