"""How fast the price moves, against its own recent range: RSI, stochastic, CCI."""

import polars as pl

from data_platform.indicators.indicator import (
    NUMBER,
    PERCENT,
    Column,
    Indicator,
    Parameter,
    Recipe,
)
from data_platform.indicators.windows import (
    NEGLIGIBLE,
    deviations,
    highest,
    lagged,
    lowest,
    ratio,
    rows_to_forget,
    smoothed,
    window_mean,
)

CLOSE = pl.col("close")


def typical_price() -> pl.Expr:
    """Return the mean of high, low and close."""
    return (pl.col("high") + pl.col("low") + CLOSE) / 3


def relative_strength_index(rows: int) -> Recipe:
    """Return the recipe of Wilder's RSI; null where the price has practically not moved."""
    name = f"rsi_{rows}"
    column = Column(name, PERCENT, f"Share of gains in all moves, {rows} candles (Wilder).")
    change = CLOSE - lagged(CLOSE)
    moves = (
        change.clip(lower_bound=0.0).alias("gain"),
        (-change).clip(lower_bound=0.0).alias("loss"),
    )
    averages = tuple(
        smoothed(pl.col(part), rows, 1 / rows, first=1).alias(f"mean_{part}")
        for part in ("gain", "loss")
    )
    both = pl.col("mean_gain") + pl.col("mean_loss")
    share = (100 * ratio(pl.col("mean_gain"), both, NEGLIGIBLE * CLOSE)).alias(name)
    warm_up = rows + rows_to_forget(1 / rows, NEGLIGIBLE * 1e-12)
    return Recipe((column,), warm_up, (moves, averages, (share,)))


def stochastic_oscillator(rows: int, signal: int) -> Recipe:
    """Return the recipe of the fast stochastic; null where the window has no range."""
    line, signal_line = f"stoch_k_{rows}_{signal}", f"stoch_d_{rows}_{signal}"
    columns = (
        Column(line, PERCENT, f"Place of the close in the range of the last {rows} candles."),
        Column(signal_line, PERCENT, f"Mean %K of the last {signal} candles."),
    )
    low = lowest(pl.col("low"), rows)
    place = ratio(CLOSE - low, highest(pl.col("high"), rows) - low)
    steps = (
        ((100 * place).alias(line),),
        (window_mean(pl.col(line), signal, first=rows - 1).alias(signal_line),),
    )
    return Recipe(columns, rows + signal - 2, steps)


def commodity_channel_index(rows: int) -> Recipe:
    """Return the recipe of Lambert's CCI; null where the window's typical price never changed."""
    name = f"cci_{rows}"
    column = Column(
        name, NUMBER, f"Typical price against its {rows}-candle mean, in mean deviations x 0.015."
    )
    typical, center = pl.col("typical"), pl.col("center")
    distances = [part.abs() for part in deviations(typical, center, rows)]
    steps = (
        (typical_price().alias("typical"),),
        (
            window_mean(typical, rows).alias("center"),
            (highest(typical, rows) > lowest(typical, rows)).alias("moved"),
        ),
        ((sum(distances[1:], distances[0]) / rows).alias("distance"),),
        (pl.when("moved").then(ratio(typical - center, 0.015 * pl.col("distance"))).alias(name),),
    )
    return Recipe((column,), rows - 1, steps)


INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="rsi",
        title="Relative strength index",
        parameters=(Parameter("rows"),),
        source="J. Welles Wilder, New Concepts in Technical Trading Systems, 1978, section VI",
        build=relative_strength_index,
    ),
    Indicator(
        name="stoch",
        title="Stochastic oscillator",
        parameters=(Parameter("rows"), Parameter("signal rows")),
        source="George Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities, 1984",
        build=stochastic_oscillator,
    ),
    Indicator(
        name="cci",
        title="Commodity channel index",
        parameters=(Parameter("rows"),),
        source="Donald Lambert, Commodity Channel Index, Commodities, October 1980",
        build=commodity_channel_index,
    ),
)
