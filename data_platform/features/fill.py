"""The regular grid from sparse candles: the only place that fills.

A candle that the exchange did not send is made by carrying the last close (open = high = low =
close, volume 0), so row t uses rows <= t only. Each hole gets its first `CARRIED_CANDLES` rows
whatever follows it; from then on rows stay absent, and the next candle begins a new segment, over
whose edge no indicator or feature may reach. Times known to be without trades do not count
towards that limit: there the last price still is the price. Linear interpolation stays out: it
reads the next candle.

Where the config names a backup, its candles come before carrying: over a gap that the exchange
was asked for and does not give, a row is the backup's candle of the same time, unchanged, and from
there on its close is the last one. So a gap that the backup covers breaks no segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.candles import (
    CANDLE_SCHEMA,
    FILLED_SCHEMA,
    TIME,
    TimeRange,
    join_ranges,
)
from data_platform.domain.errors import StorageError
from data_platform.domain.timeframes import Timeframe

CARRIED_CANDLES = 10
"""Candles of a hole that are filled without knowing why they are missing."""

CARRY = "carry"
"""The fill method of a row that carries the last close."""

BACKED_SCHEMA = pl.Schema({**CANDLE_SCHEMA, "fill_method": pl.String()})
"""Candles with the fill method of those that are another exchange's, null on the series' own."""


@dataclass(frozen=True, slots=True)
class Carry:
    """What the candles before a range leave to it."""

    last: pl.DataFrame
    """`BACKED_SCHEMA`, one row: the last candle before the range, however old."""
    segment: datetime
    """The segment that this candle lies in."""


def add_backup(
    candles: pl.DataFrame, backup: pl.DataFrame, gaps: Sequence[TimeRange], exchange: str
) -> pl.DataFrame:
    """Return candles and, in their gaps, those of the backup; an own candle always comes first.

    Args:
        candles: `CANDLE_SCHEMA`, sorted.
        backup: `CANDLE_SCHEMA`, sorted: the same pair and timeframe on another exchange.
        gaps: the times that the backup may cover.
        exchange: the backup's name.

    Returns:
        `BACKED_SCHEMA`, sorted; the backup's rows have the fill method `backup:<exchange>`.
    """
    allowed = _ranges(gaps)
    taken = (
        backup.join_asof(allowed, left_on="open_time", right_on="range_start")
        .filter(pl.col("open_time") < pl.col("range_end"))
        .join(candles, on="open_time", how="anti")
        .with_columns(fill_method=pl.lit(f"backup:{exchange}"))
    )
    return to_backed(pl.concat([candles, taken], how="diagonal")).sort("open_time")


def to_backed(candles: pl.DataFrame) -> pl.DataFrame:
    """Return candles as `BACKED_SCHEMA`; where nothing says otherwise, the series' own."""
    columns = BACKED_SCHEMA.names()
    return pl.concat([BACKED_SCHEMA.to_frame(), candles], how="diagonal").select(columns)


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
        candles: `CANDLE_SCHEMA` or `BACKED_SCHEMA`, sorted, audited: those from `start` to `end`.
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
    stored = to_backed(
        candles if carry is None else pl.concat([carry.last, candles], how="diagonal")
    )
    if stored.is_empty():
        return FILLED_SCHEMA.to_frame()
    segment = stored["open_time"][0] if carry is None else carry.segment
    grid = _grid(stored, no_trades, timeframe, end)
    filled = _filled(grid, segment).filter(pl.col("open_time") >= start)
    _check_complete(filled, candles.height, timeframe, start)
    return filled.select(FILLED_SCHEMA.names())


def _check_complete(
    filled: pl.DataFrame, stored: int, timeframe: Timeframe, start: datetime
) -> None:
    found = filled.filter(pl.col("fill_method").ne_missing(CARRY)).height
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
        times: sorted opening times, dtype `TIME`: every candle from the series' first, or from
            the first of any segment, up to the one that is asked about, what the backup covers
            included; at least one.
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
        _ranges(no_trades), left_on="open_time", right_on="range_start"
    )


def _filled(grid: pl.DataFrame, segment: datetime) -> pl.DataFrame:
    missing = pl.col("close").is_null()
    quiet = (pl.col("open_time") < pl.col("range_end")).fill_null(value=False)
    total = (missing & ~quiet).cum_sum()
    in_hole = total - pl.when(~missing).then(total).forward_fill()
    broken = (in_hole > CARRIED_CANDLES).alias("broken")
    method = pl.when(missing).then(pl.lit(CARRY)).otherwise("fill_method")
    marked = grid.with_columns(broken, fill_method=method)
    begins = pl.col("broken").shift(1, fill_value=False) & ~pl.col("broken")
    close = pl.col("close").forward_fill()
    return marked.with_columns(
        *(pl.coalesce(name, close).alias(name) for name in ("open", "high", "low")),
        close=close,
        volume=pl.col("volume").fill_null(0.0),
        is_filled=pl.col("fill_method").is_not_null(),
        segment=pl.when(begins).then("open_time").forward_fill().fill_null(segment),
    ).filter(~pl.col("broken"))


def _ranges(times: Sequence[TimeRange]) -> pl.DataFrame:
    ranges = join_ranges(times)
    bounds = {"range_start": [r.start for r in ranges], "range_end": [r.end for r in ranges]}
    return pl.DataFrame(bounds, schema={"range_start": TIME, "range_end": TIME})


def _quiet_ms_before(times: pl.DataFrame, no_trades: Sequence[TimeRange]) -> pl.Series:
    length = (pl.col("range_end") - pl.col("range_start")).dt.total_milliseconds()
    ranges = _ranges(no_trades).with_columns(earlier=length.cum_sum() - length)
    joined = times.join_asof(ranges, left_on="open_time", right_on="range_start")
    inside = pl.min_horizontal("open_time", "range_end") - pl.col("range_start")
    total = (pl.col("earlier") + inside.dt.total_milliseconds()).fill_null(0)
    return joined.select(total).to_series()
