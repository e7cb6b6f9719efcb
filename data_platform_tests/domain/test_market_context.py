import math
import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA, TIME, empty_candles
from data_platform.domain.market_context import (
    Unknown,
    key_levels,
    regime_of,
    trend,
    volatility_percentile,
)
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.factories import time

HOUR, DAY = to_timeframe("1h"), to_timeframe("1d")
NOW = time("2024-06-12 10:00:07")


def candles(
    closes: Sequence[float], newest: str = "2024-06-12 09:00", timeframe: str = "1h"
) -> pl.DataFrame:
    step = to_timeframe(timeframe).duration
    first = time(newest) - (len(closes) - 1) * step
    times = [first + number * step for number in range(len(closes))]
    values = {name: list(closes) for name in ("open", "high", "low", "close")}
    frame = {"open_time": pl.Series(times, dtype=TIME), **values, "volume": [1.0] * len(closes)}
    return pl.DataFrame(frame, schema=CANDLE_SCHEMA)


def without(frame: pl.DataFrame, *times: datetime) -> pl.DataFrame:
    return frame.filter(~pl.col("open_time").is_in(list(times)))


def walk(swings: Sequence[float]) -> list[float]:
    """Closes that go up and down by a swing an hour."""
    price, closes = 100.0, [100.0]
    for number, swing in enumerate(swings):
        price *= math.exp(swing if number % 2 else -swing)
        closes.append(price)
    return closes


@pytest.mark.parametrize(
    ("percentile", "regime"),
    [
        (0, "COMPLACENT"),
        (4.999, "COMPLACENT"),
        (5, "LOW"),
        (24.999, "LOW"),
        (25, "NORMAL"),
        (59.999, "NORMAL"),
        (60, "ELEVATED"),
        (80, "HIGH"),
        (89.999, "HIGH"),
        (90, "EXTREME"),
        (97.999, "EXTREME"),
        (98, "CRISIS"),
        (100, "CRISIS"),
    ],
)
def test_a_bound_belongs_to_the_level_above_it(percentile: float, regime: str) -> None:
    assert regime_of(percentile) == regime


def test_the_wildest_day_of_the_history_is_at_the_top_and_the_calmest_at_the_bottom() -> None:
    calm, wild = [0.001] * 1500, [0.02] * 24
    top = volatility_percentile(candles(walk([*calm, *wild])), NOW)
    bottom = volatility_percentile(candles(walk([*wild * 60, *[0.001] * 24])), NOW)
    assert isinstance(top, float)
    assert top > 99.9
    assert isinstance(bottom, float)
    assert bottom < 0.1


def test_the_percentile_is_the_rank_by_hand() -> None:
    swings = [0.001 + 0.00001 * (number * 37 % 101) for number in range(900)]
    closes = walk(swings)
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    deviations = [statistics.stdev(returns[at : at + 24]) for at in range(len(returns) - 23)]
    below = sum(each < deviations[-1] for each in deviations)
    expected = 100 * (below + 0.5) / len(deviations)
    assert volatility_percentile(candles(closes), NOW) == pytest.approx(expected, abs=0.2)


def test_a_market_that_does_not_move_is_in_the_middle() -> None:
    assert volatility_percentile(candles([100.0] * 2200), NOW) == 50


def test_only_the_last_ninety_days_count() -> None:
    recent = walk([0.001 + 0.000001 * (number % 7) for number in range(2200)])
    wild = walk([0.5] * 300)
    wild = [price * recent[0] / wild[-1] for price in wild]
    alone = volatility_percentile(candles(recent), NOW)
    assert volatility_percentile(candles([*wild[:-1], *recent]), NOW) == alone


def test_too_little_history_has_no_percentile() -> None:
    found = volatility_percentile(candles([100.0] * 741), NOW)
    assert found == Unknown("volatility of 719 hours is known, of 720 needed")
    assert volatility_percentile(candles([100.0] * 742), NOW) == 50


def test_a_hole_in_the_last_day_may_be_one_candle_and_no_more() -> None:
    frame = candles([100.0] * 1000)
    assert volatility_percentile(without(frame, time("2024-06-12 04:00")), NOW) == 50
    two = without(frame, time("2024-06-12 04:00"), time("2024-06-12 07:00"))
    assert volatility_percentile(two, NOW) == Unknown(
        "too many of the last 24 hours lack their candle"
    )


def test_holes_of_the_past_leave_their_windows_out() -> None:
    swings = [0.001 + 0.00001 * (number * 37 % 101) for number in range(1500)]
    frame = candles(walk(swings))
    holed = without(frame, *(time("2024-05-20") + n * HOUR.duration for n in range(10)))
    whole, left = volatility_percentile(frame, NOW), volatility_percentile(holed, NOW)
    assert isinstance(whole, float)
    assert isinstance(left, float)
    assert left != whole
    assert abs(left - whole) < 5


def test_a_trend_needs_close_and_means_in_their_order() -> None:
    rising = [100.0 + number for number in range(50)]
    assert trend(candles(rising), HOUR, NOW) == "bullish"
    assert trend(candles(rising[::-1]), HOUR, NOW) == "bearish"
    # It still stands above its long mean and has just fallen below the short one.
    assert trend(candles([*rising[:-1], 130.0]), HOUR, NOW) == "ranging"
    # A leap above both means, which still stand in the order of the fall before it, and its mirror.
    falling = [200.0 - number for number in range(49)]
    assert trend(candles([*falling, 190.0]), HOUR, NOW) == "ranging"
    assert trend(candles([*(300.0 - each for each in falling), 110.0]), HOUR, NOW) == "ranging"
    assert trend(candles([100.0] * 50), HOUR, NOW) == "ranging"


def test_a_trend_says_nothing_of_too_few_candles() -> None:
    rising = [100.0 + number for number in range(50)]
    assert trend(candles(rising[-44:]), HOUR, NOW) == Unknown(
        "44 of the last 50 candles of 1h are stored"
    )
    assert trend(candles(rising[-45:]), HOUR, NOW) == "bullish"
    holes = [time("2024-06-11 20:00") + number * HOUR.duration for number in range(3)]
    assert trend(without(candles(rising), *holes), HOUR, NOW) == Unknown(
        "17 of the last 20 candles of 1h are stored"
    )
    assert trend(empty_candles(), HOUR, NOW) == Unknown("no candle of 1h is stored")


def test_a_hole_does_not_stretch_the_window() -> None:
    # The one candle that would turn the trend opened 51 hours ago.
    rising = [1e6, *(100.0 + number for number in range(50))]
    frame = without(candles(rising), time("2024-06-11 12:00"))
    assert trend(frame, HOUR, NOW) == "bullish"


@pytest.mark.parametrize(
    ("now", "known"), [("2024-06-12 10:59:59", True), ("2024-06-12 12:00:00", False)]
)
def test_a_candle_that_is_two_candles_late_says_nothing_of_now(now: str, known: bool) -> None:
    rising = candles([100.0 + number for number in range(50)])
    assert (trend(rising, HOUR, time(now)) == "bullish") is known
    assert isinstance(volatility_percentile(candles([1.0] * 999), time(now)), float) is known


def day(text: str, high: float, low: float, close: float) -> dict[str, object]:
    values = {"open": close, "high": high, "low": low, "close": close, "volume": 1.0}
    return {"open_time": time(text), **values}


def days(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=CANDLE_SCHEMA)


# Monday 2024-06-03 to Sunday 2024-06-09, then Monday to Wednesday.
TEN = [day(f"2024-06-{3 + n:02d}", 110.0 + n, 90.0 + n, 100.0 + n) for n in range(10)]


def test_levels_are_those_of_yesterday_and_of_last_week() -> None:
    # Yesterday is Tuesday the 11th: high 118, low 98, close 108.
    levels, unknown = key_levels(days(*TEN), time("2024-06-12 10:00"))
    assert (levels.daily_pivot, levels.daily_r1, levels.daily_s1) == (108.0, 118.0, 98.0)
    assert (levels.weekly_high, levels.weekly_low) == (116.0, 90.0)
    assert unknown == []


def test_week_turns_on_monday() -> None:
    on_sunday, _ = key_levels(days(*TEN), time("2024-06-09 23:59:59"))
    on_monday, _ = key_levels(days(*TEN), time("2024-06-10 00:00"))
    assert (on_sunday.weekly_high, on_sunday.weekly_low) == (None, None)
    assert (on_monday.weekly_high, on_monday.weekly_low) == (116.0, 90.0)


def test_levels_without_their_candles_are_null_with_a_reason() -> None:
    rows = [row for row in TEN if row["open_time"] not in (time("2024-06-11"), time("2024-06-05"))]
    levels, unknown = key_levels(days(*rows), time("2024-06-12 10:00"))
    assert set(levels.model_dump().values()) == {None}
    assert [each.reason for each in unknown] == [
        "yesterday's candle of 1d is not stored",
        "6 of the 7 days of last week are stored",
    ]


def test_the_running_day_changes_no_level() -> None:
    running = day("2024-06-12", 1e6, 1.0, 500.0)
    now = time("2024-06-12 10:00")
    assert key_levels(days(*TEN[:9]), now) == key_levels(days(*TEN[:9], running), now)


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_later_candle_changes_nothing_of_before(cut: int) -> None:
    swings = [0.001 + 0.00001 * (number * 37 % 101) for number in range(1200)]
    frame = candles(walk(swings))
    before = frame.head(frame.height - cut)
    then = before["open_time"][-1] + HOUR.duration + timedelta(seconds=7)
    assert volatility_percentile(before, then) == volatility_percentile(
        frame.filter(pl.col("open_time") + HOUR.duration <= then), then
    )
