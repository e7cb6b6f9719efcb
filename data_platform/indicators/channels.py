"""Channels around the price, and where the close lies in them: Bollinger, Keltner, Donchian."""

import polars as pl

from data_platform.indicators.averages import CLOSE, exponential, span
from data_platform.indicators.indicator import (
    FLAG,
    NUMBER,
    PRICE,
    SIGNED_PERCENT,
    Column,
    Indicator,
    Parameter,
    Recipe,
    WarmUp,
    spell,
)
from data_platform.indicators.momentum import mean_typical_price, typical_price
from data_platform.indicators.volatility import TRUE_RANGE, top_and_bottom, true_range
from data_platform.indicators.windows import (
    THIRD,
    deviation,
    ratio,
    settled,
    smoothed,
    window_mean,
)

HIGH, LOW = pl.col("high"), pl.col("low")

ROUNDING = 1e-12
"""The share of a price below which a difference is no more than rounding."""

Steps = tuple[pl.Expr, ...]


def bollinger_bands(rows: int, width: float) -> Recipe:
    """Return the recipe of the mean close and `width` population standard deviations around it."""
    texts = (
        f"Middle band plus {width:g} standard deviations.",
        f"Mean close of the last {rows} candles.",
        f"Middle band less {width:g} standard deviations.",
    )
    return _bands(spell("bb", rows, width), texts, rows - 1, _bollinger(rows, width))


def bollinger_place(rows: int, width: float) -> Recipe:
    """Return the recipe of the bands' width, the close's place in them, and whether it is outside.

    The place is null where the bands have no width.
    """
    key = spell("bb", rows, width)
    return _place(key, "the bands", rows - 1, _bollinger(rows, width))


def keltner_channel(rows: int, range_rows: int, factor: float) -> Recipe:
    """Return the recipe of the close's EMA and `factor` average true ranges around it."""
    key = spell("keltner", rows, range_rows, factor)
    texts = (
        f"Middle line plus {factor:g} average true ranges.",
        f"Exponentially weighted mean close, span {rows} candles.",
        f"Middle line less {factor:g} average true ranges.",
    )
    warm_up = _keltner_warm_up(rows, range_rows)
    return _bands(key, texts, warm_up, _keltner(rows, range_rows, factor))


def keltner_place(rows: int, range_rows: int, factor: float) -> Recipe:
    """Return the recipe of the channel's width, the close's place, and whether it is outside."""
    key, warm_up = spell("keltner", rows, range_rows, factor), _keltner_warm_up(rows, range_rows)
    return _place(key, "the channel", warm_up, _keltner(rows, range_rows, factor))


def keltner_original(rows: int) -> Recipe:
    """Return the recipe of Keltner's own lines: mean typical price, and mean range around it."""
    texts = (
        f"Mean of (4 high - 2 low + close) / 3 of the last {rows} candles.",
        f"Mean typical price of the last {rows} candles.",
        f"Mean of (4 low - 2 high + close) / 3 of the last {rows} candles.",
    )
    return _bands(spell("keltner_original", rows), texts, rows - 1, _original(rows))


def keltner_original_place(rows: int) -> Recipe:
    """Return the recipe of the lines' width, the close's place, and whether it is outside."""
    key = spell("keltner_original", rows)
    return _place(key, "the channel", rows - 1, _original(rows))


def donchian_channel(rows: int) -> Recipe:
    """Return the recipe of the highest high, the lowest low, and the middle between them."""
    texts = (
        f"Highest high of the last {rows} candles.",
        "Middle between the upper and the lower line.",
        f"Lowest low of the last {rows} candles.",
    )
    return _bands(spell("donchian", rows), texts, rows - 1, _donchian(rows))


def donchian_place(rows: int) -> Recipe:
    """Return the recipe of the channel's width against the mean close, and the close's place."""
    base = f"sma_{rows}"
    steps = (*_donchian(rows), window_mean(CLOSE, rows).alias(base))
    whole = _place(spell("donchian", rows), "the channel", rows - 1, steps, base)
    # The close never leaves this channel.
    return Recipe(whole.columns[:2], whole.warm_up, whole.steps[:-2])


def _bollinger(rows: int, width: float) -> Steps:
    upper, middle, lower = _lines(spell("bb", rows, width))
    mean, spread = pl.col(f"sma_{rows}"), width * pl.col(f"deviation_{rows}")
    return (
        window_mean(CLOSE, rows).alias(f"sma_{rows}"),
        deviation(CLOSE, mean, rows).alias(f"deviation_{rows}"),
        (mean + spread).alias(upper),
        mean.alias(middle),
        (mean - spread).alias(lower),
    )


def _keltner(rows: int, range_rows: int, factor: float) -> Steps:
    upper, middle, lower = _lines(spell("keltner", rows, range_rows, factor))
    mean, spread = pl.col(f"ema_{rows}"), factor * pl.col(f"atr_{range_rows}")
    return (
        true_range(),
        exponential(CLOSE, rows).alias(f"ema_{rows}"),
        smoothed(TRUE_RANGE, range_rows, 1 / range_rows).alias(f"atr_{range_rows}"),
        (mean + spread).alias(upper),
        mean.alias(middle),
        (mean - spread).alias(lower),
    )


def _keltner_warm_up(rows: int, range_rows: int) -> int:
    # The first true range after a cut lacks the close before it.
    return max(settled(rows, span(rows)), settled(range_rows, 1 / range_rows, exact=1))


def _original(rows: int) -> Steps:
    upper, middle, lower = _lines(spell("keltner_original", rows))
    above, below = (4 * HIGH - 2 * LOW + CLOSE) * THIRD, (4 * LOW - 2 * HIGH + CLOSE) * THIRD
    return (
        typical_price(),
        mean_typical_price(rows),
        window_mean(above, rows).alias(upper),
        pl.col(f"mean_typical_{rows}").alias(middle),
        window_mean(below, rows).alias(lower),
    )


def _donchian(rows: int) -> Steps:
    upper, middle, lower = _lines(spell("donchian", rows))
    top, bottom = pl.col(f"top_{rows}"), pl.col(f"bottom_{rows}")
    return (
        *top_and_bottom(rows),
        top.alias(upper),
        ((top - bottom) / 2 + bottom).alias(middle),
        bottom.alias(lower),
    )


def _bands(key: str, texts: tuple[str, str, str], warm_up: WarmUp, steps: Steps) -> Recipe:
    columns = tuple(
        Column(name, PRICE, text) for name, text in zip(_lines(key), texts, strict=True)
    )
    return Recipe(columns, warm_up, steps)


def _place(key: str, what: str, warm_up: WarmUp, steps: Steps, base: str | None = None) -> Recipe:
    name, numbers = _split(key)
    columns = (
        Column(f"{name}_width_{numbers}", SIGNED_PERCENT, f"Width of {what}, of its middle."),
        Column(f"{name}_percent_{numbers}", NUMBER, f"Place of the close in {what}, 0 to 1."),
        Column(f"{name}_is_above_{numbers}", FLAG, f"The close lies above {what}."),
        Column(f"{name}_is_below_{numbers}", FLAG, f"The close lies below {what}."),
    )
    upper, middle, lower = (pl.col(line) for line in _lines(key))
    # Lines of a market that stands still lie on its price but for their last bits.
    rounding = ROUNDING * CLOSE
    values = (
        100 * ratio(upper - lower, pl.col(base) if base else middle),
        ratio(CLOSE - lower, upper - lower, rounding),
        CLOSE - upper > rounding,
        lower - CLOSE > rounding,
    )
    named = tuple(it.alias(column.name) for it, column in zip(values, columns, strict=True))
    return Recipe(columns, warm_up, (*steps, *named))


def _lines(key: str) -> tuple[str, str, str]:
    name, numbers = _split(key)
    return f"{name}_upper_{numbers}", f"{name}_middle_{numbers}", f"{name}_lower_{numbers}"


def _split(key: str) -> tuple[str, str]:
    name = key.rstrip("0123456789._")
    return name, key[len(name) + 1 :]


_BANDS = (Parameter("rows", 20), Parameter("standard deviations", 2, "factor"))
_KELTNER = (
    Parameter("rows", 20),
    Parameter("range rows", 10),
    Parameter("average true ranges", 2, "factor"),
)
_ROWS = (Parameter("rows", 20),)
_RANGE = ("high", "low", "close")
_BOLLINGER_SOURCE = "John Bollinger, Bollinger on Bollinger Bands, 2001: population deviation"
_KELTNER_SOURCE = "Linda Raschke and Laurence Connors, Street Smarts, 1995"
_ORIGINAL_SOURCE = "Chester Keltner, How to Make Money in Commodities, 1960"
_DONCHIAN_SOURCE = "Richard Donchian, High Finance in Copper, Financial Analysts Journal, 1960"

INDICATORS: tuple[Indicator, ...] = (
    Indicator("bb", "Bollinger bands", ("close",), _BANDS, _BOLLINGER_SOURCE, bollinger_bands),
    Indicator(
        "bb_place",
        "Width of the Bollinger bands, %b",
        ("close",),
        _BANDS,
        _BOLLINGER_SOURCE,
        bollinger_place,
    ),
    Indicator("keltner", "Keltner channel", _RANGE, _KELTNER, _KELTNER_SOURCE, keltner_channel),
    Indicator(
        "keltner_place",
        "Place in the Keltner channel",
        _RANGE,
        _KELTNER,
        _KELTNER_SOURCE,
        keltner_place,
    ),
    Indicator(
        "keltner_original",
        "Keltner's ten-day moving average rule",
        _RANGE,
        _ROWS,
        _ORIGINAL_SOURCE,
        keltner_original,
    ),
    Indicator(
        "keltner_original_place",
        "Place in Keltner's own channel",
        _RANGE,
        _ROWS,
        _ORIGINAL_SOURCE,
        keltner_original_place,
    ),
    Indicator(
        "donchian", "Donchian channel", _RANGE[:2], _ROWS, _DONCHIAN_SOURCE, donchian_channel
    ),
    Indicator(
        "donchian_place",
        "Place in the Donchian channel",
        _RANGE,
        _ROWS,
        _DONCHIAN_SOURCE,
        donchian_place,
    ),
)
