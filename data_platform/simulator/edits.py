"""How a market's candles differ from its tape: gaps, corrections, lateness, delisting, a new name.

Values only. An edit is made to the finest candles, so that every coarser timeframe follows.
Stays out: who orders an edit and when (`market_faults`, `fault_board`), which rows are served
(`venue`).
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.markets import Pair
from data_platform.domain.synthetic_minutes import MINUTE_MS, Ints, TickCandles
from data_platform.domain.timeframes import Timeframe

_PRICES = ("open", "high", "low", "close")
_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes that have no candle."""

    start_ms: int
    end_ms: int
    """Exclusive."""

    def of_minutes(self, candles: TickCandles) -> TickCandles:
        """Return the minutes without those of the gap."""
        return candles.take((candles.time < self.start_ms) | (candles.time >= self.end_ms))

    def of_frame(self, candles: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
        """Return a frame without the candles that lie wholly in the gap."""
        time = pl.col("open_time").dt.epoch("ms")
        return candles.filter((time < self.start_ms) | (time + timeframe.ms > self.end_ms))


@dataclass(frozen=True, slots=True)
class Correction:
    """Minutes whose prices and volume are multiplied, so that every coarser candle changes too."""

    start_ms: int
    end_ms: int
    """Exclusive."""
    factor: float

    def of_minutes(self, candles: TickCandles) -> TickCandles:
        """Return the minutes with the corrected ones; whole ticks, and at least a lot is traded."""
        is_mine = (candles.time >= self.start_ms) & (candles.time < self.end_ms)

        def scaled(column: Ints) -> Ints:
            changed = np.maximum(1, np.ceil(column * self.factor)).astype(np.int64)
            return np.where(is_mine, changed, column)

        return replace(
            candles,
            **{name: scaled(getattr(candles, name)) for name in (*_PRICES, "volume")},
            trades=np.where(is_mine, np.maximum(1, candles.trades), candles.trades),
        )

    def of_frame(self, candles: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
        """Return a frame with every candle that holds a corrected minute changed."""
        time = pl.col("open_time").dt.epoch("ms")
        is_mine = (time < self.end_ms) & (time + timeframe.ms > self.start_ms)
        changed = [
            pl.when(is_mine).then((pl.col(name) * self.factor).round(_DECIMALS)).otherwise(name)
            for name in (*_PRICES, "volume")
        ]
        return candles.with_columns(
            expression.alias(name)
            for name, expression in zip((*_PRICES, "volume"), changed, strict=True)
        ).select(CANDLE_SCHEMA.names())


Edit: TypeAlias = Gap | Correction
Edits: TypeAlias = tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Late:
    """Candles that appear some time after their close, and not at all before."""

    delay_ms: int
    minute_ms: int | None = None
    """Only the candle that holds this minute, in every timeframe; None: each one."""

    def hides(self, open_ms: int, timeframe: Timeframe, now_ms: int) -> bool:
        """Return whether a candle is not there yet."""
        is_meant = (
            self.minute_ms is None or self.minute_ms - self.minute_ms % timeframe.ms == open_ms
        )
        return is_meant and now_ms < open_ms + timeframe.ms + self.delay_ms


@dataclass(frozen=True, slots=True)
class Standing:
    """How a market stands at a moment."""

    edits: Edits = ()
    late: tuple[Late, ...] = ()
    is_delisted: bool = False
    renamed: Pair | None = None
    """The pair's new name; it is unknown by the old one."""

    def edits_of(self, start_ms: int, end_ms: int) -> Edits:
        """Return the edits that touch a half-open range."""
        return touching(self.edits, start_ms, end_ms)

    def hidden(self, timeframe: Timeframe, now_ms: int) -> frozenset[int]:
        """Return the opening times of the candles that are not there yet, of all that could be."""
        open_ms = now_ms - now_ms % timeframe.ms
        return frozenset(
            time
            for late in self.late
            for time in _candidates(late, timeframe, open_ms)
            if late.hides(time, timeframe, now_ms)
        )

    def name_of(self, pair: Pair) -> Pair | None:
        """Return what a pair is called now; None when it is not traded any more."""
        return None if self.is_delisted else self.renamed or pair


UNCHANGED = Standing()


def touching(edits: Edits, start_ms: int, end_ms: int) -> Edits:
    """Return the edits that touch a half-open range."""
    return tuple(edit for edit in edits if edit.start_ms < end_ms and edit.end_ms > start_ms)


def edit_minutes(candles: TickCandles, edits: Edits) -> TickCandles:
    """Return minutes after all edits, in order."""
    for edit in edits:
        candles = edit.of_minutes(candles)
    return candles


def edit_frame(candles: pl.DataFrame, timeframe: Timeframe, edits: Edits) -> pl.DataFrame:
    """Return a frame of one timeframe after all edits, in order."""
    for edit in edits:
        candles = edit.of_frame(candles, timeframe)
    return candles


def to_minute(time_ms: int) -> int:
    """Return the opening time of the minute that holds a moment."""
    return time_ms - time_ms % MINUTE_MS


def _candidates(late: Late, timeframe: Timeframe, open_ms: int) -> range | tuple[int]:
    if late.minute_ms is not None:
        return (late.minute_ms - late.minute_ms % timeframe.ms,)
    reach = -(-late.delay_ms // timeframe.ms) * timeframe.ms
    return range(open_ms - reach, open_ms + 1, timeframe.ms)
