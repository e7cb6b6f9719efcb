from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from data_platform.domain.layers import LAYERS, Refresh
from data_platform.domain.periods import period_of
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.due import FreshnessLimits, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.tick import Pace, Tick, plan_tick
from data_platform.quality.standards import Standards
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    grid,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line

INTERVALS: Mapping[Refresh, timedelta] = {
    "candles": timedelta(minutes=5),
    "derived": timedelta(hours=1),
    "exports": timedelta(days=1),
}
EVERY = [layer.name for layer in LAYERS]
DERIVED = ["filled", "indicators", "features"]


def plan(lake: Lake, now: str, last: Mapping[Refresh, datetime], *timeframes: str) -> Tick | None:
    wanted = [series_of(timeframe=each) for each in timeframes or ("1h",)]
    fresh = FreshnessLimits(GRACE, INTERVALS["candles"], Standards())
    statuses = series_status(lake, wanted, fresh, time(now))
    return plan_tick(lake, statuses, Pace(INTERVALS, last, GRACE), time(now))


def at(text: str) -> dict[Refresh, datetime]:
    """Everything ran at this time."""
    return dict.fromkeys(INTERVALS, time(text))


def layers(tick: Tick | None) -> list[str]:
    return [layer for layer, _ in tick.tables] if tick else []


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        # The slot 10:05 begins with the grace over, when its candles have closed.
        ("2024-03-15 10:05:04", False),
        ("2024-03-15 10:05:05", True),
        ("2024-03-15 10:09:59", True),
    ],
)
def test_slot_begins_when_its_candles_have_closed(now: str, allowed: bool) -> None:
    pace = Pace(INTERVALS, at("2024-03-15 10:00:05"), GRACE)
    assert pace.allows("candles", time(now)) == allowed


def test_late_run_does_not_shift_the_next_slot() -> None:
    pace = Pace(INTERVALS, at("2024-03-15 10:04:50"), GRACE)
    assert pace.allows("candles", time("2024-03-15 10:05:05"))
    assert not pace.allows("derived", time("2024-03-15 10:59"))
    assert pace.allows("derived", time("2024-03-15 11:00:05"))


def test_kind_that_never_ran_is_allowed() -> None:
    assert Pace(INTERVALS, {}, GRACE).allows("exports", time("2024-03-15"))


def test_first_tick_carries_every_layer_of_what_was_never_stored(lake: Lake) -> None:
    tick = plan(lake, "2024-03-15 10:07", {}, "1m", "1h")
    assert tick is not None
    assert layers(tick) == [layer for layer in EVERY for _ in range(2)]
    assert (str(tick.first), str(tick.last)) == ("2024-03", "2024-03")
    assert tick.kinds == {"candles", "derived", "exports"}


def test_only_timeframes_with_a_closed_candle_are_carried(lake: Lake) -> None:
    for timeframe in ("1m", "1h"):
        rows = candles_at(grid("2024-03-15 08:00", "2024-03-15 10:00", timeframe))
        store_candles(lake, series_of(timeframe=timeframe), rows)
    tick = plan(lake, "2024-03-15 10:05:10", at("2024-03-15 10:00:10"), "1m", "1h")
    assert tick is not None
    assert tick.tables == (("ohlcv", to_timeframe("1m")),)
    assert tick.kinds == {"candles"}


def test_nothing_is_due_within_the_interval(lake: Lake) -> None:
    store_candles(lake, series_of(), candles_at(grid("2024-03-15", "2024-03-15 10:00")))
    assert plan(lake, "2024-03-15 10:04", at("2024-03-15 10:00:10")) is None


def test_derived_layers_follow_at_their_own_interval(lake: Lake) -> None:
    series = series_of()
    store_candles(lake, series, candles_at(grid("2024-03-15", "2024-03-15 10:00")))
    last = {**at("2024-03-15 10:00:10"), "derived": time("2024-03-15 09:00:10")}
    tick = plan(lake, "2024-03-15 10:04", last)
    assert layers(tick) == DERIVED
    assert tick is not None
    assert tick.kinds == {"derived"}
    derive_line(lake, series, [month_of("2024-03")])
    assert plan(lake, "2024-03-15 10:04", last) is None


def test_exports_follow_once_a_day(lake: Lake) -> None:
    series = series_of()
    store_candles(lake, series, candles_at(grid("2024-03-15", "2024-03-15 10:00")))
    derive_line(lake, series, [month_of("2024-03")])
    last = {**at("2024-03-15 10:00:10"), "exports": time("2024-03-14 10:00:10")}
    assert layers(plan(lake, "2024-03-15 10:04", last)) == ["vectorbt", "freqtrade", "nautilus"]


def test_first_minutes_of_a_month_carry_both_months(lake: Lake) -> None:
    store_candles(lake, series_of(), candles_at(grid("2024-02-29", "2024-02-29 23:00")))
    tick = plan(lake, "2024-03-01 00:00:10", at("2024-02-29 23:55:10"))
    assert tick is not None
    assert (str(tick.first), str(tick.last)) == ("2024-02", "2024-03")


def test_derived_layers_that_lag_behind_a_month_carry_it_though_candles_are_past_it(
    lake: Lake,
) -> None:
    series = series_of()
    truth = candles_at(grid("2024-02-25", "2024-03-01 02:00"))
    store_candles(lake, series, truth.head(4 * 24))
    derive_line(lake, series, [month_of("2024-02")])
    store_candles(lake, series, truth)
    last = {**at("2024-03-01 02:00:10"), "derived": time("2024-02-29 01:00:10")}
    tick = plan(lake, "2024-03-01 02:04", last)
    assert layers(tick) == DERIVED
    assert tick is not None
    assert (str(tick.first), str(tick.last)) == ("2024-02", "2024-03")
    derive_line(lake, series, [tick.first, tick.last])
    assert plan(lake, "2024-03-01 02:04", last) is None


def test_layer_that_was_never_made_begins_with_the_newest_candles(lake: Lake) -> None:
    store_candles(lake, series_of(), candles_at(grid("2023-11-01", "2024-03-15 10:00")))
    last = {**at("2024-03-15 10:00:10"), "derived": time("2024-03-14")}
    tick = plan(lake, "2024-03-15 10:04", last)
    assert tick is not None
    assert tick.first == period_of(time("2024-03-15"))


def test_exchange_without_series_needs_no_tick(lake: Lake) -> None:
    pace = Pace(INTERVALS, {}, GRACE)
    assert plan_tick(lake, [], pace, time("2024-03-15")) is None
    assert replace(pace, last=at("2024-03-15")).allows("candles", time("2024-03-15")) is False
