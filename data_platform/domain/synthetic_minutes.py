"""Minutes of made-up markets as whole ticks and lots: a pure function of seed, market and day.

Any day can be had without its neighbours: opening levels and volatilities of 1,024 days are
drawn together, pinned at both ends, and a day is a bridge between two opening levels. Whole
numbers make every sum exact. Stays out: frames, defects, anything that serves candles.

The shape: log volatility wanders over days and within the day (clusters), fat tails, volume
follows volatility and the size of the move (Clark 1973, doi:10.2307/1913889).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from data_platform.domain.synthetic_markets import MarketProfile

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAY_MS = 86_400_000
MINUTE_MS = 60_000
MINUTES = 1440

_BLOCK_DAYS = 1024
_LEVEL_SPREAD = 15
"""Of the level at a block's edge, in daily volatilities; keeps prices plausible for ever."""
_VOLATILITY_MEMORY = 0.94
_MEMORY_DAYS = 64
_NODES = 96
_JUMP_SHARE = 0.002

_MINUTE_OF_DAY: Floats = np.arange(MINUTES, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class TickCandles:
    """Candles of one market in whole ticks and lots, in time order; arrays are read-only."""

    time: Ints
    """Opening time, UTC milliseconds since 1970."""
    open: Ints
    """Ticks, as the other prices."""
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    """Lots; 0 for a time without trades."""
    trades: Ints
    """Number of trades; 0 for a time without trades."""

    def columns(self) -> tuple[Ints, ...]:
        """Return the arrays in the order of the fields."""
        return (
            self.time,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.trades,
        )

    def take(self, rows: slice | npt.NDArray[Any]) -> "TickCandles":
        """Return the rows that a slice, a mask or positions choose."""
        return TickCandles(*(column[rows] for column in self.columns()))

    def between(self, start_ms: int, end_ms: int) -> "TickCandles":
        """Return the candles with `start_ms <= time < end_ms`."""
        first, last = np.searchsorted(self.time, [start_ms, end_ms])
        return self.take(slice(int(first), int(last)))

    def resample(self, length_ms: int) -> "TickCandles":
        """Return the candles of `length_ms`, each from the rows that open inside it.

        Args:
            length_ms: milliseconds, a multiple of the rows' own length.

        Returns:
            One row per length that holds at least one row; empty lengths have none.
        """
        if not self.time.size:
            return self
        bucket = self.time // length_ms
        starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
        ends = np.append(starts[1:], bucket.size) - 1
        return TickCandles(
            time=bucket[starts] * length_ms,
            open=self.open[starts],
            high=np.maximum.reduceat(self.high, starts),
            low=np.minimum.reduceat(self.low, starts),
            close=self.close[ends],
            volume=np.add.reduceat(self.volume, starts),
            trades=np.add.reduceat(self.trades, starts),
        )

    def traded(self) -> "TickCandles":
        """Return the candles that hold at least one trade."""
        return self.take(self.trades > 0)


def join_candles(parts: Sequence[TickCandles]) -> TickCandles:
    """Return parts that follow one another as one; no parts give no rows."""
    if not parts:
        return TickCandles(*(np.empty(0, dtype=np.int64) for _ in range(7)))
    columns = zip(*(part.columns() for part in parts), strict=True)
    return TickCandles(*(np.concatenate(column) for column in columns))


@lru_cache(maxsize=256)
def minutes_of_day(seed: int, profile: MarketProfile, day: int) -> TickCandles:
    """Return the 1,440 minutes of one UTC day.

    Args:
        seed: any whole number; another seed is another history.
        profile: the market.
        day: days since 1970-01-01, not negative.

    Returns:
        A row per minute. A minute without trades repeats the last close with volume 0; the last
        minute of each day always trades, so that a day never depends on the one before.
    """
    random = _random(seed, profile.name, "minutes", day)
    asset = _asset_day(seed, profile.asset, profile.daily_volatility, day)
    normals = random.standard_normal((3, MINUTES))
    is_quiet = _quiet(random, profile.quiet_share, asset.volatility)
    before, close = _closes(profile, asset, normals[0], is_quiet)

    jitter = np.clip(normals[1], -2, 2) * np.minimum(1.0, before * 1e-5)
    open_ = np.where(is_quiet, before, np.maximum(1, before + np.rint(jitter).astype(np.int64)))
    wicks = random.standard_exponential((2, MINUTES)) * 0.45 * asset.volatility * close
    reach = np.where(is_quiet, 0, np.rint(wicks)).astype(np.int64)
    activity = np.log(asset.volatility / np.sqrt(np.mean(asset.volatility**2)))
    ratio = np.exp(np.minimum(activity + 0.35 * np.abs(asset.moves) + 0.5 * normals[2] - 0.4, 3.4))
    lots, trades = _volumes(profile, ratio)
    return _read_only(
        TickCandles(
            time=day * DAY_MS + np.arange(MINUTES, dtype=np.int64) * MINUTE_MS,
            open=open_,
            high=np.maximum(open_, close) + reach[0],
            low=np.maximum(1, np.minimum(open_, close) - reach[1]),
            close=close,
            volume=np.where(is_quiet, 0, lots),
            trades=np.where(is_quiet, 0, trades),
        )
    )


def _closes(
    profile: MarketProfile, asset: "_AssetDay", noise: Floats, is_quiet: npt.NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    """Return the last trade's price before each minute and at its end, in ticks."""
    scale = profile.price * 10.0**profile.price_decimals
    # Exchanges differ a little within the day and meet at its end.
    own = 1.0 + noise * 0.1 * asset.volatility
    own[-1] = 1.0
    prices = np.maximum(1, np.rint(np.exp(asset.path) * own * scale)).astype(np.int64)
    opening = max(1, int(np.rint(np.exp(asset.start) * scale)))
    last_traded = np.maximum.accumulate(np.where(is_quiet, 0, np.arange(1, MINUTES + 1)))
    close = np.concatenate(([opening], prices))[last_traded]
    return np.concatenate(([opening], close[:-1])), close


def _volumes(profile: MarketProfile, ratio: Floats) -> tuple[Ints, Ints]:
    usual = profile.daily_volume / MINUTES
    lots = np.maximum(1, np.rint(usual * 10.0**profile.volume_decimals * ratio))
    trades = 1 + np.rint(ratio * np.sqrt(usual * profile.price) / 20)
    return lots.astype(np.int64), trades.astype(np.int64)


def _quiet(random: np.random.Generator, share: float, volatility: Floats) -> npt.NDArray[np.bool_]:
    # Quiet minutes are more frequent when little happens, so they come in runs.
    calm = np.mean(volatility) / volatility
    is_quiet = random.random(MINUTES) < np.minimum(0.9, share * calm)
    is_quiet[-1] = False
    return is_quiet


@dataclass(frozen=True, slots=True)
class _AssetDay:
    start: float
    """Log price at the opening, about 0."""
    path: Floats
    """Log price after each minute; the last is the next day's start."""
    volatility: Floats
    """Standard deviation of each minute's log return."""
    moves: Floats
    """Each minute's return in standard deviations."""


@lru_cache(maxsize=256)
def _asset_day(seed: int, asset: str, daily_volatility: float, day: int) -> _AssetDay:
    random = _random(seed, asset, "day", day)
    levels, log_volatility = _levels(seed, asset, daily_volatility, day // _BLOCK_DAYS)
    index = day % _BLOCK_DAYS
    start, target = levels[index], levels[index + 1]

    across = np.interp(_MINUTE_OF_DAY, [0, MINUTES], log_volatility[index : index + 2])
    season = 0.3 * np.cos((_MINUTE_OF_DAY / 60 - 15) * np.pi / 12)
    shape = np.exp(across + 1.4 * _cluster(random) + season)
    volatility = shape / np.sqrt(np.sum(shape**2)) * daily_volatility
    volatility *= np.exp(log_volatility[index])

    moves = random.standard_normal(MINUTES)
    moves *= np.where(random.random(MINUTES) < _JUMP_SHARE, 5.0, 1.0)
    returns = volatility * moves
    pull = volatility**2 / np.sum(volatility**2)
    path = start + np.cumsum(returns + pull * (target - start - np.sum(returns)))
    path[-1] = target
    return _AssetDay(float(start), path, volatility, moves)


def _cluster(random: np.random.Generator) -> Floats:
    # A walk over the day that starts and ends at 0, so that volatility has no step at midnight.
    steps = np.cumsum(random.standard_normal(_NODES)) / np.sqrt(_NODES)
    nodes = np.concatenate(([0.0], steps - steps[-1] * np.arange(1, _NODES + 1) / _NODES))
    return np.interp(_MINUTE_OF_DAY, np.linspace(0, MINUTES, _NODES + 1), nodes)


@lru_cache(maxsize=128)
def _levels(seed: int, asset: str, daily_volatility: float, block: int) -> tuple[Floats, Floats]:
    """Return log level (about 0) and log volatility at the opening of each day of a block.

    Both have one element more than days: the opening of the next block.
    """
    start, end = (
        _random(seed, asset, "level", edge).standard_normal() for edge in (block, block + 1)
    )
    shocks = np.concatenate(
        [
            _random(seed, asset, "volatility", part).standard_normal(_BLOCK_DAYS)
            for part in (block, block + 1, block + 2)
        ]
    )
    weights = 0.3 * _VOLATILITY_MEMORY ** np.arange(_MEMORY_DAYS)
    log_volatility = np.convolve(shocks, weights, mode="valid")[: _BLOCK_DAYS + 1] - 0.3
    daily = daily_volatility * np.exp(log_volatility[:-1])
    walk = np.cumsum(daily * _random(seed, asset, "walk", block).standard_normal(_BLOCK_DAYS))
    clock = np.cumsum(daily**2) / np.sum(daily**2)
    spread = min(0.45, _LEVEL_SPREAD * daily_volatility)
    first, last = spread * start, spread * end
    bridge = walk - clock * walk[-1] + first + clock * (last - first)
    levels = np.concatenate(([first], bridge))
    levels[-1] = last
    return levels, log_volatility


def _random(seed: int, name: str, part: str, index: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}|{name}|{part}|{index}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))


def _read_only(candles: TickCandles) -> TickCandles:
    for column in candles.columns():
        column.setflags(write=False)
    return candles
