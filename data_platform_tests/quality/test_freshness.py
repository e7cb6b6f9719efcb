from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TimeRange
from data_platform.domain.timeframes import to_timeframe
from data_platform.quality.freshness import FRESHNESS_RULES, find_late_series, lateness

NOW = datetime(2024, 3, 5, 12, tzinfo=UTC)
LIMITS = FRESHNESS_RULES[0].limits


def waiting(minutes_ago: int, minutes: int = 1) -> TimeRange:
    start = NOW - timedelta(minutes=minutes_ago)
    return TimeRange(start, start + timedelta(minutes=minutes))


def late(**seconds: float) -> pl.DataFrame:
    return pl.DataFrame({"pair": list(seconds), "late_seconds": list(seconds.values())})


def test_a_series_that_waits_for_nothing_is_not_late() -> None:
    assert lateness([], to_timeframe("1m"), NOW) == timedelta(0)


def test_lateness_counts_from_the_close_of_the_oldest_candle_waited_for() -> None:
    parts = [waiting(5, 5), waiting(90)]
    assert lateness(parts, to_timeframe("1m"), NOW) == timedelta(minutes=89)


def test_a_candle_that_has_just_closed_is_not_late() -> None:
    assert lateness([waiting(60, 60)], to_timeframe("1h"), NOW) == timedelta(0)


def test_a_clock_behind_the_candle_makes_no_negative_lateness() -> None:
    assert lateness([waiting(0)], to_timeframe("1m"), NOW) == timedelta(0)


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3600), ("4h", 3600), ("1d", 86_400)],
)
def test_the_limit_itself_is_in_time_and_a_second_more_is_late(
    timeframe: str, seconds: int
) -> None:
    series = late(A=seconds, B=seconds + 1)
    found = find_late_series(series, to_timeframe(timeframe), LIMITS)
    assert found.rows() == [("B", seconds + 1, float(seconds))]


def test_the_refresh_interval_is_added_to_the_limit() -> None:
    series = late(A=360, B=361, C=900)
    found = find_late_series(series, to_timeframe("1m"), LIMITS, timedelta(minutes=5))
    assert found["pair"].to_list() == ["C", "B"]


def test_nothing_late_is_an_empty_frame() -> None:
    assert find_late_series(late(A=1.0), to_timeframe("1m"), LIMITS).is_empty()
