"""One market's files, beside what `test_state_files.py` compares with DuckDB."""

from datetime import timedelta

import pytest

from data_platform.domain.candles import empty_candles
from data_platform.operations.due import FreshnessLimits, series_status
from data_platform.operations.incidents import Incident
from data_platform.operations.lake import Lake
from data_platform.operations.market_state import (
    MOST_EVENTS,
    MarketCandles,
    read_market,
    to_context,
    to_latest,
)
from data_platform.quality.standards import Standards
from data_platform_tests.factories import GRACE, candles_at, grid, series_of, store_candles, time

HOURS, MINUTES = series_of(timeframe="1h"), series_of(timeframe="1m")
FRESH = FreshnessLimits(GRACE, timedelta(0), Standards())


def read(lake: Lake, now: str, *, whole: bool = False) -> MarketCandles:
    statuses = series_status(lake, [MINUTES, HOURS], FRESH, time(now))
    return read_market(lake.store, statuses, time(now), whole=whole)


def test_newest_candle_is_told_however_old_it_is(lake: Lake) -> None:
    store_candles(lake, HOURS, candles_at(grid("2024-01-10", "2024-01-10 06:00")))
    latest = to_latest(lake.store, read(lake, "2024-03-15 10:00"))
    assert latest.timeframes["1h"] is not None
    assert latest.timeframes["1h"].timestamp == time("2024-01-10 05:00")
    assert latest.timeframes["1m"] is None


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        ("2024-01-10 05:59:59", "2024-01-10 04:00"),
        ("2024-01-10 06:00:00", "2024-01-10 05:00"),
        ("2024-01-10 00:30:00", "2024-01-09 23:00"),
    ],
)
def test_candles_that_close_later_are_left_out(lake: Lake, now: str, newest: str) -> None:
    store_candles(lake, HOURS, candles_at(grid("2024-01-09", "2024-01-11")))
    assert read(lake, now).newest(HOURS.timeframe) == time(newest)


def test_a_time_before_all_candles_knows_none(lake: Lake) -> None:
    store_candles(lake, HOURS, candles_at(grid("2024-01-09", "2024-01-11")))
    candles = read(lake, "2023-11-05 10:00")
    assert candles.newest(HOURS.timeframe) is None
    assert candles.today(HOURS.timeframe).is_empty()


def test_the_day_is_that_of_the_finest_timeframe(lake: Lake) -> None:
    store_candles(lake, HOURS, candles_at(grid("2024-01-10", "2024-01-10 06:00"), price=500.0))
    store_candles(lake, MINUTES, candles_at(grid("2024-01-09 23:00", "2024-01-10 00:03", "1m")))
    derived = to_latest(lake.store, read(lake, "2024-01-10 06:00")).derived
    minutes = candles_at(grid("2024-01-10", "2024-01-10 00:03", "1m"))
    assert derived.daily_high == max(minutes["high"])
    assert derived.daily_low == min(minutes["low"])
    assert derived.daily_volume == 4.5
    assert derived.atr_14_1h is None


def test_history_is_read_where_it_is_needed(lake: Lake) -> None:
    store_candles(lake, HOURS, candles_at(grid("2024-01-01", "2024-03-01")))
    now = "2024-03-01 00:00:07"
    assert read(lake, now).by_timeframe[HOURS.timeframe].height == 1
    assert read(lake, now, whole=True).by_timeframe[HOURS.timeframe].height == 60 * 24


def test_events_are_the_newest_and_not_too_many() -> None:
    now = time("2024-01-10 12:00")
    many = [
        Incident(HOURS, now - timedelta(minutes=number), "gap", 1, "asked for again")
        for number in range(MOST_EVENTS + 5)
    ]
    candles = MarketCandles(HOURS.market, now, {HOURS.timeframe: empty_candles()})
    events = to_context(candles, many[::-1]).recent_events
    told = [event.timestamp for event in events if event.type == "gap"]
    assert told == [incident.at for incident in many[:MOST_EVENTS]]
    assert {event.detail for event in events if event.type == "gap"} == {
        "1 candles: asked for again"
    }
    reasons = [event.detail for event in events if event.type == "not_known"]
    assert reasons == [
        "volatility: no candle of 1h is stored",
        "trend: no candle of 1d is stored",
        "trend: no candle of 4h is stored",
        "key_levels: yesterday's candle of 1d is not stored",
        "key_levels: 0 of the 7 days of last week are stored",
    ]
