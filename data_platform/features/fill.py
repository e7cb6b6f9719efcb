"""The regular grid from sparse candles: the only place that fills.

A candle that the exchange did not send is made by carrying the last close (open = high = low =
close, volume 0), so row t uses rows <= t only. Each hole gets its first `CARRIED_CANDLES` rows
whatever follows it; from then on rows stay absent, and the next candle begins a new segment, over
whose edge no indicator or feature may reach. Times known to be without trades do not count
towards that limit: there the last price still is the price. Linear interpolation stays out: it
reads the next candle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.candles import (
    FILLED_SCHEMA,
    TIME,
    TimeRange,
    join_ranges,
)
from data_platform.domain.errors import StorageError
from data_platform.domain.timeframes import Timeframe

CARRIED_CANDLES = 10
"""Candles of a hole that are filled without knowing why they are missing."""


@dataclass(frozen=True, slots=True)
class Carry:
    """What the stored candles before a range leave to it."""

    last: pl.DataFrame
    """`CANDLE_SCHEMA`, one row: the last stored candle before the range, however old."""
    segment: datetime
    """The segment that this candle lies in."""


def fill_candles(
    candles: pl.DataFrame,
    carry: Carry | None,
    no_trades: Sequence[TimeRange],
    timeframe: Timeframe,
    start: datetime,
    end: datetime,
) -> pl.DataFrame:
    """Return the grid of one range, filled as the module says.

    The result does not depend on how a series is cut into ranges, given that `carry` is what the
    candles before `start` leave. Later candles change no row; but a hole at the end of the
    series is not filled before its next candle is stored, so `end` must not reach further.

    Args:
        candles: `CANDLE_SCHEMA`, sorted, audited: the stored candles from `start` to `end`.
        carry: what the candles before `start` leave, None when there is none.
        no_trades: the times in which nothing was traded; those before `start` back to the last
            stored candle included.
        timeframe: gives the grid.
        start: first grid time of the range.
        end: end of the range, exclusive: the period's end when a later candle is stored, else
            the close of the series' last stored candle.

    Returns:
        `FILLED_SCHEMA`, sorted; empty before the series' first candle.

    Raises:
        StorageError: a candle does not lie on the grid from `start` to `end`.
    """
    stored = candles if carry is None else pl.concat([carry.last, candles])
    if stored.is_empty():
        return FILLED_SCHEMA.to_frame()
    first = stored["open_time"][0]
    segment = first if carry is None else carry.segment
    grid = _grid(stored, no_trades, timeframe, end)
    filled = _filled(grid, segment).filter(pl.col("open_time") >= start)
    _check_complete(filled, candles.height, timeframe, start)
    return filled.select(FILLED_SCHEMA.names())


def _check_complete(
    filled: pl.DataFrame, stored: int, timeframe: Timeframe, start: datetime
) -> None:
    found = filled.height - filled["is_filled"].sum()
    if found != stored:
        raise StorageError(
            f"{stored} stored {timeframe} candles were expected on the grid from {start} on, "
            f"found {found} there: a candle lies off the grid or outside the range. "
            "Fetch the period again."
        )


def segment_of_last(
    times: pl.Series, no_trades: Sequence[TimeRange], timeframe: Timeframe
) -> datetime:
    """Return the segment that the last of a series' stored candles lies in.

    Args:
        times: sorted opening times, dtype `TIME`: every stored candle from the series' first, or
            from the first of any segment, up to the one that is asked about; at least one.
        no_trades: the times among them in which nothing was traded.
        timeframe: gives the grid.

    Returns:
        The opening time of the first candle after the last break.
    """
    before = pl.DataFrame({"open_time": times[:-1] + timeframe.duration})
    after = pl.DataFrame({"open_time": times[1:]})
    missing = (after["open_time"] - before["open_time"]).dt.total_milliseconds()
    quiet = _quiet_ms_before(after, no_trades) - _quiet_ms_before(before, no_trades)
    breaks = after.filter((missing - quiet) // timeframe.ms > CARRIED_CANDLES)
    starts: list[datetime] = pl.concat([times[:1], breaks["open_time"]]).to_list()
    return starts[-1]


def _grid(
    stored: pl.DataFrame, no_trades: Sequence[TimeRange], timeframe: Timeframe, end: datetime
) -> pl.DataFrame:
    step = timeframe.duration
    times = pl.datetime_range(
        stored["open_time"][0], end, step, closed="left", time_unit="ms", eager=True
    )
    grid = pl.DataFrame({"open_time": times}, schema={"open_time": TIME})
    return grid.join(stored, on="open_time", how="left", maintain_order="left").join_asof(
        _quiet_ranges(no_trades), left_on="open_time", right_on="quiet_start"
    )


def _filled(grid: pl.DataFrame, segment: datetime) -> pl.DataFrame:
    missing = pl.col("close").is_null()
    quiet = (pl.col("open_time") < pl.col("quiet_end")).fill_null(value=False)
    total = (missing & ~quiet).cum_sum()
    in_hole = total - pl.when(~missing).then(total).forward_fill()
    broken = (in_hole > CARRIED_CANDLES).alias("broken")
    marked = grid.with_columns(broken, is_filled=missing)
    begins = pl.col("broken").shift(1, fill_value=False) & ~pl.col("broken")
    close = pl.col("close").forward_fill()
    return marked.with_columns(
        *(pl.coalesce(name, close).alias(name) for name in ("open", "high", "low")),
        close=close,
        volume=pl.col("volume").fill_null(0.0),
        fill_method=pl.when("is_filled").then(pl.lit("carry")),
        segment=pl.when(begins).then("open_time").forward_fill().fill_null(segment),
    ).filter(~pl.col("broken"))


def _quiet_ranges(no_trades: Sequence[TimeRange]) -> pl.DataFrame:
    ranges = join_ranges(no_trades)
    bounds = {"quiet_start": [r.start for r in ranges], "quiet_end": [r.end for r in ranges]}
    return pl.DataFrame(bounds, schema={"quiet_start": TIME, "quiet_end": TIME})


def _quiet_ms_before(times: pl.DataFrame, no_trades: Sequence[TimeRange]) -> pl.Series:
    length = (pl.col("quiet_end") - pl.col("quiet_start")).dt.total_milliseconds()
    ranges = _quiet_ranges(no_trades).with_columns(earlier=length.cum_sum() - length)
    joined = times.join_asof(ranges, left_on="open_time", right_on="quiet_start")
    inside = pl.min_horizontal("open_time", "quiet_end") - pl.col("quiet_start")
    total = (pl.col("earlier") + inside.dt.total_milliseconds()).fill_null(0)
    return joined.select(total).to_series()
