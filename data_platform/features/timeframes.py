"""Columns of coarser timeframes beside finer candles, joined by the time they become known.

A candle is known at its close. To the candle 09:59 of 1m belongs the 1h candle 09:00, for both
close at 10:00; to 09:58 belongs 08:00. Only that one is joined: when it is missing, an older one
would pass for news, so the columns are null there.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.timeframes import Timeframe
from data_platform.features.blocks import milliseconds, rows_at


def joined_name(column: str, coarse: Timeframe) -> str:
    """Return the name of a coarser timeframe's column beside finer candles: `rsi_14_1h`."""
    return f"{column}_{coarse}"


def coarse_range(
    start: datetime, end: datetime, timeframe: Timeframe, coarse: Timeframe
) -> TimeRange:
    """Return the opening times of the coarser candles that finer candles need.

    Args:
        start: opening time of the first finer candle.
        end: end of their range, exclusive, on their grid.
        timeframe: the finer timeframe.
        coarse: the coarser one.
    """
    first = coarse.floor(start + timeframe.duration) - coarse.duration
    return TimeRange(first, coarse.floor(end))


def add_coarser(
    frame: pl.DataFrame,
    coarse_frame: pl.DataFrame,
    timeframe: Timeframe,
    coarse: Timeframe,
    columns: Sequence[str],
) -> pl.DataFrame:
    """Return the frame with columns of the newest coarser candle closed by the row's own close.

    Args:
        frame: sorted by open_time, of `timeframe`; with `BLOCK` if it has several.
        coarse_frame: sorted by open_time, of `coarse`: at least `coarse_range` of the frame, as
            far as it exists; open_time, is_filled and `columns`, and `BLOCK` as `frame`.
        timeframe: the frame's timeframe.
        coarse: the coarser timeframe.
        columns: Float64 columns to join.

    Returns:
        Same rows; per column one more, named by `joined_name`, null where that candle or its
        value is not known.
    """
    known_at = milliseconds(frame["open_time"]) + timeframe.ms
    opened = known_at - known_at % coarse.ms - coarse.ms
    names = {name: joined_name(name, coarse) for name in columns}
    return frame.hstack(rows_at(frame, opened, coarse_frame, names))
