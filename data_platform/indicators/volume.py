"""What the traded volume says about the price: money flow, force, ease, the price that was paid."""

import numpy as np
import polars as pl

from data_platform.indicators.averages import CLOSE, exponential, span
from data_platform.indicators.indicator import (
    NUMBER,
    PERCENT,
    PRICE,
    QUOTE,
    Column,
    Indicator,
    Parameter,
    Recipe,
)
from data_platform.indicators.momentum import TYPICAL, typical_price
from data_platform.indicators.windows import (
    BEGINS_SEGMENT,
    by_segment,
    lagged,
    ratio,
    settled,
    window_mean,
    window_sum,
)

HIGH, LOW, VOLUME = pl.col("high"), pl.col("low"), pl.col("volume")

MINUTES_A_DAY = 1440

EQUAL = 1e-12
"""The share of the price below which two typical prices are the same."""


def money_flow_index(rows: int) -> Recipe:
    """Return the recipe of the MFI; null where nothing was traded at a changed price."""
    name = f"mfi_{rows}"
    column = Column(name, PERCENT, f"Share of money at rising prices, last {rows} candles.")
    into, out_of = f"paid_rising_{rows}", f"paid_falling_{rows}"
    before = lagged(TYPICAL)
    # Three prices of the same sum may differ by rounding, which is no direction.
    moved = TYPICAL - before
    rising = pl.when(moved > EQUAL * before).then("paid").otherwise(0.0)
    falling = pl.when(moved < -EQUAL * before).then("paid").otherwise(0.0)
    steps = (
        *_paid(),
        window_sum(rising, rows, first=1).alias(into),
        window_sum(falling, rows, first=1).alias(out_of),
        (100 * ratio(pl.col(into), pl.col(into) + pl.col(out_of))).alias(name),
    )
    return Recipe((column,), rows, steps)


def located_volume() -> pl.Expr:
    """Return the step `located_volume`: times 1 for a close at the high, -1 at the low.

    Times 0 where the candle has no range.
    """
    place = ratio((CLOSE - LOW) - (HIGH - CLOSE), HIGH - LOW).fill_null(0.0)
    return (place * VOLUME).alias("located_volume")


def chaikin_money_flow(rows: int) -> Recipe:
    """Return the recipe of Chaikin's money flow; null where nothing was traded."""
    name = f"cmf_{rows}"
    text = f"Volume of {rows} candles, each weighed by where it closed, in their volume: -1 to 1."
    flow = window_sum(pl.col("located_volume"), rows)
    steps = (
        located_volume(),
        _volume_sum(rows),
        ratio(flow, pl.col(f"volume_sum_{rows}")).alias(name),
    )
    return Recipe((Column(name, NUMBER, text),), rows - 1, steps)


def force_index(rows: int) -> Recipe:
    """Return the recipe of Elder's force index."""
    name = f"force_{rows}"
    text = f"Change of the close times volume, EMA of {rows} candles."
    steps = (exponential((CLOSE - lagged(CLOSE)) * VOLUME, rows).alias(name),)
    return Recipe((Column(name, QUOTE, text),), settled(rows, span(rows), first=1), steps)


def ease_of_movement() -> Recipe:
    """Return the recipe of Arms' ease of movement, times 10^8; null where nothing was traded."""
    name = "ease_of_movement"
    return Recipe((Column(name, _EASE, _EASE_TEXT),), 1, (_ease(),))


def mean_ease_of_movement(rows: int) -> Recipe:
    """Return the recipe of its mean; null where a candle of the window has no volume."""
    name = f"ease_of_movement_mean_{rows}"
    steps = (_ease(), window_mean(pl.col("ease_of_movement"), rows, first=1).alias(name))
    text = f"{_EASE_TEXT[:-1]}, mean of {rows} candles."
    return Recipe((Column(name, _EASE, text),), rows, steps)


def volume_weighted_price(rows: int) -> Recipe:
    """Return the recipe of the volume-weighted mean typical price; null where nothing traded."""
    name = f"vwap_{rows}"
    text = f"Volume-weighted mean typical price of the last {rows} candles."
    paid, traded = window_sum(pl.col("paid"), rows), pl.col(f"volume_sum_{rows}")
    steps = (*_paid(), _volume_sum(rows), ratio(paid, traded).alias(name))
    return Recipe((Column(name, PRICE, text),), rows - 1, steps)


def session_price() -> Recipe:
    """Return the recipe of the same since midnight, UTC; null before the day's first trade."""
    name = "vwap_session"
    text = "Volume-weighted mean typical price since 00:00 UTC."
    day = pl.col("open_time").dt.date()
    begins = pl.col("begins_day")
    steps = (
        *_paid(),
        (BEGINS_SEGMENT | (day != day.shift(1))).alias("begins_day"),
        by_segment(np.cumsum, pl.col("paid"), begins=begins).alias("paid_today"),
        by_segment(np.cumsum, VOLUME, begins=begins).alias("volume_today"),
        ratio(pl.col("paid_today"), pl.col("volume_today")).alias(name),
    )
    return Recipe((Column(name, PRICE, text),), MINUTES_A_DAY - 1, steps)


def _ease() -> pl.Expr:
    move = (HIGH - lagged(HIGH)) + (LOW - lagged(LOW))
    return (1e8 * ratio(move * (HIGH - LOW), 2 * VOLUME)).alias("ease_of_movement")


def _paid() -> tuple[pl.Expr, ...]:
    return typical_price(), (TYPICAL * VOLUME).alias("paid")


def _volume_sum(rows: int) -> pl.Expr:
    return window_sum(VOLUME, rows).alias(f"volume_sum_{rows}")


_EASE = "squared quote currency per cubed unit of base, times 10^8"
_EASE_TEXT = "Move of the candle's middle times its range, per volume."

_TRADED = ("high", "low", "close", "volume")
_SCHOOL = "https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays"
_ARMS = "Richard Arms, Volume Cycles in the Stock Market, 1983"

INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="mfi",
        title="Money flow index",
        inputs=_TRADED,
        parameters=(Parameter("rows", 14),),
        source=f"{_SCHOOL}/technical-indicators/money-flow-index-mfi",
        build=money_flow_index,
    ),
    Indicator(
        name="cmf",
        title="Chaikin money flow",
        inputs=_TRADED,
        parameters=(Parameter("rows", 20),),
        source=f"{_SCHOOL}/technical-indicators/chaikin-money-flow-cmf",
        build=chaikin_money_flow,
    ),
    Indicator(
        name="force",
        title="Force index",
        inputs=("close", "volume"),
        parameters=(Parameter("rows", 13),),
        source="Alexander Elder, Trading for a Living, 1993",
        build=force_index,
    ),
    Indicator(
        "ease_of_movement",
        "Ease of movement",
        ("high", "low", "volume"),
        (),
        _ARMS,
        ease_of_movement,
    ),
    Indicator(
        "ease_of_movement_mean",
        "Mean ease of movement",
        ("high", "low", "volume"),
        (Parameter("rows", 14),),
        _ARMS,
        mean_ease_of_movement,
    ),
    Indicator(
        name="vwap",
        title="Rolling volume-weighted average price",
        inputs=_TRADED,
        parameters=(Parameter("rows", 14),),
        source=f"{_SCHOOL}/technical-overlays/volume-weighted-average-price-vwap",
        build=volume_weighted_price,
    ),
    Indicator(
        name="vwap_session",
        title="Volume-weighted average price of the day",
        inputs=_TRADED,
        parameters=(),
        source=f"{_SCHOOL}/technical-overlays/volume-weighted-average-price-vwap",
        build=session_price,
    ),
)
