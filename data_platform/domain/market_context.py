"""What recent candles say of a market: how volatile it is, where it goes, its price levels.

Pure functions of closed candles; a value at a time uses candles that had closed by then. What too
few candles can tell is `Unknown`, with the reason, and never guessed. Windows are counted in grid
times, not in rows: a hole does not stretch them, and one that lacks more than a tenth of its
candles says nothing. The newest candle may be one candle late, since it is fetched after its close.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from data_platform.domain.state_files import KeyLevels, Regime, Trend
from data_platform.domain.timeframes import Timeframe, to_timeframe

ENOUGH = 0.9
"""Share of a window's candles without which it says nothing."""

VOLATILITY_WINDOW = 24
"""Hourly log returns whose standard deviation is the realised volatility."""

LOOKBACK_DAYS = 90
"""Days among whose hours the newest volatility is ranked."""

LEAST_DAYS = 30
"""Days of history without which there is no rank."""

FAST, SLOW = 20, 50
"""Candles of the two means that a trend is read from."""

_LEVELS: tuple[tuple[float, Regime], ...] = (
    (5, "COMPLACENT"),
    (25, "LOW"),
    (60, "NORMAL"),
    (80, "ELEVATED"),
    (90, "HIGH"),
    (98, "EXTREME"),
)

HOUR, DAY = to_timeframe("1h"), to_timeframe("1d")
_WEEK_DAYS = 7
_LEVEL_DAYS = 3 * _WEEK_DAYS
"""Candles of 1d that hold last week, whatever today is."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that the candles do not tell."""

    reason: str


def regime_of(percentile: float) -> Regime:
    """Return the level of volatility of a percentile, 0 to 100; a bound belongs to the upper."""
    return next((level for bound, level in _LEVELS if percentile < bound), "CRISIS")


def volatility_percentile(candles: pl.DataFrame, now: datetime) -> float | Unknown:
    """Return the rank of the newest realised volatility among those of the last 90 days.

    Realised volatility is the sample standard deviation of the log returns of 24 hours from close
    to close. The rank counts hours that were calmer, and half of those alike, so that a market
    that does not move at all is in the middle.

    Args:
        candles: of 1h, sorted: `open_time`, `close`.
        now: the clock, UTC.

    Returns:
        From 0 to 100.
    """
    stale = _spell_stale(candles, HOUR, now)
    if stale:
        return stale
    hours = LOOKBACK_DAYS * 24
    closes = _on_grid(candles, HOUR, hours + VOLATILITY_WINDOW)
    found = _deviations(np.diff(np.log(closes)), VOLATILITY_WINDOW)
    known = found[~np.isnan(found)]
    if np.isnan(found[-1]):
        return Unknown(f"too many of the last {VOLATILITY_WINDOW} hours lack their candle")
    if known.size < LEAST_DAYS * 24:
        return Unknown(f"volatility of {known.size:,} hours is known, of {LEAST_DAYS * 24} needed")
    current = known[-1]
    below, alike = np.count_nonzero(known < current), np.count_nonzero(known == current)
    return float(100 * (below + alike / 2) / known.size)


def trend(candles: pl.DataFrame, timeframe: Timeframe, now: datetime) -> Trend | Unknown:
    """Return where a market goes: its newest close above or below two means in their order.

    Args:
        candles: of the timeframe, sorted: `open_time`, `close`.
        timeframe: of the candles.
        now: the clock, UTC.

    Returns:
        `bullish` when close > mean of 20 closes > mean of 50, `bearish` when close < mean of 20
        < mean of 50, else `ranging`.
    """
    stale = _spell_stale(candles, timeframe, now)
    if stale:
        return stale
    closes = _on_grid(candles, timeframe, SLOW)
    means = []
    for count in (FAST, SLOW):
        known = closes[-count:][~np.isnan(closes[-count:])]
        if known.size < ENOUGH * count:
            return Unknown(f"{known.size} of the last {count} candles of {timeframe} are stored")
        means.append(known.mean())
    close, fast, slow = closes[-1], *means
    if close > fast > slow:
        return "bullish"
    return "bearish" if close < fast < slow else "ranging"


def key_levels(days: pl.DataFrame, now: datetime) -> tuple[KeyLevels, list[Unknown]]:
    """Return the price levels of yesterday and of the last complete week, UTC.

    Weeks begin on Monday. The classic pivot: (high + low + close) / 3.

    Args:
        days: candles of 1d, sorted.
        now: the clock, UTC.

    Returns:
        The levels, and why some are not known.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    known = {row["open_time"]: row for row in days.tail(_LEVEL_DAYS).iter_rows(named=True)}
    unknown = []
    pivot = r1 = s1 = top = bottom = None
    yesterday = known.get(midnight - DAY.duration)
    if yesterday is not None:
        high, low, close = yesterday["high"], yesterday["low"], yesterday["close"]
        pivot = (high + low + close) / 3
        r1, s1 = 2 * pivot - low, 2 * pivot - high
    else:
        unknown.append(Unknown("yesterday's candle of 1d is not stored"))
    wanted = [monday - count * DAY.duration for count in range(1, _WEEK_DAYS + 1)]
    week = [known[day] for day in wanted if day in known]
    if len(week) == _WEEK_DAYS:
        top, bottom = max(row["high"] for row in week), min(row["low"] for row in week)
    else:
        unknown.append(Unknown(f"{len(week)} of the 7 days of last week are stored"))
    levels = KeyLevels(
        daily_pivot=pivot, daily_r1=r1, daily_s1=s1, weekly_high=top, weekly_low=bottom
    )
    return levels, unknown


def _spell_stale(candles: pl.DataFrame, timeframe: Timeframe, now: datetime) -> Unknown | None:
    """Return why the newest candle says nothing of now; None when it does."""
    if candles.is_empty():
        return Unknown(f"no candle of {timeframe} is stored")
    newest: datetime = candles["open_time"][-1]
    if newest + 3 * timeframe.duration > now:
        return None
    return Unknown(f"the newest candle of {timeframe} opened at {newest:%Y-%m-%d %H:%M} UTC")


def _on_grid(candles: pl.DataFrame, timeframe: Timeframe, count: int) -> npt.NDArray[np.float64]:
    """Return the closes of the last `count` grid times, NaN where no candle is stored."""
    closes = np.full(count, np.nan)
    steps = candles["open_time"].tail(count).to_physical().to_numpy()
    places = count - 1 - (steps[-1] - steps) // timeframe.ms
    closes[places[places >= 0]] = candles["close"].tail(count).to_numpy()[places >= 0]
    return closes


def _deviations(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Return the sample standard deviation of each window, NaN where too little of it is known."""
    windows = np.lib.stride_tricks.sliding_window_view(values, count)
    is_known = ~np.isnan(windows).any(axis=1)
    enough = (~np.isnan(windows)).sum(axis=1) >= ENOUGH * count
    found = np.full(len(windows), np.nan)
    found[is_known] = windows[is_known].std(axis=1, ddof=1)
    partly = enough & ~is_known
    if partly.any():
        found[partly] = np.nanstd(windows[partly], axis=1, ddof=1)
    return found
