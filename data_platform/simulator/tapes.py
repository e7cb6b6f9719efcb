"""What a simulated market has to tell: candles for any timeframe and range.

One tape makes its candles up, the other replays a given frame. Both know how an unfinished candle
looks at a given moment, and tell their candles with edits made to the finest ones. Stays out: wire
formats, pages, clocks.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import numpy as np
import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TIME, empty_candles
from data_platform.domain.errors import WrongUseError
from data_platform.domain.synthetic import candles_frame
from data_platform.domain.synthetic_markets import MarketProfile
from data_platform.domain.synthetic_minutes import (
    DAY_MS,
    MINUTE_MS,
    TickCandles,
    join_candles,
    minutes_of_day,
)
from data_platform.domain.timeframes import Timeframe
from data_platform.simulator.edits import Edits, edit_frame, edit_minutes, touching
from data_platform.simulator.rows import WireRows, float_rows, tick_rows

_HOUR_MS = 3_600_000
_CACHED_DAYS = 2048
_CACHED_SERIES = 64


class Tape(Protocol):
    """The candles of one market on one exchange."""

    def __hash__(self) -> int: ...

    def span(self, timeframe: Timeframe) -> tuple[int, int]:
        """Return the first candle's time and the end of the last, UTC ms; equal when none."""
        ...

    def rows(self, timeframe: Timeframe, start_ms: int, end_ms: int, edits: Edits = ()) -> WireRows:
        """Return the finished form of all candles with `start_ms <= time < end_ms`."""
        ...

    def candles(
        self, timeframe: Timeframe, start_ms: int, end_ms: int, edits: Edits = ()
    ) -> pl.DataFrame:
        """Return the same as a frame in `CANDLE_SCHEMA`."""
        ...

    def unfinished(self, timeframe: Timeframe, now_ms: int, edits: Edits = ()) -> WireRows:
        """Return the candle that is open at `now_ms` as it stands then: one row or none."""
        ...


class SyntheticTape:
    """Made-up candles since a listing, without an end."""

    def __init__(
        self, seed: int, profile: MarketProfile, listed_ms: int, *, omits_quiet: bool
    ) -> None:
        self._seed = seed
        self._profile = profile
        self._listed_ms = listed_ms - listed_ms % MINUTE_MS
        self._omits_quiet = omits_quiet
        self._hours = lru_cache(maxsize=_CACHED_DAYS)(self._hours_of_day)

    def span(self, timeframe: Timeframe) -> tuple[int, int]:
        """Return the candle that holds the listing, and the end of time."""
        return self._listed_ms - self._listed_ms % timeframe.ms, 2**62

    def rows(self, timeframe: Timeframe, start_ms: int, end_ms: int, edits: Edits = ()) -> WireRows:
        """Return the finished form of all candles with `start_ms <= time < end_ms`."""
        return tick_rows(self._ticks(timeframe, start_ms, end_ms, edits), self._profile)

    def candles(
        self, timeframe: Timeframe, start_ms: int, end_ms: int, edits: Edits = ()
    ) -> pl.DataFrame:
        """Return the same as a frame in `CANDLE_SCHEMA`."""
        return candles_frame(self._ticks(timeframe, start_ms, end_ms, edits), self._profile)

    def unfinished(self, timeframe: Timeframe, now_ms: int, edits: Edits = ()) -> WireRows:
        """Return the open candle: its closed minutes and the traded part of the current one."""
        start = now_ms - now_ms % timeframe.ms
        day = self._minutes(now_ms // DAY_MS, edits).between(start, now_ms + 1)
        minute = now_ms - now_ms % MINUTE_MS
        current = _begun(day.between(minute, minute + MINUTE_MS), now_ms - minute)
        if self._omits_quiet:
            current = current.take(current.volume > 0)
        begun = join_candles([day.between(start, minute), current])
        return tick_rows(begun.resample(timeframe.ms), self._profile)

    def _ticks(self, timeframe: Timeframe, start_ms: int, end_ms: int, edits: Edits) -> TickCandles:
        start_ms = max(start_ms, self.span(timeframe)[0])
        days = range(start_ms // DAY_MS, -(-end_ms // DAY_MS))
        by_day = self._hours if timeframe.ms >= _HOUR_MS else self._minutes
        parts = [
            by_day(day, touching(edits, day * DAY_MS, (day + 1) * DAY_MS)).resample(timeframe.ms)
            for day in days
        ]
        return join_candles(parts).between(start_ms, end_ms)

    def _minutes(self, day: int, edits: Edits) -> TickCandles:
        minutes = minutes_of_day(self._seed, self._profile, day)
        if self._omits_quiet:
            minutes = minutes.traded()
        return edit_minutes(minutes.between(self._listed_ms, 2**62), edits)

    def _hours_of_day(self, day: int, edits: Edits) -> TickCandles:
        return self._minutes(day, edits).resample(_HOUR_MS)


class ReplayTape:
    """Given candles, as they are; a replayed 1m series is aggregated for coarser timeframes."""

    def __init__(self, frames: Mapping[Timeframe, pl.DataFrame]) -> None:
        self._given = {timeframe: _checked(frame) for timeframe, frame in frames.items()}
        self._series = lru_cache(maxsize=_CACHED_SERIES)(self._make_series)

    def span(self, timeframe: Timeframe) -> tuple[int, int]:
        """Return the first given candle's time and the end of the last."""
        times = self._series(timeframe, ())[1]
        return (times[0], times[-1] + timeframe.ms) if len(times) else (0, 0)

    def rows(self, timeframe: Timeframe, start_ms: int, end_ms: int, edits: Edits = ()) -> WireRows:
        """Return all candles with `start_ms <= time < end_ms`."""
        return float_rows(self.candles(timeframe, start_ms, end_ms, edits))

    def candles(
        self, timeframe: Timeframe, start_ms: int, end_ms: int, edits: Edits = ()
    ) -> pl.DataFrame:
        """Return the same as a frame in `CANDLE_SCHEMA`."""
        frame, times = self._series(timeframe, edits)
        first, last = int(times.search_sorted(start_ms)), int(times.search_sorted(end_ms))
        return frame.slice(first, max(0, last - first))

    def unfinished(self, timeframe: Timeframe, now_ms: int, edits: Edits = ()) -> WireRows:
        """Return the open candle as its closed parts show it, else at its opening price."""
        start = now_ms - now_ms % timeframe.ms
        base = timeframe if timeframe in self._given else _finest(self._given)
        current = now_ms - now_ms % base.ms
        closed = self.candles(base, start, current, edits)
        begun = self.candles(base, current, current + 1, edits).with_columns(
            high=pl.col("open"), low=pl.col("open"), close=pl.col("open"), volume=pl.lit(0.0)
        )
        return float_rows(_aggregate(pl.concat([closed, begun]), timeframe))

    def _make_series(self, timeframe: Timeframe, edits: Edits) -> tuple[pl.DataFrame, pl.Series]:
        given = self._given.get(timeframe)
        finest = _finest(self._given)
        if given is not None:
            frame = edit_frame(given, timeframe, edits)
        elif finest.ms == MINUTE_MS:
            frame = _aggregate(self._series(finest, edits)[0], timeframe)
        else:
            frame = empty_candles()
        return frame, frame["open_time"].dt.epoch("ms")


def _begun(minute: TickCandles, elapsed_ms: int) -> TickCandles:
    # Only what can have happened so far: a part of the volume, the close on its way.
    part = elapsed_ms / MINUTE_MS
    close = minute.open + np.rint((minute.close - minute.open) * part).astype(np.int64)
    volume = np.floor(minute.volume * part).astype(np.int64)
    return TickCandles(
        time=minute.time,
        open=minute.open,
        high=np.maximum(minute.open, close),
        low=np.minimum(minute.open, close),
        close=close,
        volume=volume,
        trades=np.where(volume > 0, np.ceil(minute.trades * part), 0).astype(np.int64),
    )


def _finest(frames: Mapping[Timeframe, pl.DataFrame]) -> Timeframe:
    return min(frames, key=lambda timeframe: timeframe.ms)


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in CANDLE_SCHEMA if name not in frame.columns]
    if missing:
        raise WrongUseError(
            f"a replayed frame needs the columns {', '.join(CANDLE_SCHEMA)}; "
            f"missing: {', '.join(missing)}."
        )
    candles = frame.select(pl.col(name).cast(dtype) for name, dtype in CANDLE_SCHEMA.items()).sort(
        "open_time"
    )
    numbers = pl.all_horizontal(pl.exclude("open_time").is_finite())
    bad = candles.filter(~numbers.fill_null(value=False))
    if bad.height:
        raise WrongUseError(
            f"a replayed frame must hold finite numbers only; found {bad.height} rows that do "
            f"not, the first at {bad['open_time'][0]}: drop them before the replay."
        )
    return candles


def _aggregate(candles: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    bucket = (pl.col("open_time").dt.epoch("ms") // timeframe.ms * timeframe.ms).cast(TIME)
    return (
        candles.group_by(bucket, maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .select(CANDLE_SCHEMA.names())
    )
