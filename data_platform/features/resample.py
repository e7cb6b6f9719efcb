"""Coarser candles from finer ones of the same market.

Prices are exact; volume is a float sum, equal to the exact sum within 1e-12. A window that may
still gain a candle does not exist yet, so no derived candle is ever published unfinished.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TIME, TimeRange
from data_platform.domain.timeframes import Timeframe


def resample_candles(
    candles: pl.DataFrame, timeframe: Timeframe, unknown: Sequence[TimeRange], end: datetime
) -> pl.DataFrame:
    """Return the complete candles of `timeframe` that finer candles make.

    Args:
        candles: `CANDLE_SCHEMA`, sorted, finer than `timeframe`; whole windows from the first.
        timeframe: the length of the candles to make.
        unknown: finer grid times that are neither stored nor confirmed empty; a window that
            holds one is left out.
        end: end of the range in which every other finer grid time is known, exclusive; a window
            that closes after it is left out.

    Returns:
        `CANDLE_SCHEMA`, sorted; no candle for a window without finer ones.
    """
    windows = (
        candles.group_by(pl.col("open_time").dt.truncate(f"{timeframe.seconds}s"))
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .filter(pl.col("open_time") <= end - timeframe.duration)
    )
    incomplete = pl.DataFrame({"open_time": _windows(unknown, timeframe)}, {"open_time": TIME})
    return (
        windows.join(incomplete, on="open_time", how="anti")
        .sort("open_time")
        .select(CANDLE_SCHEMA.names())
    )


def _windows(ranges: Sequence[TimeRange], timeframe: Timeframe) -> list[datetime]:
    return [
        timeframe.floor(part.start) + number * timeframe.duration
        for part in ranges
        for number in range(timeframe.count(timeframe.floor(part.start), part.end))
    ]
