"""How fast the price moves, against its own recent range: RSI, stochastic, CCI, and their kin."""

import polars as pl

from data_platform.indicators.averages import CLOSE
from data_platform.indicators.indicator import (
    FRACTION,
    NUMBER,
    PERCENT,
    SIGNED_PERCENT,
    Column,
    Indicator,
    Parameter,
    Recipe,
    spell,
)
from data_platform.indicators.volatility import true_range
from data_platform.indicators.windows import (
    NEGLIGIBLE,
    THIRD,
    highest,
    lagged,
    lowest,
    mean_distance,
    ratio,
    settled,
    smoothed,
    window_mean,
    window_sum,
)

HIGH, LOW = pl.col("high"), pl.col("low")

Steps = tuple[tuple[pl.Expr, ...], ...]


def typical_price() -> pl.Expr:
    """Return the mean of high, low and close."""
    return (HIGH + LOW + CLOSE) * THIRD


def relative_strength_index(rows: int) -> Recipe:
    """Return the recipe of Wilder's RSI; null where the price has practically not moved."""
    name = f"rsi_{rows}"
    column = Column(name, PERCENT, f"Share of gains in all moves, {rows} candles (Wilder).")
    steps = (*_strength(rows), (pl.col("strength").alias(name),))
    return Recipe((column,), settled(rows, 1 / rows, first=1), steps)


def stochastic_strength(rows: int, smooth: int, signal: int) -> Recipe:
    """Return the recipe of the RSI's place in its own range; null where that range is empty."""
    names = [spell(it, rows, smooth, signal) for it in ("stoch_rsi", "stoch_rsi_k", "stoch_rsi_d")]
    columns = (
        Column(names[0], FRACTION, f"Place of the {rows}-candle RSI in its range of {rows} rows."),
        Column(names[1], FRACTION, f"Mean of that place of the last {smooth} candles."),
        Column(names[2], FRACTION, f"Mean of that mean of the last {signal} candles."),
    )
    strength = pl.col("strength")
    low, high = lowest(strength, rows, first=rows), highest(strength, rows, first=rows)
    steps = (
        *_strength(rows),
        (low.alias("bottom"), high.alias("top")),
        (ratio(strength - pl.col("bottom"), pl.col("top") - pl.col("bottom")).alias(names[0]),),
        (window_mean(pl.col(names[0]), smooth, first=2 * rows - 1).alias(names[1]),),
        (window_mean(pl.col(names[1]), signal, first=2 * rows + smooth - 2).alias(names[2]),),
    )
    warm_up = settled(rows, 1 / rows, first=1) + rows + smooth + signal - 3
    return Recipe(columns, warm_up, steps)


def stochastic_oscillator(rows: int, signal: int) -> Recipe:
    """Return the recipe of the fast stochastic; null where the window has no range."""
    line, signal_line = f"stoch_k_{rows}_{signal}", f"stoch_d_{rows}_{signal}"
    columns = (
        Column(line, PERCENT, f"Place of the close in the range of the last {rows} candles."),
        Column(signal_line, PERCENT, f"Mean %K of the last {signal} candles."),
    )
    steps = (
        _range(rows),
        ((100 * ratio(CLOSE - pl.col("bottom"), pl.col("top") - pl.col("bottom"))).alias(line),),
        (window_mean(pl.col(line), signal, first=rows - 1).alias(signal_line),),
    )
    return Recipe(columns, rows + signal - 2, steps)


def williams_range(rows: int) -> Recipe:
    """Return the recipe of Williams' %R; null where the window has no range."""
    name = f"williams_r_{rows}"
    text = f"Distance of the close from the top of the last {rows} candles' range: -100 to 0."
    away = ratio(CLOSE - pl.col("top"), pl.col("top") - pl.col("bottom"))
    steps = (_range(rows), ((100 * away).alias(name),))
    return Recipe((Column(name, SIGNED_PERCENT, text),), rows - 1, steps)


def commodity_channel_index(rows: int) -> Recipe:
    """Return the recipe of Lambert's CCI; null where the window's typical price never changed."""
    name = f"cci_{rows}"
    column = Column(
        name, NUMBER, f"Typical price against its {rows}-candle mean, in mean deviations x 0.015."
    )
    typical, center = pl.col("typical"), pl.col("center")
    steps = (
        (typical_price().alias("typical"),),
        (
            window_mean(typical, rows).alias("center"),
            (highest(typical, rows) > lowest(typical, rows)).alias("moved"),
        ),
        (mean_distance(typical, center, rows).alias("distance"),),
        (pl.when("moved").then(ratio(typical - center, 0.015 * pl.col("distance"))).alias(name),),
    )
    return Recipe((column,), rows - 1, steps)


def ultimate_oscillator(
    fast: int, medium: int, slow: int, fast_weight: float, medium_weight: float, slow_weight: float
) -> Recipe:
    """Return the recipe of Williams' ultimate oscillator; null where a window has no range."""
    weights = (fast_weight, medium_weight, slow_weight)
    name = spell("uo", fast, medium, slow, *weights)
    text = f"Buying pressure in the true ranges of {fast}, {medium} and {slow} candles, weighed."
    bottom = pl.min_horizontal(LOW, lagged(CLOSE))
    shares = [
        ratio(
            window_sum(pl.col("pressure"), rows, first=1),
            window_sum(pl.col("range"), rows, first=1),
        )
        for rows in (fast, medium, slow)
    ]
    parts = [weight * share for weight, share in zip(weights, shares, strict=True)]
    steps = (
        ((CLOSE - bottom).alias("pressure"), true_range().alias("range")),
        ((100 * (parts[0] + parts[1] + parts[2]) / sum(weights)).alias(name),),
    )
    return Recipe((Column(name, PERCENT, text),), max(fast, medium, slow), steps)


def rate_of_change(rows: int) -> Recipe:
    """Return the recipe of the close against that of `rows` candles before."""
    name = f"roc_{rows}"
    text = f"Close against the close {rows} candles before."
    steps = (((100 * (CLOSE / lagged(CLOSE, rows) - 1)).alias(name),),)
    return Recipe((Column(name, SIGNED_PERCENT, text),), rows, steps)


def log_rate_of_change(rows: int) -> Recipe:
    """Return the recipe of the logarithm of that ratio, times 100."""
    name = f"log_roc_{rows}"
    text = f"100 x the logarithm of the close against the close {rows} candles before."
    steps = (((100 * (CLOSE / lagged(CLOSE, rows)).log()).alias(name),),)
    return Recipe((Column(name, SIGNED_PERCENT, text),), rows, steps)


def _strength(rows: int) -> Steps:
    change = CLOSE - lagged(CLOSE)
    moves = (
        change.clip(lower_bound=0.0).alias("gain"),
        (-change).clip(lower_bound=0.0).alias("loss"),
    )
    averages = tuple(
        smoothed(pl.col(part), rows, 1 / rows).alias(f"mean_{part}") for part in ("gain", "loss")
    )
    both = pl.col("mean_gain") + pl.col("mean_loss")
    share = 100 * ratio(pl.col("mean_gain"), both, NEGLIGIBLE * CLOSE)
    return (moves, averages, (share.alias("strength"),))


def _range(rows: int) -> tuple[pl.Expr, ...]:
    return (lowest(LOW, rows).alias("bottom"), highest(HIGH, rows).alias("top"))


_RANGE = ("high", "low", "close")

INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="rsi",
        title="Relative strength index",
        inputs=("close",),
        parameters=(Parameter("rows", 14),),
        source="J. Welles Wilder, New Concepts in Technical Trading Systems, 1978, section VI",
        build=relative_strength_index,
    ),
    Indicator(
        name="stoch_rsi",
        title="Stochastic RSI",
        inputs=("close",),
        parameters=(
            Parameter("rows", 14),
            Parameter("smooth rows", 3),
            Parameter("signal rows", 3),
        ),
        source="Tushar Chande and Stanley Kroll, The New Technical Trader, 1994",
        build=stochastic_strength,
    ),
    Indicator(
        name="stoch",
        title="Stochastic oscillator",
        inputs=_RANGE,
        parameters=(Parameter("rows", 14), Parameter("signal rows", 3)),
        source="George Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities, 1984",
        build=stochastic_oscillator,
    ),
    Indicator(
        name="williams_r",
        title="Williams %R",
        inputs=_RANGE,
        parameters=(Parameter("rows", 14),),
        source="Larry Williams, How I Made One Million Dollars Last Year Trading Commodities, 1973",
        build=williams_range,
    ),
    Indicator(
        name="cci",
        title="Commodity channel index",
        inputs=_RANGE,
        parameters=(Parameter("rows", 20),),
        source="Donald Lambert, Commodity Channel Index, Commodities, October 1980",
        build=commodity_channel_index,
    ),
    Indicator(
        name="uo",
        title="Ultimate oscillator",
        inputs=_RANGE,
        parameters=(
            Parameter("fast rows", 7),
            Parameter("medium rows", 14),
            Parameter("slow rows", 28),
            Parameter("fast weight", 4, "factor"),
            Parameter("medium weight", 2, "factor"),
            Parameter("slow weight", 1, "factor"),
        ),
        source="Larry Williams, The Ultimate Oscillator, Technical Analysis of Stocks & "
        "Commodities, 1985",
        build=ultimate_oscillator,
    ),
    Indicator(
        name="roc",
        title="Rate of change",
        inputs=("close",),
        parameters=(Parameter("rows", 12),),
        source="https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-"
        "overlays/technical-indicators/rate-of-change-roc",
        build=rate_of_change,
    ),
    Indicator(
        name="log_roc",
        title="Logarithmic rate of change",
        inputs=("close",),
        parameters=(Parameter("rows", 1),),
        source="Benoit Mandelbrot, The Variation of Certain Speculative Prices, 1963",
        build=log_rate_of_change,
    ),
)
