from datetime import timedelta

import pytest

from data_platform.operations.due import (
    FreshnessLimits,
    SeriesStatus,
    first_due_period,
    series_status,
)
from data_platform.operations.lake import Lake
from data_platform.quality.standards import Change, Standards
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    gap_of,
    grid,
    plant_gaps,
    series_of,
    store_candles,
    time,
)

SERIES = series_of()
FRESH = FreshnessLimits(GRACE, timedelta(minutes=5), Standards())


def status(
    lake: Lake, now: str, timeframe: str = "1h", fresh: FreshnessLimits = FRESH
) -> SeriesStatus:
    [found] = series_status(lake, [series_of(timeframe=timeframe)], fresh, time(now))
    return found


def is_due(lake: Lake, now: str, timeframe: str = "1h") -> bool:
    return status(lake, now, timeframe).is_due(time(now), GRACE)


def test_series_that_was_never_stored_is_due_and_not_late(lake: Lake) -> None:
    found = status(lake, "2024-03-15 10:07")
    assert (found.first, found.last, found.candles, found.answered_until) == (None, None, 0, None)
    assert found.is_due(time("2024-03-15 10:07"), GRACE)
    assert not found.is_stale


def test_counts_span_all_months(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-30", "2024-02-02")))
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-01-01", "2024-01-30", "before_listing", confirmed=True),
        gap_of(SERIES, "2024-02-02", "2024-02-02 03:00", "open"),
    )
    found = status(lake, "2024-02-02 03:10")
    assert (found.first, found.last) == (time("2024-01-30"), time("2024-02-01 23:00"))
    assert found.candles == 72


def test_candle_is_due_once_it_has_closed_and_the_grace_is_over(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-15", "2024-03-15 09:00")))
    assert not is_due(lake, "2024-03-15 10:00:04")
    assert is_due(lake, "2024-03-15 10:00:05")


@pytest.mark.parametrize(("confirmed", "due"), [(True, False), (False, True)])
def test_only_an_answer_makes_an_empty_candle_known(lake: Lake, confirmed: bool, due: bool) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-15", "2024-03-15 08:00")))
    gap = gap_of(SERIES, "2024-03-15 08:00", "2024-03-15 10:00", "open", confirmed=confirmed)
    plant_gaps(lake, gap)
    assert is_due(lake, "2024-03-15 10:30") == due


# Since the close of the oldest closed candle that is neither stored nor answered.
@pytest.mark.parametrize(
    ("timeframe", "stored_until", "now", "late"),
    [
        ("1m", "2024-03-15 10:05", "2024-03-15 10:05:30", 0),
        ("1m", "2024-03-15 10:05", "2024-03-15 10:06:30", 30),
        ("1m", "2024-03-15 10:05", "2024-03-15 10:09:30", 210),
        ("1h", "2024-03-15 08:00", "2024-03-15 10:30", 5400),
        ("1d", "2024-03-14", "2024-03-15 10:00", 36000),
    ],
)
def test_lateness_is_the_age_of_the_oldest_unanswered_close(
    lake: Lake, timeframe: str, stored_until: str, now: str, late: int
) -> None:
    rows = candles_at(grid("2024-03-13", stored_until, timeframe))
    store_candles(lake, series_of(timeframe=timeframe), rows)
    assert status(lake, now, timeframe).late == timedelta(seconds=late)


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("2024-03-15 08:30", None),
        ("2024-03-15 10:00", timedelta(hours=10)),
        ("2024-03-15 20:00", timedelta(0)),
        ("2024-03-15 20:30", timedelta(minutes=-30)),
    ],
)
def test_candle_can_be_had_until_its_opening_leaves_the_reach(
    lake: Lake, now: str, left: timedelta | None
) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-15", "2024-03-15 08:00")))
    assert status(lake, now).until_lost(timedelta(hours=12)) == left
    assert status(lake, now).until_lost(None) is None


def test_lost_candle_in_the_middle_is_as_late_as_it_is_old(lake: Lake) -> None:
    store_candles(
        lake,
        SERIES,
        candles_at([*grid("2024-03-15", "2024-03-15 04:00"), time("2024-03-15 09:00")]),
    )
    plant_gaps(lake, gap_of(SERIES, "2024-03-15 04:00", "2024-03-15 09:00", "open"))
    assert status(lake, "2024-03-15 10:10").late == timedelta(hours=5, minutes=10)


def test_honest_silence_is_not_late(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-15", "2024-03-15 04:00")))
    plant_gaps(lake, gap_of(SERIES, "2024-03-15 04:00", "2024-03-15 10:00", "open", confirmed=True))
    assert status(lake, "2024-03-15 10:10").late == timedelta(0)


def test_hole_of_an_older_month_is_the_gap_checks_business(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-02-20", "2024-03-15 10:00")))
    plant_gaps(lake, gap_of(SERIES, "2024-02-10", "2024-02-12", "open"))
    found = status(lake, "2024-03-15 10:10")
    assert found.late == timedelta(0)


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3600), ("4h", 3600), ("1d", 86400)],
)
def test_limit_is_the_ruling_plus_refresh_and_grace(
    lake: Lake, timeframe: str, seconds: int
) -> None:
    found = status(lake, "2024-03-15 10:00", timeframe)
    assert found.limit == timedelta(seconds=seconds + 300 + 5)


def test_limit_of_the_config_replaces_that_of_the_rule(lake: Lake) -> None:
    own = Standards({"candles_fresh": Change({"1h": 10.0})})
    fresh = FreshnessLimits(GRACE, timedelta(0), own)
    assert status(lake, "2024-03-15", fresh=fresh).limit == timedelta(seconds=15)
    assert status(lake, "2024-03-15", "1d", fresh).limit == timedelta(seconds=86405)


def test_series_is_stale_only_beyond_its_limit(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-15", "2024-03-15 09:00")))
    # The candle of 09:00 closed at 10:00; 3905 seconds later is 11:05:05.
    assert not status(lake, "2024-03-15 11:05:05").is_stale
    assert status(lake, "2024-03-15 11:05:06").is_stale


def months(lake: Lake, now: str, *timeframes: str) -> str | None:
    wanted = [series_of(timeframe=each) for each in timeframes]
    found = first_due_period(series_status(lake, wanted, FRESH, time(now)), time(now), GRACE)
    return str(found) if found else None


def test_first_minutes_of_a_month_ask_for_both_months(lake: Lake) -> None:
    store_candles(
        lake,
        series_of(timeframe="1m"),
        candles_at(grid("2024-02-29 23:00", "2024-02-29 23:58", "1m")),
    )
    assert months(lake, "2024-03-01 00:00:04", "1m") == "2024-02"
    assert months(lake, "2024-03-01 00:00:10", "1m") == "2024-02"
    store_candles(
        lake, series_of(timeframe="1m"), candles_at(grid("2024-02-29 23:58", "2024-03-01", "1m"))
    )
    assert months(lake, "2024-03-01 00:00:10", "1m") is None
    assert months(lake, "2024-03-01 00:01:10", "1m") == "2024-03"


def test_slowest_timeframe_decides_the_first_month(lake: Lake) -> None:
    store_candles(
        lake, series_of(timeframe="1m"), candles_at(grid("2024-03-01", "2024-03-01 00:02", "1m"))
    )
    store_candles(
        lake, series_of(timeframe="1d"), candles_at(grid("2024-02-01", "2024-02-29", "1d"))
    )
    assert months(lake, "2024-03-01 00:03:10", "1m", "1d") == "2024-02"


def test_tick_looks_back_one_month_at_most(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2023-06-01", "2023-06-02")))
    assert months(lake, "2024-03-15", "1h") == "2024-02"


def test_series_that_was_never_stored_begins_with_the_running_month(lake: Lake) -> None:
    assert months(lake, "2024-03-15", "1h") == "2024-03"


def test_no_series_have_no_status(lake: Lake) -> None:
    assert series_status(lake, [], FRESH, time("2024-03-15")) == []
    assert first_due_period([], time("2024-03-15"), GRACE) is None


def test_pair_that_ended_is_neither_late_nor_due_before_its_next_try(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-15", "2024-03-15 09:00")))
    hole = ("2024-03-15 09:00", "2024-03-15 10:00")
    again = time("2024-03-15 12:00")
    plant_gaps(lake, gap_of(SERIES, *hole, "after_delisting", confirmed=True, next_try=again))
    before, then = status(lake, "2024-03-15 11:59"), status(lake, "2024-03-15 12:00")
    assert before.delisting == then.delisting
    assert before.delisting is not None
    assert before.delisting.since == time("2024-03-15 09:00")
    assert before.late == then.late == timedelta(0)
    assert not before.is_due(time("2024-03-15 11:59"), GRACE)
    assert then.is_due(again, GRACE)
