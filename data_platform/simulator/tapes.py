"""What a simulated market has to tell: candles for any timeframe and range.

One tape makes its candles up, the other replays a given frame. Both know how an unfinished candle
looks at a given moment. Stays out: wire formats, pages, clocks.
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
from data_platform.simulator.rows import WireRows, float_rows, tick_rows

_HOUR_MS = 3_600_000
_CACHED_DAYS = 2048


class Tape(Protocol):
    """The candles of one market on one exchange."""

    def span(self, timeframe: Timeframe) -> tuple[int, int]:
        """Return the first candle's time and the end of the last, UTC ms; equal when none."""
        ...

    def rows(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> WireRows:
        """Return the finished form of all candles with `start_ms <= time < end_ms`."""
        ...

    def candles(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return the same as a frame in `CANDLE_SCHEMA`."""
        ...

    def unfinished(self, timeframe: Timeframe, now_ms: int) -> WireRows:
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

    def rows(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> WireRows:
        """Return the finished form of all candles with `start_ms <= time < end_ms`."""
        return tick_rows(self._ticks(timeframe, start_ms, end_ms), self._profile)

    def candles(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return the same as a frame in `CANDLE_SCHEMA`."""
        return candles_frame(self._ticks(timeframe, start_ms, end_ms), self._profile)

    def unfinished(self, timeframe: Timeframe, now_ms: int) -> WireRows:
        """Return the open candle: its closed minutes and the traded part of the current one."""
        start = now_ms - now_ms % timeframe.ms
        day = self._minutes(now_ms // DAY_MS).between(start, now_ms + 1)
        minute = now_ms - now_ms % MINUTE_MS
        current = _begun(day.between(minute, minute + MINUTE_MS), now_ms - minute)
        if self._omits_quiet:
            current = current.take(current.volume > 0)
        begun = join_candles([day.between(start, minute), current])
        return tick_rows(begun.resample(timeframe.ms), self._profile)

    def _ticks(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> TickCandles:
        start_ms = max(start_ms, self.span(timeframe)[0])
        days = range(start_ms // DAY_MS, -(-end_ms // DAY_MS))
        by_day = self._hours if timeframe.ms >= _HOUR_MS else self._minutes
        parts = [by_day(day).resample(timeframe.ms) for day in days]
        return join_candles(parts).between(start_ms, end_ms)

    def _minutes(self, day: int) -> TickCandles:
        minutes = minutes_of_day(self._seed, self._profile, day)
        if self._omits_quiet:
            minutes = minutes.traded()
        return minutes.between(self._listed_ms, 2**62)

    def _hours_of_day(self, day: int) -> TickCandles:
        return self._minutes(day).resample(_HOUR_MS)


class ReplayTape:
    """Given candles, as they are; a replayed 1m series is aggregated for coarser timeframes."""

    def __init__(self, frames: Mapping[Timeframe, pl.DataFrame]) -> None:
        self._given = {timeframe: _checked(frame) for timeframe, frame in frames.items()}
        self._series = lru_cache(maxsize=None)(self._make_series)

    def span(self, timeframe: Timeframe) -> tuple[int, int]:
        """Return the first given candle's time and the end of the last."""
        times = self._series(timeframe)[1]
        return (times[0], times[-1] + timeframe.ms) if len(times) else (0, 0)

    def rows(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> WireRows:
        """Return all candles with `start_ms <= time < end_ms`."""
        return float_rows(self.candles(timeframe, start_ms, end_ms))

    def candles(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Return the same as a frame in `CANDLE_SCHEMA`."""
        frame, times = self._series(timeframe)
        first, last = int(times.search_sorted(start_ms)), int(times.search_sorted(end_ms))
        return frame.slice(first, max(0, last - first))

    def unfinished(self, timeframe: Timeframe, now_ms: int) -> WireRows:
        """Return the open candle as its closed parts show it, else at its opening price."""
        start = now_ms - now_ms % timeframe.ms
        base = timeframe if timeframe in self._given else _finest(self._given)
        current = now_ms - now_ms % base.ms
        closed = self.candles(base, start, current)
        begun = self.candles(base, current, current + 1).with_columns(
            high=pl.col("open"), low=pl.col("open"), close=pl.col("open"), volume=pl.lit(0.0)
        )
        return float_rows(_aggregate(pl.concat([closed, begun]), timeframe))

    def _make_series(self, timeframe: Timeframe) -> tuple[pl.DataFrame, pl.Series]:
        frame = self._given.get(timeframe)
        finest = _finest(self._given)
        if frame is None and finest.ms == MINUTE_MS:
            frame = _aggregate(self._given[finest], timeframe)
        elif frame is None:
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
