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
from data_platform.indicators.volatility import top_and_bottom, true_range_sum
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

TYPICAL = pl.col("typical_price")


def typical_price() -> pl.Expr:
    """Return the step `typical_price`: the mean of high, low and close."""
    return ((HIGH + LOW + CLOSE) * THIRD).alias("typical_price")


def mean_typical_price(rows: int) -> pl.Expr:
    """Return the step `mean_typical_<rows>`, after `typical_price`."""
    return window_mean(TYPICAL, rows).alias(f"mean_typical_{rows}")


def relative_strength_index(rows: int) -> Recipe:
    """Return the recipe of Wilder's RSI; null where the price has practically not moved."""
    name = f"rsi_{rows}"
    column = Column(name, PERCENT, f"Share of gains in all moves, {rows} candles (Wilder).")
    return Recipe((column,), settled(rows, 1 / rows, first=1), _strength(rows))


def stochastic_strength(rows: int, smooth: int, signal: int) -> Recipe:
    """Return the recipe of the RSI's place in its own range; null where that range is empty."""
    names = [spell(it, rows, smooth, signal) for it in ("stoch_rsi", "stoch_rsi_k", "stoch_rsi_d")]
    columns = (
        Column(names[0], FRACTION, f"Place of the {rows}-candle RSI in its range of {rows} rows."),
        Column(names[1], FRACTION, f"Mean of that place of the last {smooth} candles."),
        Column(names[2], FRACTION, f"Mean of that mean of the last {signal} candles."),
    )
    strength, low, high = pl.col(f"rsi_{rows}"), f"rsi_bottom_{rows}", f"rsi_top_{rows}"
    bottom, top = pl.col(low), pl.col(high)
    steps = (
        *_strength(rows),
        lowest(strength, rows, first=rows).alias(low),
        highest(strength, rows, first=rows).alias(high),
        ratio(strength - bottom, top - bottom).alias(names[0]),
        window_mean(pl.col(names[0]), smooth, first=2 * rows - 1).alias(names[1]),
        window_mean(pl.col(names[1]), signal, first=2 * rows + smooth - 2).alias(names[2]),
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
    top, bottom = pl.col(f"top_{rows}"), pl.col(f"bottom_{rows}")
    steps = (
        *top_and_bottom(rows),
        (100 * ratio(CLOSE - bottom, top - bottom)).alias(line),
        window_mean(pl.col(line), signal, first=rows - 1).alias(signal_line),
    )
    return Recipe(columns, rows + signal - 2, steps)


def williams_range(rows: int) -> Recipe:
    """Return the recipe of Williams' %R; null where the window has no range."""
    name = f"williams_r_{rows}"
    text = f"Distance of the close from the top of the last {rows} candles' range: -100 to 0."
    top, bottom = pl.col(f"top_{rows}"), pl.col(f"bottom_{rows}")
    steps = (*top_and_bottom(rows), (100 * ratio(CLOSE - top, top - bottom)).alias(name))
    return Recipe((Column(name, SIGNED_PERCENT, text),), rows - 1, steps)


def commodity_channel_index(rows: int) -> Recipe:
    """Return the recipe of Lambert's CCI; null where the window's typical price never changed."""
    name = f"cci_{rows}"
    column = Column(
        name, NUMBER, f"Typical price against its {rows}-candle mean, in mean deviations x 0.015."
    )
    center, distance = pl.col(f"mean_typical_{rows}"), pl.col(f"distance_{rows}")
    moved = highest(TYPICAL, rows) > lowest(TYPICAL, rows)
    steps = (
        typical_price(),
        mean_typical_price(rows),
        mean_distance(TYPICAL, center, rows).alias(f"distance_{rows}"),
        pl.when(moved).then(ratio(TYPICAL - center, 0.015 * distance)).alias(name),
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
        ratio(window_sum(pl.col("pressure"), rows, first=1), pl.col(f"true_range_sum_{rows}"))
        for rows in (fast, medium, slow)
    ]
    parts = [weight * share for weight, share in zip(weights, shares, strict=True)]
    steps = (
        (CLOSE - bottom).alias("pressure"),
        *(step for rows in (fast, medium, slow) for step in true_range_sum(rows)),
        (100 * (parts[0] + parts[1] + parts[2]) / sum(weights)).alias(name),
    )
    return Recipe((Column(name, PERCENT, text),), max(fast, medium, slow), steps)


def rate_of_change(rows: int) -> Recipe:
    """Return the recipe of the close against that of `rows` candles before."""
    name = f"roc_{rows}"
    text = f"Close against the close {rows} candles before."
    steps = ((100 * (CLOSE / lagged(CLOSE, rows) - 1)).alias(name),)
    return Recipe((Column(name, SIGNED_PERCENT, text),), rows, steps)


def log_rate_of_change(rows: int) -> Recipe:
    """Return the recipe of the logarithm of that ratio, times 100."""
    name = f"log_roc_{rows}"
    text = f"100 x the logarithm of the close against the close {rows} candles before."
    steps = ((100 * (CLOSE / lagged(CLOSE, rows)).log()).alias(name),)
    return Recipe((Column(name, SIGNED_PERCENT, text),), rows, steps)


def _strength(rows: int) -> tuple[pl.Expr, ...]:
    change = CLOSE - lagged(CLOSE)
    mean_gain, mean_loss = pl.col(f"mean_gain_{rows}"), pl.col(f"mean_loss_{rows}")
    share = ratio(mean_gain, mean_gain + mean_loss, NEGLIGIBLE * CLOSE)
    return (
        smoothed(change.clip(lower_bound=0.0), rows, 1 / rows).alias(f"mean_gain_{rows}"),
        smoothed((-change).clip(lower_bound=0.0), rows, 1 / rows).alias(f"mean_loss_{rows}"),
        (100 * share).alias(f"rsi_{rows}"),
    )


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
