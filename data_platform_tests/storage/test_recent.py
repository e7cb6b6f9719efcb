from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from data_platform.domain.layers import Partition
from data_platform.operations.lake import Lake
from data_platform.storage.recent import recent_failures, recent_gaps, recent_rewrites
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    lake_at,
    partition_of,
    plant_gaps,
    punch,
    series_of,
    store_candles,
    time,
)

NOON = time("2024-01-10 12:00")


@pytest.fixture
def lake(root: Path) -> Iterator[Lake]:
    lake = lake_at(root)
    yield lake
    lake.state.close()


def verdict(day: str, count: int, rule: str = "sane") -> VerdictRow:
    return VerdictRow(
        rule, date.fromisoformat(day), "warn", count, 24, "[]", "{}", time(f"{day} 13:00")
    )


def record(lake: Lake, *rows: VerdictRow, partition: Partition | None = None) -> None:
    with lake.state.write() as connection:
        lake.verdicts.record(connection, partition or partition_of(), rows)


def test_holes_that_reach_beyond_a_time_are_recent(lake: Lake) -> None:
    plant_gaps(
        lake,
        gap_of(start="2024-01-10 10:00", end="2024-01-10 12:00"),
        gap_of(start="2024-01-10 14:00", end="2024-01-10 15:00", status="no_trades"),
        gap_of(start="2024-01-10 08:00", end="2024-01-10 09:00"),
        gap_of(series_of("okx"), "2024-01-10 11:00", "2024-01-10 13:00", "outage"),
        gap_of(start="2024-01-10 16:00", end="2024-01-10 17:00", status="repaired"),
    )
    found = recent_gaps(lake.state, NOON)
    assert found.select("exchange", "start", "missing", "status").rows() == [
        ("binance", time("2024-01-10 16:00"), 1, "repaired"),
        ("okx", time("2024-01-10 11:00"), 2, "outage"),
    ]


def test_a_rule_that_has_passed_again_fails_no_more(lake: Lake) -> None:
    record(lake, verdict("2024-01-10", 3), verdict("2024-01-10", 2, "quiet"))
    record(lake, verdict("2024-01-11", 0))
    found = recent_failures(lake.state, NOON)
    assert found.select("rule", "day", "count").rows() == [("quiet", "2024-01-10", 2)]


def test_what_failed_before_is_not_recent(lake: Lake) -> None:
    record(lake, verdict("2024-01-10", 3))
    assert recent_failures(lake.state, time("2024-01-10 13:00")).height == 1
    assert recent_failures(lake.state, time("2024-01-10 13:01")).height == 0
    assert recent_failures(lake.state, time("2024-01-11")).height == 0


def test_corrections_and_repairs_are_told_and_growth_is_not(lake: Lake) -> None:
    series, began = series_of(), time("2020-01")
    times = grid("2024-01-10", "2024-01-11")
    store_candles(lake, series, candles_at(times))
    assert recent_rewrites(lake.state, began).is_empty()
    store_candles(lake, series, candles_at(times[3:5], price=200.0))
    [row] = recent_rewrites(lake.state, began).rows(named=True)
    assert (row["reason"], row["changed"], row["period"]) == ("correction", 2, "2024-01")
    punch(lake, series, times[7], times[10])
    store_candles(lake, series, candles_at(times[7:10]))
    [row] = recent_rewrites(lake.state, began).rows(named=True)
    assert (row["reason"], row["added"]) == ("repair", 3)
    assert recent_rewrites(lake.state, time("2090-01")).is_empty()
