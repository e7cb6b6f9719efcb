"""What a month comes to, against a count of its grid by hand."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.domain.candles import TimeRange
from data_platform.domain.markets import Series
from data_platform.operations.due import FreshnessLimits, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.tally import MonthCount, SeriesCounter
from data_platform.quality.score import Delay
from data_platform.quality.standards import Standards
from data_platform.storage.ledger import Status
from data_platform.storage.quarantine import keep_refused
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    lake_at,
    month_of,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)

HOUR = timedelta(hours=1)
SERIES = series_of()
GRACE, REFRESH = timedelta(seconds=5), timedelta(minutes=5)
LIMIT = HOUR + REFRESH + GRACE
"""What a candle of 1h may be late: the ruling's hour, the refresh interval, the grace."""


def counter(
    lake: Lake,
    now: str | datetime,
    start: str = "2024-01-01",
    series: Series = SERIES,
    quiet: str = "flat",
) -> SeriesCounter:
    clock = time(now) if isinstance(now, str) else now
    history = History(quiet, {series.pair: time(start)})  # type: ignore[arg-type]
    (status,) = series_status(lake, [series], FreshnessLimits(GRACE, REFRESH, Standards()), clock)
    return SeriesCounter(lake, status, history, clock)


def held(lake: Lake, series: Series, month: str) -> tuple[int, datetime, datetime] | None:
    rows = lake.store.months(series.exchange).filter(period=month, pair=series.pair.key)
    return (rows["rows"][0], rows["first"][0], rows["last"][0]) if rows.height else None


def count(one: SeriesCounter, month: str) -> MonthCount:
    return one.count(month_of(month), held(one.lake, one.status.series, month))


def test_a_past_month_expects_every_hour(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-03")))
    found = count(counter(lake, "2024-02-03 00:30"), "2024-01")
    assert found == MonthCount(744, 744, 0)


def test_the_running_month_expects_what_has_closed(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-01-03")))
    # The candle of 00:00 closes at 01:00 and is late by the limit at 02:05:05.
    still = time("2024-01-03 01:00") + LIMIT
    assert count(counter(lake, still), "2024-01") == MonthCount(48, 48, 0)
    overdue = still + timedelta(milliseconds=1)
    assert count(counter(lake, overdue), "2024-01") == MonthCount(49, 48, 0)


def test_a_month_that_has_just_begun_expects_nothing_yet(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-01")))
    assert count(counter(lake, "2024-02-01 00:00"), "2024-02") == MonthCount(0, 0, 0)
    assert count(counter(lake, "2024-02-01 02:00"), "2024-02") == MonthCount(0, 0, 0)


def test_a_start_within_a_month_expects_the_rest_of_it(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-10 06:00", "2024-02-02")))
    one = counter(lake, "2024-02-02", start="2024-01-10 05:30")
    assert count(one, "2024-01") == MonthCount(21 * 24 + 18, 21 * 24 + 18, 0)


def test_candles_before_the_start_are_not_counted(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-02")))
    one = counter(lake, "2024-02-02", start="2024-01-31")
    assert count(one, "2024-01") == MonthCount(24, 24, 0)


def test_a_file_that_cannot_be_read_counts_as_missing_and_is_told(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-02")))
    lake.store.layout.partition(partition_of(SERIES)).write_bytes(b"torn")
    one = counter(lake, "2024-02-02", start="2024-01-31")
    assert count(one, "2024-01") == MonthCount(24, 0, 0)
    assert "its candles count as missing: " in caplog.text


def test_months_that_nobody_asked_for_are_expected(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-01", "2024-03-05")))
    one = counter(lake, "2024-03-05")
    assert count(one, "2024-02") == MonthCount(29 * 24, 0, 0)


def test_a_series_that_nobody_ever_asked_for_expects_all_and_is_as_late_as_its_first(
    lake: Lake,
) -> None:
    one = counter(lake, "2024-01-03 12:00")
    # Late by less than the limit: the candles of 10:00 (closed at 11:00) and 11:00.
    assert count(one, "2024-01") == MonthCount(58, 0, 0)
    assert one.delay == Delay(timedelta(hours=59), LIMIT)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("open", 744),
        ("refused", 744),
        ("outage", 744),
        ("no_trades", 740),
        ("before_listing", 740),
        ("after_delisting", 740),
        ("unavailable", 740),
    ],
)
def test_what_gap_checks_leave_out_is_not_expected(
    lake: Lake, status: Status, expected: int
) -> None:
    hours = grid("2024-01-01", "2024-02-03")
    store_candles(lake, SERIES, candles_at(hours[:40] + hours[44:]))
    start, end = "2024-01-02 16:00", "2024-01-02 20:00"
    plant_gaps(lake, gap_of(SERIES, start, end, status, confirmed=True))
    assert count(counter(lake, "2024-02-03"), "2024-01") == MonthCount(expected, 740, 0)


def test_a_hole_over_the_edge_counts_in_each_month_with_its_own_part(lake: Lake) -> None:
    hours = grid("2024-01-01", "2024-03-01")
    store_candles(lake, SERIES, candles_at(hours[:739] + hours[747:]))
    plant_gaps(
        lake, gap_of(SERIES, "2024-01-31 19:00", "2024-02-01 03:00", "no_trades", confirmed=True)
    )
    one = counter(lake, "2024-03-01")
    assert count(one, "2024-01") == MonthCount(739, 739, 0)
    assert count(one, "2024-02") == MonthCount(29 * 24 - 3, 29 * 24 - 3, 0)


def test_a_silence_behind_the_newest_candle_is_no_hole_yet_where_quiet_ones_are_omitted(
    lake: Lake,
) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-01-03")))
    plant_gaps(lake, gap_of(SERIES, "2024-01-03", "2024-01-03 05:00", "open", confirmed=True))
    flat = counter(lake, "2024-01-03 05:00")
    assert count(flat, "2024-01") == MonthCount(53, 48, 0)
    omitted = counter(lake, "2024-01-03 05:00", quiet="omitted")
    assert count(omitted, "2024-01") == MonthCount(48, 48, 0)


def test_nothing_is_expected_behind_the_end_of_a_pair(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-01-03")))
    ended = gap_of(SERIES, "2024-01-03", "2024-01-04", "after_delisting", confirmed=True)
    plant_gaps(lake, ended)
    one = counter(lake, "2024-02-10")
    assert count(one, "2024-01") == MonthCount(48, 48, 0)
    assert count(one, "2024-02") == MonthCount(0, 0, 0)
    assert one.delay is None


def test_refused_rows_are_counted_once_however_often_they_came(lake: Lake) -> None:
    bad = candles_at(grid("2024-01-01", "2024-01-01 03:00"))
    refused = bad.with_columns(reason=pl.lit("high_below_low"))
    for rows in (refused, refused, refused.head(1)):
        keep_refused(lake.store.layout, partition_of(SERIES), rows)
    assert count(counter(lake, "2024-02-03"), "2024-01").refused == 3


def test_refused_rows_that_cannot_be_read_are_unknown_and_told(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    folder = lake.store.layout.root / (
        "quarantine/ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01"
    )
    folder.mkdir(parents=True)
    (folder / "torn.parquet").write_bytes(b"torn")
    assert count(counter(lake, "2024-02-03"), "2024-01").refused is None
    assert "its validity is unknown" in caplog.text
    assert "torn.parquet" in caplog.text


STATUSES: tuple[Status, ...] = (
    "open",
    "refused",
    "outage",
    "no_trades",
    "before_listing",
    "unavailable",
    "repaired",
)
fates = st.lists(st.sampled_from(("stored", "unknown", *STATUSES)), min_size=1, max_size=60)


def by_hand(told: Mapping[datetime, str], wanted: TimeRange, month: str) -> tuple[int, int]:
    """Every hour of the month, one after the other: expected and stored."""
    excused = {"no_trades", "before_listing", "after_delisting", "unavailable"}
    expected = stored = 0
    hour = month_of(month).start
    while hour < month_of(month).end:
        if wanted.start <= hour < wanted.end:
            fate = told.get(hour, "unknown")
            expected += fate not in excused
            stored += fate == "stored"
        hour += HOUR
    return expected, stored


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fates=fates, offset=st.integers(0, 60), late_hours=st.integers(0, 40))
def test_expected_and_stored_are_those_of_a_count_by_hand(
    tmp_path_factory: pytest.TempPathFactory, fates: list[str], offset: int, late_hours: int
) -> None:
    # Around the edge of two months, so that holes reach over it.
    first = time("2024-01-30 12:00") + offset * HOUR
    told = {first + number * HOUR: fate for number, fate in enumerate(fates)}
    lake = lake_at(tmp_path_factory.mktemp("lake"))
    times = [hour for hour, fate in told.items() if fate == "stored"]
    if times:
        store_candles(lake, SERIES, candles_at(times))
    for hour, fate in told.items():
        if fate not in {"stored", "unknown"}:
            ends = f"{hour:%Y-%m-%d %H:%M}", f"{hour + HOUR:%Y-%m-%d %H:%M}"
            plant_gaps(lake, gap_of(SERIES, *ends, fate, confirmed=fate != "open"))  # type: ignore[arg-type]
    now = max(told) + HOUR + late_hours * HOUR
    one = counter(lake, now, start="2024-01-30 00:00")
    # What has closed and is later than the limit allows, or known of before that.
    overdue = [hour for hour in grid("2024-01-30", "2024-02-10") if now - (hour + HOUR) > LIMIT]
    known = [
        hour
        for hour, fate in told.items()
        if fate == "stored"
        or fate in {"refused", "outage", "no_trades", "before_listing", "unavailable"}
    ]
    end = max([*overdue, *known], default=time("2024-01-30") - HOUR) + HOUR
    wanted = TimeRange(time("2024-01-30"), end)
    for month in ("2024-01", "2024-02"):
        found = count(one, month)
        assert (found.expected, found.stored) == by_hand(told, wanted, month)
    lake.state.close()
