"""Synthetic candles as frames, with planted defects and their labels.

A candle is a function of seed, market and time alone: any range can be had by itself, ranges
agree where they overlap, and a coarser timeframe is exactly the aggregate of its minutes. Prices
are whole ticks and volumes whole lots, so every number prints with at most 15 significant digits.
Stays out: servers, files. The shape of the path is in `synthetic_minutes`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TIME, missing_ranges
from data_platform.domain.errors import WrongUseError
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Market
from data_platform.domain.synthetic_markets import MarketProfile, market_profile
from data_platform.domain.synthetic_minutes import (
    DAY_MS,
    TickCandles,
    join_candles,
    minutes_of_day,
)
from data_platform.domain.timeframes import Timeframe

LABEL_SCHEMA = pl.Schema({"kind": pl.String(), "start": TIME, "end": TIME, "detail": pl.String()})

_Label = tuple[str, datetime, datetime, str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Defects:
    """How many defects to plant and how long they are; none by default."""

    gaps: int = 0
    """Runs of removed candles."""
    spikes: int = 0
    """Single candles whose high or low leaps by 10 to 30 %."""
    flats: int = 0
    """Runs that repeat the last close with volume 0, as a frozen feed does."""
    longest: int = 60
    """Candles in a gap or a flat run at most; the shortest has one, a flat run two."""

    @property
    def count(self) -> int:
        """Return how many defects there are."""
        return self.gaps + self.spikes + self.flats


@dataclass(frozen=True, slots=True)
class SyntheticCandles:
    """Generated candles and the truth about what is wrong with them."""

    candles: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted."""
    labels: pl.DataFrame
    """`LABEL_SCHEMA`, sorted by start: `gap`, `spike`, `flat` as planted, and `no_trades` for the
    times without trades that this market's exchange sends no candle for; half-open ranges."""


def generate_candles(
    seed: int,
    market: Market,
    timeframe: Timeframe,
    start: datetime,
    end: datetime,
    *,
    defects: Defects | None = None,
) -> SyntheticCandles:
    """Return the candles of a market that open in the half-open range `start` to `end`.

    Args:
        seed: any whole number; another seed is another history.
        market: any pair on any exchange; the exchange decides whether a time without trades is
            a flat candle or none.
        timeframe: length of the candles.
        start: UTC, not before 1970.
        end: UTC, exclusive.
        defects: what to plant; the places follow from the seed and the range.

    Raises:
        WrongUseError: the range is too short to hold the defects apart from each other.
    """
    profile = market_profile(market)
    omits_quiet = exchange_row(market.exchange).quiet_candle == "omitted"
    candles = synthetic_ticks(
        seed, profile, timeframe, (_ms(start), _ms(end)), omits_quiet=omits_quiet
    )
    labels = _quiet_labels(candles_frame(candles, profile)["open_time"], timeframe, start, end)
    if defects and defects.count:
        random = np.random.default_rng([abs(seed), _ms(start) // 1000, timeframe.seconds])
        candles, planted = _plant(candles, timeframe, defects, random, profile)
        labels += planted
    table = pl.DataFrame(labels, schema=LABEL_SCHEMA, orient="row").sort("start", "kind")
    return SyntheticCandles(candles_frame(candles, profile), table)


def synthetic_ticks(
    seed: int,
    profile: MarketProfile,
    timeframe: Timeframe,
    between_ms: tuple[int, int],
    *,
    omits_quiet: bool,
) -> TickCandles:
    """Return whole-number candles that open in a half-open range.

    Args:
        seed: any whole number.
        profile: the market.
        timeframe: length of the candles; each is the aggregate of all its minutes.
        between_ms: start and end, UTC milliseconds since 1970.
        omits_quiet: whether a time without trades has no candle instead of a flat one.
    """
    start_ms, end_ms = max(0, between_ms[0]), between_ms[1]
    days = range(start_ms // DAY_MS, -(-end_ms // DAY_MS))
    minutes = (minutes_of_day(seed, profile, day) for day in days)
    parts = [(day.traded() if omits_quiet else day).resample(timeframe.ms) for day in minutes]
    return join_candles(parts).between(start_ms, end_ms)


def candles_frame(candles: TickCandles, profile: MarketProfile) -> pl.DataFrame:
    """Return whole-number candles as a frame in `CANDLE_SCHEMA`.

    Each float is the one nearest to its decimal number, so it equals the printed number read
    back: a quotient of two exact floats is correctly rounded.
    """
    price, lot = 10.0**profile.price_decimals, 10.0**profile.volume_decimals
    return pl.DataFrame(
        {
            "open_time": pl.Series(candles.time, dtype=pl.Int64).cast(TIME),
            "open": candles.open / price,
            "high": candles.high / price,
            "low": candles.low / price,
            "close": candles.close / price,
            "volume": candles.volume / lot,
        },
        schema=CANDLE_SCHEMA,
    )


def _quiet_labels(
    times: pl.Series, timeframe: Timeframe, start: datetime, end: datetime
) -> list[_Label]:
    holes = missing_ranges(times, timeframe, timeframe.ceil(start), timeframe.ceil(end))
    detail = "no trades, so this exchange sends no candle"
    return [("no_trades", hole.start, hole.end, detail) for hole in holes]


def _plant(
    candles: TickCandles,
    timeframe: Timeframe,
    defects: Defects,
    random: np.random.Generator,
    profile: MarketProfile,
) -> tuple[TickCandles, list[_Label]]:
    changed = replace(candles, **{name: getattr(candles, name).copy() for name in _CHANGEABLE})
    keep = np.ones(candles.time.size, dtype=np.bool_)
    labels: list[_Label] = []
    for kind, rows in _places(candles.time.size, defects, random):
        if kind == "gap":
            keep[rows] = False
            detail = f"{rows.stop - rows.start} candles removed"
        elif kind == "flat":
            price = _flatten(changed, rows) / 10**profile.price_decimals
            detail = f"{rows.stop - rows.start} candles at {price}, volume 0"
        else:
            detail = _spike(changed, rows.start, random)
        first, last = int(candles.time[rows.start]), int(candles.time[rows.stop - 1])
        labels.append((kind, _time(first), _time(last) + timeframe.duration, detail))
    return changed.take(keep), labels


_CHANGEABLE = ("open", "high", "low", "close", "volume", "trades")


def _places(
    rows: int, defects: Defects, random: np.random.Generator
) -> Iterator[tuple[str, slice]]:
    # Each defect gets a stretch of its own and leaves a good candle on both sides.
    kinds = ["gap"] * defects.gaps + ["spike"] * defects.spikes + ["flat"] * defects.flats
    stretch = rows // len(kinds)
    shortest = 5
    if stretch < shortest:
        raise WrongUseError(
            f"{len(kinds)} defects need {len(kinds) * shortest} candles to stay apart, found "
            f"{rows}; ask for a longer range or fewer defects."
        )
    for place, kind in enumerate(random.permutation(kinds)):
        longest = min(defects.longest, stretch - 2)
        shortest_run = {"gap": 1, "spike": 1, "flat": 2}[str(kind)]
        length = 1 if kind == "spike" else int(random.integers(shortest_run, longest + 1))
        first = place * stretch + 1 + int(random.integers(0, stretch - length - 1))
        yield str(kind), slice(first, first + length)


def _flatten(candles: TickCandles, rows: slice) -> int:
    price = int(candles.close[rows.start - 1])
    for column in (candles.open, candles.high, candles.low, candles.close):
        column[rows] = price
    candles.volume[rows] = 0
    candles.trades[rows] = 0
    return price


def _spike(candles: TickCandles, row: int, random: np.random.Generator) -> str:
    size = float(random.uniform(0.1, 0.3))
    if random.random() < 0.5:  # noqa: PLR2004
        candles.high[row] = int(np.ceil(candles.high[row] * (1 + size)))
        return f"high leaps by {size:.1%}"
    candles.low[row] = max(1, int(candles.low[row] * (1 - size)))
    return f"low drops by {size:.1%}"


def _ms(time: datetime) -> int:
    return round((time - _EPOCH).total_seconds() * 1000)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
