"""One market as its state files tell of it: its newest candles, and what they say of now.

Reads the lake and computes; writes nothing. What cannot be read is null, with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import empty_candles, places_between
from data_platform.domain.errors import StorageError
from data_platform.domain.market_context import (
    LOOKBACK_DAYS,
    SLOW,
    VOLATILITY_WINDOW,
    Unknown,
    key_levels,
    regime_of,
    trend,
    volatility_percentile,
)
from data_platform.domain.markets import Market, Series
from data_platform.domain.sessions import moment_of
from data_platform.domain.state_files import (
    Candle,
    Derived,
    Event,
    LatestOhlcv,
    MarketContext,
    Session,
)
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.operations.due import SeriesStatus
from data_platform.operations.incidents import Incident
from data_platform.storage.reading import PartitionReader

HOUR, FOUR_HOURS, DAY = (to_timeframe(name) for name in ("1h", "4h", "1d"))

HISTORY: Mapping[Timeframe, timedelta] = {
    HOUR: timedelta(days=LOOKBACK_DAYS, hours=VOLATILITY_WINDOW + 4),
    FOUR_HOURS: (SLOW + 4) * FOUR_HOURS.duration,
    DAY: (SLOW + 4) * DAY.duration,
}
"""How far back the candles go that the context is computed from."""

ATR = "atr_14"

MOST_EVENTS = 20
"""Events that a market's file tells of, the newest."""


@dataclass(slots=True)
class MarketCandles:
    """Closed candles of one market at one time."""

    market: Market
    now: datetime
    by_timeframe: dict[Timeframe, pl.DataFrame] = field(default_factory=dict)
    """From the finest to the coarsest configured one; `CANDLE_SCHEMA`, sorted: at least the newest
    candle and those of the running UTC day."""
    unread: dict[Timeframe, str] = field(default_factory=dict)
    """Why the candles of a timeframe could not be read."""

    @property
    def midnight(self) -> datetime:
        """Return when the running UTC day began."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def today(self, timeframe: Timeframe) -> pl.DataFrame:
        """Return the candles of the running UTC day."""
        candles = self.by_timeframe[timeframe]
        first, last = places_between(candles["open_time"], self.midnight, self.now)
        return candles.slice(first, last - first)

    def newest(self, timeframe: Timeframe) -> datetime | None:
        """Return the newest opening time."""
        candles = self.by_timeframe.get(timeframe)
        if candles is None or candles.is_empty():
            return None
        newest: datetime = candles["open_time"][-1]
        return newest


def read_market(
    reader: PartitionReader, statuses: Sequence[SeriesStatus], now: datetime, *, whole: bool
) -> MarketCandles:
    """Return the closed candles of a market.

    Args:
        reader: of the lake.
        statuses: of every timeframe of one market.
        now: the clock, UTC: candles that close later are left out.
        whole: read the history too that the context needs.
    """
    found = MarketCandles(statuses[0].series.market, now)
    for status in sorted(statuses, key=lambda it: it.series.timeframe.seconds):
        timeframe = status.series.timeframe
        history = HISTORY.get(timeframe, timedelta(0)) if whole else timedelta(0)
        start = min(found.midnight, now - history)
        try:
            found.by_timeframe[timeframe] = _closed(reader, status, start, now)
        except StorageError as error:
            found.by_timeframe[timeframe] = empty_candles()
            found.unread[timeframe] = " ".join(str(error).split())
    return found


def _closed(
    reader: PartitionReader, status: SeriesStatus, start: datetime, now: datetime
) -> pl.DataFrame:
    if status.last is None:
        return empty_candles()
    series, end = status.series, status.series.timeframe.floor(now)
    candles = reader.read_range("ohlcv", series, start, end)
    # The newest candle is told however old it is; asked for at once it would cost a month more.
    return candles if candles.height else reader.read_before("ohlcv", series, end, 1)


def to_latest(reader: PartitionReader, candles: MarketCandles) -> LatestOhlcv:
    """Return the newest closed candle of each timeframe of a market, and what follows from them.

    Args:
        reader: of the lake, for what the layer `indicators` holds.
        candles: of the market.
    """
    return LatestOhlcv(
        updated_at=candles.now,
        market=str(candles.market),
        timeframes={each.name: _to_candle(frame) for each, frame in candles.by_timeframe.items()},
        derived=_derived(reader, candles),
    )


def _to_candle(frame: pl.DataFrame) -> Candle | None:
    if frame.is_empty():
        return None
    row = frame.row(-1, named=True)
    return Candle(timestamp=row.pop("open_time"), **row)


def _derived(reader: PartitionReader, candles: MarketCandles) -> Derived:
    day = candles.today(next(iter(candles.by_timeframe)))
    atr = _read_atr(reader, candles)
    if day.is_empty():
        return Derived(atr_14_1h=atr, daily_high=None, daily_low=None, daily_volume=None)
    return Derived(
        atr_14_1h=atr,
        daily_high=day["high"].to_numpy().max(),
        daily_low=day["low"].to_numpy().min(),
        daily_volume=day["volume"].to_numpy().sum(),
    )


def _read_atr(reader: PartitionReader, candles: MarketCandles) -> float | None:
    newest = candles.newest(HOUR)
    if newest is None:
        return None
    series = Series(candles.market.exchange, candles.market.pair, HOUR)
    try:
        rows = reader.read_range("indicators", series, newest, newest + HOUR.duration)
    except StorageError as error:
        candles.unread[HOUR] = " ".join(str(error).split())
        return None
    found: float | None = rows[ATR][0] if ATR in rows.columns and rows.height else None
    return found


def to_context(candles: MarketCandles, incidents: Sequence[Incident]) -> MarketContext:
    """Return what a market's recent candles say, and what happened to them lately.

    Args:
        candles: of the market, with their history.
        incidents: of all its series in the last 24 hours.
    """
    now, unknown = candles.now, list(candles.unread.items())

    def frame(timeframe: Timeframe) -> pl.DataFrame:
        return candles.by_timeframe.get(timeframe, empty_candles())

    percentile = volatility_percentile(frame(HOUR), now)
    trends = {each: trend(frame(each), each, now) for each in (DAY, FOUR_HOURS)}
    levels, level_gaps = key_levels(frame(DAY), now)
    moment = moment_of(now)
    named = [("volatility", HOUR, percentile), *(("trend", it, of) for it, of in trends.items())]
    unknown += [(it, f"{name}: {of.reason}") for name, it, of in named if isinstance(of, Unknown)]
    unknown += [(DAY, f"key_levels: {each.reason}") for each in level_gaps]
    known = None if isinstance(percentile, Unknown) else percentile
    days, hours = (None if isinstance(it, Unknown) else it for it in trends.values())
    return MarketContext(
        updated_at=now,
        market=str(candles.market),
        volatility_regime=None if known is None else regime_of(known),
        volatility_percentile=known,
        trend_1d=days,
        trend_4h=hours,
        session=Session(
            current=moment.session,
            minutes_into_session=moment.minutes,
            killzone_active=moment.is_killzone,
        ),
        key_levels=levels,
        recent_events=_events(candles, incidents, unknown),
    )


def _events(
    candles: MarketCandles,
    incidents: Sequence[Incident],
    unknown: Sequence[tuple[Timeframe, str]],
) -> list[Event]:
    newest = sorted(incidents, key=lambda it: it.at, reverse=True)[:MOST_EVENTS]
    missing = [
        Event(timestamp=candles.now, type="not_known", timeframe=each.name, detail=reason)
        for each, reason in unknown
    ]
    return missing + [
        Event(
            timestamp=it.at,
            type=it.kind,
            timeframe=it.series.timeframe.name,
            detail=f"{it.bars} candles: {it.resolution}",
        )
        for it in newest
    ]
