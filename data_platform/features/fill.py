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
from itertools import pairwise

import numpy as np
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
from data_platform.features.blocks import Numbers, milliseconds, to_ms, to_time
from data_platform.features.grids import Grids, Mask, offsets

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


@dataclass(frozen=True, slots=True)
class Sparse:
    """What the grid of one range is made of: the arguments of `fill_candles`."""

    candles: pl.DataFrame
    carry: Carry | None
    no_trades: Sequence[TimeRange]
    timeframe: Timeframe
    start: datetime
    end: datetime

    @property
    def height(self) -> int:
        """Return how many candles there are, with the one before them."""
        return self.candles.height + (self.carry is not None)

    @property
    def stored(self) -> pl.DataFrame:
        """Return these candles as `BACKED_SCHEMA`."""
        own = to_backed(self.candles)
        return own if self.carry is None else pl.concat([to_backed(self.carry.last), own])


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
    if candles.columns == BACKED_SCHEMA.names():
        return candles
    if "fill_method" in candles.columns:
        return candles.select(BACKED_SCHEMA.names())
    method = pl.lit(None, pl.String()).alias("fill_method")
    return candles.select(*CANDLE_SCHEMA.names(), method)


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
    (filled,) = fill_together([Sparse(candles, carry, no_trades, timeframe, start, end)])
    return filled


def fill_together(sparse: Sequence[Sparse]) -> list[pl.DataFrame]:
    """Return what `fill_candles` makes of each of many ranges, of any series, in one pass.

    Raises:
        StorageError: as `fill_candles`.
    """
    known = [part for part in sparse if part.height]
    filled = iter(_filled(known) if known else ())
    return [next(filled) if part.height else FILLED_SCHEMA.to_frame() for part in sparse]


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


def _filled(sparse: Sequence[Sparse]) -> list[pl.DataFrame]:
    stored = pl.concat([part.stored for part in sparse])
    times, begins = milliseconds(stored["open_time"]), offsets([part.height for part in sparse])
    starts = np.array([to_ms(part.start) for part in sparse])
    ends = np.array([to_ms(part.end) for part in sparse])
    steps = np.array([part.timeframe.ms for part in sparse])
    grids = Grids.of(times[begins[:-1]], ends, steps)
    rows = _checked_rows(grids, times, sparse)
    last, missing = grids.newest(rows)
    unexplained = np.cumsum(missing & ~grids.within([part.no_trades for part in sparse]))
    broken = np.greater(unexplained - unexplained[rows][last], CARRIED_CANDLES)
    kept = ~broken & (grids.times >= np.repeat(starts, grids.lengths))
    names = [
        time if part.carry is None else to_ms(part.carry.segment)
        for part, time in zip(sparse, grids.firsts.tolist(), strict=True)
    ]
    filled = _carried(stored, last[kept], missing[kept]).with_columns(
        open_time=pl.Series(grids.times[kept]).cast(TIME),
        segment=pl.Series(grids.segments(broken, names)[kept]).cast(TIME),
        is_filled=pl.col("fill_method").is_not_null(),
    )
    found = filled.select(FILLED_SCHEMA.names())
    edges = offsets(kept)[grids.edges].tolist()
    return [found.slice(first, end - first) for first, end in pairwise(edges)]


def _carried(stored: pl.DataFrame, last: Numbers, missing: Mask) -> pl.DataFrame:
    """Return the newest candle of each row: its close alone where the row has none of its own."""
    frame = stored[pl.Series(last)]
    if not missing.any():
        return frame
    absent = pl.when(pl.Series(missing))
    return frame.with_columns(
        *(absent.then("close").otherwise(name).alias(name) for name in ("open", "high", "low")),
        volume=absent.then(0.0).otherwise("volume"),
        fill_method=absent.then(pl.lit(CARRY)).otherwise("fill_method"),
    )


def _checked_rows(grids: Grids, times: Numbers, sparse: Sequence[Sparse]) -> Numbers:
    """Return the row of each candle."""
    heights = [part.height for part in sparse]
    owners = np.repeat(np.arange(len(sparse)), heights)
    rows, wrong = grids.rows(times, owners)
    # Before the range lies what is carried, and nothing else.
    early = times < np.array([to_ms(part.start) for part in sparse])[owners]
    early[offsets(heights)[:-1][[part.carry is not None for part in sparse]]] ^= True
    wrong |= early
    if wrong.any():
        place = int(wrong.argmax())
        part, lost = sparse[owners[place]], int(wrong[owners == owners[place]].sum())
        raise StorageError(
            f"{part.candles.height} stored {part.timeframe} candles were expected on the grid from "
            f"{part.start} on, found {part.candles.height - lost} there: that of "
            f"{to_time(times[place])} lies off the grid or outside the range. "
            "Fetch the period again."
        )
    return rows


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
