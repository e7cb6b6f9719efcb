"""What the rules across rows compare a candle with: the candles stored ahead of it.

Row t is judged by rows before t alone, so a verdict does not change when later candles arrive, nor
with how history is cut into months. Stays out: what is unusual (`outliers.py`, `stillness.py`).
"""

import math
from datetime import timedelta

import polars as pl

from data_platform.domain.timeframes import Timeframe
from data_platform.quality.rule import RuleInput

_FEWEST = 100
_DAY = timedelta(days=1)


def trailing_candles(timeframe: Timeframe) -> int:
    """Return how many candles tell what is usual: those of a day, 100 at least."""
    return max(_FEWEST, _DAY // timeframe.duration)


def recent_candles(timeframe: Timeframe) -> int:
    """Return how many candles are a while: an hour of 1m, two days of 1d, between them by roots."""
    return max(2, round(60 / math.sqrt(timeframe.seconds / 60)))


def history_candles(timeframe: Timeframe) -> int:
    """Return how many candles before a month its rules look at."""
    return trailing_candles(timeframe) + 2 * recent_candles(timeframe) + 2


def with_history(given: RuleInput) -> pl.LazyFrame:
    """Return the candles with those before them, and what each follows upon.

    Numbers that cannot be true (`ohlc.py`) are null, so that they spoil no mean.

    Returns:
        `CANDLE_SCHEMA` and `previous` (the close ahead), `steps` (candles' lengths since then, at
        least 1), `is_judged` (false for the rows before); not computed yet, so that a rule pays
        for the columns it reads only.
    """
    rows = pl.concat([given.before, given.candles])
    prices = [pl.col(name) for name in ("open", "high", "low", "close")]
    possible = [pl.when(it.is_finite() & (it > 0)).then(it).name.keep() for it in prices]
    volume = pl.col("volume")
    steps = pl.col("open_time").diff().dt.total_milliseconds() / given.timeframe.ms
    return (
        rows.lazy()
        .with_columns(
            *possible, pl.when(volume.is_finite() & (volume >= 0)).then(volume).name.keep()
        )
        .with_columns(
            previous=pl.col("close").shift(1),
            steps=steps.clip(lower_bound=1),
            is_judged=pl.int_range(pl.len()) >= given.before.height,
        )
    )
