"""Sums that remember everything: OBV, accumulation/distribution, price trend, NVI, total return.

Each begins with its segment, from that segment's first stored candle on. So a correction of one
candle changes every later row of the segment, and the partitions that hold them become stale.
"""

import polars as pl

from data_platform.indicators.averages import CLOSE
from data_platform.indicators.indicator import (
    ALL,
    BASE,
    NUMBER,
    SIGNED_PERCENT,
    Column,
    Indicator,
    Parameter,
    Recipe,
)
from data_platform.indicators.volume import VOLUME, located_volume
from data_platform.indicators.windows import ROW, SEGMENT, lagged, window_mean

FIRST_INDEX = 1000.0


def on_balance_volume() -> Recipe:
    """Return the recipe of Granville's OBV; a segment's first candle counts as a rise."""
    text = "Volume at rising closes less volume at falling ones, since the segment's start."
    direction = (CLOSE - lagged(CLOSE)).sign().fill_null(1.0)
    return _total("obv", text, (direction * VOLUME).alias("directed_volume"))


def accumulation_distribution() -> Recipe:
    """Return the recipe of Chaikin's accumulation/distribution line."""
    text = "Volume weighed by where its candle closed, -1 to 1, since the segment's start."
    return _total("adi", text, located_volume())


def volume_price_trend() -> Recipe:
    """Return the recipe of the volume-price trend; it begins with a segment's second candle."""
    text = "Volume times the relative change of the close, since the segment's start."
    return _total("vpt", text, _trend())


def mean_volume_price_trend(rows: int) -> Recipe:
    """Return the recipe of its mean."""
    name = f"vpt_mean_{rows}"
    text = f"Volume-price trend, mean of the last {rows} candles."
    steps = (*volume_price_trend().steps, window_mean(pl.col("vpt"), rows, first=1).alias(name))
    return Recipe((Column(name, BASE, text),), ALL, steps)


def negative_volume_index() -> Recipe:
    """Return the recipe of Fosback's NVI: it moves with the price where volume falls."""
    text = "1000 at the segment's start, then moved with the close where volume falls."
    falls = lagged(VOLUME) > VOLUME
    factor = pl.when(falls).then(CLOSE / lagged(CLOSE)).otherwise(1.0)
    product = pl.col("nvi_factor").cum_prod().over(SEGMENT)
    steps = (factor.alias("nvi_factor"), (FIRST_INDEX * product).alias("nvi"))
    return Recipe((Column("nvi", NUMBER, text),), ALL, steps)


def cumulative_return() -> Recipe:
    """Return the recipe of the close against its segment's first."""
    name = "cumulative_return"
    text = "Close against the first close of the segment."
    first = CLOSE.first().over(SEGMENT)
    steps = ((100 * (CLOSE / first - 1)).alias(name),)
    return Recipe((Column(name, SIGNED_PERCENT, text),), ALL, steps)


def _trend() -> pl.Expr:
    move = (CLOSE / lagged(CLOSE) - 1) * VOLUME
    return pl.when(pl.col(ROW) >= 1).then(move).alias("moved_volume")


def _total(name: str, text: str, part: pl.Expr) -> Recipe:
    total = pl.col(part.meta.output_name()).cum_sum().over(SEGMENT)
    steps = (part, total.alias(name))
    return Recipe((Column(name, BASE, text),), ALL, steps)


_TRADED = ("high", "low", "close", "volume")
_BY_CLOSE = ("close", "volume")
_SCHOOL = "https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays"
_VPT = "David Markstein, How to Make Your Money Do More, 1971"

INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="obv",
        title="On-balance volume",
        inputs=_BY_CLOSE,
        parameters=(),
        source="Joseph Granville, New Key to Stock Market Profits, 1963",
        build=on_balance_volume,
    ),
    Indicator(
        name="adi",
        title="Accumulation/distribution line",
        inputs=_TRADED,
        parameters=(),
        source=f"{_SCHOOL}/technical-indicators/accumulation-distribution-line",
        build=accumulation_distribution,
    ),
    Indicator("vpt", "Volume-price trend", _BY_CLOSE, (), _VPT, volume_price_trend),
    Indicator(
        "vpt_mean",
        "Mean volume-price trend",
        _BY_CLOSE,
        (Parameter("rows", 14),),
        _VPT,
        mean_volume_price_trend,
    ),
    Indicator(
        name="nvi",
        title="Negative volume index",
        inputs=_BY_CLOSE,
        parameters=(),
        source="Norman Fosback, Stock Market Logic, 1976",
        build=negative_volume_index,
    ),
    Indicator(
        name="cumulative_return",
        title="Cumulative return",
        inputs=("close",),
        parameters=(),
        source="https://en.wikipedia.org/wiki/Holding_period_return",
        build=cumulative_return,
    ),
)
