import json
from datetime import date, datetime

import pytest

from data_platform.operations.incidents import SPAN, Incident, find_incidents
from data_platform.operations.lake import Lake
from data_platform.storage.ledger import Status
from data_platform.storage.recent import recent_gaps
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)

SERIES = series_of()
NOW = time("2024-01-10 12:30")


def found(lake: Lake) -> list[Incident]:
    gaps = recent_gaps(lake.state, NOW - SPAN)
    return [it for own in find_incidents(lake, gaps, NOW).values() for it in own]


def judge(
    lake: Lake, rule: str, times: list[str], count: int | None = None, month: str = "2024-01"
) -> None:
    rows = [{"open_time": text} for text in times]
    row = VerdictRow(
        rule=rule,
        day=date(2024, 1, 10),
        severity="warn",
        count=len(times) if count is None else count,
        checked=744,
        rows_json=json.dumps(rows),
        threshold_json="{}",
        checked_at=time("2024-01-10 12:00"),
    )
    with lake.state.write() as connection:
        lake.verdicts.record(connection, partition_of(month=month), [row])


@pytest.mark.parametrize(
    ("status", "kind", "resolution"),
    [
        ("open", "gap", "asked for again by the next run"),
        ("refused", "refused", "what came cannot be true: kept in quarantine, asked for again"),
        ("outage", "outage", "the exchange has no candle there"),
        ("repaired", "repaired", "repaired: a later answer held the candles"),
    ],
)
def test_a_hole_is_told_with_what_becomes_of_it(
    lake: Lake, status: Status, kind: str, resolution: str
) -> None:
    plant_gaps(lake, gap_of(SERIES, "2024-01-10 03:00", "2024-01-10 05:00", status))
    at = time("2024-01-10 03:00")
    assert found(lake) == [Incident(SERIES, at, kind, 2, resolution)]
    assert found(lake)[0].is_issue


@pytest.mark.parametrize("status", ["no_trades", "before_listing", "unavailable"])
def test_a_hole_that_may_be_is_no_incident(lake: Lake, status: Status) -> None:
    plant_gaps(lake, gap_of(SERIES, "2024-01-10 03:00", "2024-01-10 05:00", status))
    assert found(lake) == []


@pytest.mark.parametrize(
    ("start", "end", "at", "bars"),
    [
        ("2024-01-09 12:00", "2024-01-09 13:00", None, 0),
        ("2024-01-09 12:00", "2024-01-09 14:00", "2024-01-09 13:00", 1),
        ("2024-01-09 13:00", "2024-01-09 14:00", "2024-01-09 13:00", 1),
    ],
)
def test_only_the_last_day_counts(
    lake: Lake, start: str, end: str, at: str | None, bars: int
) -> None:
    plant_gaps(lake, gap_of(SERIES, start, end))
    assert [(it.at, it.bars) for it in found(lake)] == ([(time(at), bars)] if at else [])


@pytest.mark.parametrize(
    ("times", "count", "expected"),
    [
        # Three rows, one of them of the last day.
        (
            ["2024-01-02 00:00:00", "2024-01-03 00:00:00", "2024-01-10 04:00:00"],
            3,
            ("2024-01-10 04:00", 1),
        ),
        # What the month has held for long is no news.
        (["2024-01-02 00:00:00"], 1, None),
        # Eleven rows, ten of them kept: the last may be of now.
        ([f"2024-01-02 {hour:02d}:00:00" for hour in range(10)], 11, ("2024-01-10 12:00", 11)),
        # Rows without a time speak of when they were judged.
        ([], 2, ("2024-01-10 12:00", 2)),
    ],
)
def test_a_failing_rule_is_told_by_its_rows_of_the_last_day(
    lake: Lake, times: list[str], count: int, expected: tuple[str, int] | None
) -> None:
    judge(lake, "no_price_jumps", times, count)
    told = [(it.at, it.bars, it.kind) for it in found(lake)]
    assert told == ([(time(expected[0]), expected[1], "no_price_jumps")] if expected else [])


def test_a_month_that_is_over_has_no_news_however_much_was_found_in_it(lake: Lake) -> None:
    times = [f"2023-12-02 {hour:02d}:00:00" for hour in range(10)]
    judge(lake, "no_price_jumps", times, 500, month="2023-12")
    assert found(lake) == []
    # What was not answered is not answered now, whenever its candles opened.
    judge(lake, "series_fetched", [], 1, month="2023-12")
    assert [it.kind for it in found(lake)] == ["series_fetched"]


def test_a_correction_is_an_event_and_no_issue(lake: Lake) -> None:
    times = grid("2024-01-10", "2024-01-10 06:00")
    store_candles(lake, SERIES, candles_at(times))
    store_candles(lake, SERIES, candles_at(times[2:4], price=200.0))
    now = datetime.now(tz=NOW.tzinfo)
    [incident] = find_incidents(lake, recent_gaps(lake.state, now), now)[SERIES]
    assert (incident.kind, incident.bars) == ("correction", 2)
    assert incident.resolution == "2024-01: candles changed, the old ones are kept in history"
    assert not incident.is_issue


def test_the_newest_comes_first(lake: Lake) -> None:
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-01-10 03:00", "2024-01-10 05:00"),
        gap_of(SERIES, "2024-01-10 08:00", "2024-01-10 09:00", "outage"),
    )
    assert [it.kind for it in found(lake)] == ["outage", "gap"]
