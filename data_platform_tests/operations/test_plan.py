from dataclasses import replace
from datetime import timedelta

import pytest

from data_platform.domain.candles import TimeRange
from data_platform.domain.layers import Partition
from data_platform.operations.lake import Lake
from data_platform.operations.plan import (
    Need,
    UpdateRules,
    contiguous_ranges,
    needs_of_gaps,
    plan_needs,
)
from data_platform.sources.base import FetchRequest
from data_platform.storage.ledger import Status
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.venues import rules_of

SERIES = series_of()
MONTHS = TimeRange(time("2024-01"), time("2024-03"))
LATER = time("2024-06-01")
RULES = rules_of([partition_of()])


def plan(lake: Lake, rules: UpdateRules = RULES, now: str = "2024-06-01") -> list[str]:
    needs = plan_needs(lake, SERIES, MONTHS, rules, time(now))
    return [str(need.missing) for need in needs]


def test_nothing_stored_is_one_need_over_all_months(lake: Lake) -> None:
    assert plan(lake) == ["2024-01-01 00:00..2024-03-01 00:00"]


def test_everything_stored_is_no_need(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-03-01")))
    assert plan(lake) == []


@pytest.mark.parametrize(
    ("since", "asked"),
    [
        ("2023-01-01", ["2024-01-01 00:00..2024-03-01 00:00"]),
        ("2024-02-10 04:30", ["2024-02-10 04:00..2024-03-01 00:00"]),
        ("2024-03-01", []),
        ("2025-01-01", []),
    ],
)
def test_everything_from_a_time_on_is_compared(lake: Lake, since: str, asked: list[str]) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-03-01")))
    assert plan(lake, replace(RULES, compare_from=time(since))) == asked


def test_what_is_missing_before_the_compared_range_is_asked_for_too(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-02", "2024-03-01")))
    plant_gaps(lake, gap_of(SERIES, "2024-02-05", "2024-02-06", "outage", confirmed=True))
    assert plan(lake, replace(RULES, compare_from=time("2024-02-01"))) == [
        "2024-01-01 00:00..2024-01-02 00:00",
        "2024-02-01 00:00..2024-03-01 00:00",
    ]


def test_start_in_the_middle_of_a_month_is_rounded_up_to_the_grid(lake: Lake) -> None:
    rules = rules_of([partition_of()], start=time("2024-02-03 04:05"))
    assert plan(lake, rules) == ["2024-02-03 05:00..2024-03-01 00:00"]
    assert plan(lake, rules_of([partition_of()], start=time("2024-03-01"))) == []


def test_needs_end_with_the_closed_candle(lake: Lake) -> None:
    # At 07:00:04 the candle of 06:00 may still change: grace is 5 seconds.
    assert plan(lake, now="2024-02-10 07:00:04") == ["2024-01-01 00:00..2024-02-10 06:00"]
    assert plan(lake, now="2024-02-10 07:00:05") == ["2024-01-01 00:00..2024-02-10 07:00"]
    assert plan(lake, now="2023-12-31 23:00") == []


def test_holes_are_needs_of_their_own(lake: Lake) -> None:
    times = grid("2024-01-01", "2024-03-01")
    gone = {time("2024-01-05"), time("2024-01-31 23:00"), time("2024-02-01")}
    store_candles(lake, SERIES, candles_at([at for at in times if at not in gone]))
    assert plan(lake) == [
        "2024-01-05 00:00..2024-01-05 01:00",
        "2024-01-31 23:00..2024-02-01 01:00",
    ]


@pytest.mark.parametrize(
    ("status", "confirmed", "next_try", "expected"),
    [
        ("no_trades", True, None, []),
        ("outage", True, None, []),
        ("before_listing", True, None, []),
        ("unavailable", True, None, []),
        ("open", False, None, ["2024-01-10 00:00..2024-01-12 00:00"]),
        # Nobody has answered: only automation waits for its next try.
        ("open", False, "2024-06-02", ["2024-01-10 00:00..2024-01-12 00:00"]),
        # Confirmed: only the last ten candles, which may have come late.
        ("open", True, "2024-05-01", ["2024-01-11 14:00..2024-01-12 00:00"]),
        ("open", True, "2024-06-02", []),
        ("refused", False, "2024-06-01", ["2024-01-10 00:00..2024-01-12 00:00"]),
        ("refused", False, "2024-06-02", []),
    ],
)
def test_gap_is_asked_for_only_when_it_is_neither_settled_nor_early(
    lake: Lake, status: Status, confirmed: bool, next_try: str | None, expected: list[str]
) -> None:
    hole = ("2024-01-10", "2024-01-12")
    times = [
        at for at in grid("2024-01-01", "2024-03-01") if not time(hole[0]) <= at < time(hole[1])
    ]
    store_candles(lake, SERIES, candles_at(times))
    when = time(next_try) if next_try else None
    plant_gaps(lake, gap_of(SERIES, *hole, status, confirmed=confirmed, next_try=when))
    assert plan(lake) == expected


def test_only_what_is_missing_of_certain_times_is_asked_for_where_that_is_wished(
    lake: Lake,
) -> None:
    gone = [*grid("2024-01-10", "2024-01-12"), *grid("2024-02-03", "2024-02-04")]
    times = [at for at in grid("2024-01-01", "2024-02-20") if at not in gone]
    store_candles(lake, SERIES, candles_at(times))
    wished = [("2024-01-11 20:00", "2024-01-20"), ("2024-02-03 05:00", "2024-02-03 06:00")]
    only = {SERIES: [TimeRange(time(start), time(end)) for start, end in wished]}
    rules = replace(RULES, only=only)
    assert plan(lake, rules) == [
        "2024-01-11 20:00..2024-01-12 00:00",
        "2024-02-03 05:00..2024-02-03 06:00",
    ]
    assert plan(lake, replace(RULES, only={})) == []
    gap = gap_of(SERIES, "2024-01-11", "2024-01-12")
    months = partitions_of(SERIES, "2024-01", "2024-02")
    [need] = needs_of_gaps([gap], months, rules, LATER)
    assert str(need.missing) == "2024-01-11 20:00..2024-01-12 00:00"


def test_explained_part_of_a_hole_is_left_out(lake: Lake) -> None:
    times = [*grid("2024-01-01", "2024-01-10"), *grid("2024-01-20", "2024-03-01")]
    store_candles(lake, SERIES, candles_at(times))
    plant_gaps(lake, gap_of(SERIES, "2024-01-12", "2024-01-13", "outage", confirmed=True))
    assert plan(lake) == [
        "2024-01-10 00:00..2024-01-12 00:00",
        "2024-01-13 00:00..2024-01-20 00:00",
    ]


def test_gap_over_both_edges_explains_everything(lake: Lake) -> None:
    plant_gaps(lake, gap_of(SERIES, "2023-01-01", "2024-12-01", "before_listing", confirmed=True))
    assert plan(lake) == []


def test_needs_of_an_illiquid_series_are_found_in_a_moment(lake: Lake) -> None:
    minutes = series_of("coinbase", "BTC/USD", "1m")
    times = grid("2024-01-01", "2024-01-20", "1m")
    quiet = [at for at in times if at.minute % 3 == 0]
    store_candles(lake, minutes, candles_at([at for at in times if at.minute % 3]))
    gaps = [
        gap_of(minutes, f"{at:%Y-%m-%d %H:%M}", f"{at:%Y-%m-%d %H}:{at.minute + 1:02}", "no_trades")
        for at in quiet[:-1]
    ]
    with lake.state.write() as connection:
        lake.ledger.record(connection, minutes, times[0], time("2024-02-01"), gaps)
    rules = rules_of([partition_of(minutes)])
    months = TimeRange(time("2024-01"), time("2024-02"))
    needs = plan_needs(lake, minutes, months, rules, time("2024-01-20 00:00:10"))
    assert [need.missing.start for need in needs] == [quiet[-1]]


def need(start: str, end: str, floor: str = "2024-01-01") -> Need:
    return Need(SERIES, TimeRange(time(start), time(end)), time(floor))


def test_request_that_reaches_the_closed_end_looks_back_two_candles() -> None:
    closed = time("2024-01-10 12:00")
    assert need("2024-01-10 10:00", "2024-01-10 15:00").to_request(closed) == FetchRequest(
        SERIES, time("2024-01-10 08:00"), closed
    )
    assert need("2024-01-10 10:00", "2024-01-10 12:00").to_request(closed) == FetchRequest(
        SERIES, time("2024-01-10 08:00"), closed
    )


def test_request_for_a_hole_asks_for_the_hole_alone() -> None:
    hole = need("2024-01-05", "2024-01-06")
    request = hole.to_request(time("2024-01-10 12:00"))
    assert request == FetchRequest(SERIES, time("2024-01-05"), time("2024-01-06"))


def test_overlap_stays_inside_the_months_that_are_asked_for() -> None:
    request = need("2024-01-01 01:00", "2024-01-01 05:00").to_request(time("2024-01-01 05:00"))
    assert request is not None
    assert request.start == time("2024-01-01")


def test_what_has_not_closed_by_the_exchange_clock_is_not_asked_for() -> None:
    assert need("2024-01-10 12:00", "2024-01-10 13:00").to_request(time("2024-01-10 12:00")) is None


def test_neighbouring_months_are_one_range_and_others_are_not() -> None:
    other = series_of(pair="ETH/USDT")
    months = partitions_of(None, "2023-11", "2024-02")
    asked: list[Partition] = [months[3], months[0], months[1], partition_of(other, "2024-05")]
    assert list(contiguous_ranges(asked)) == [
        (SERIES, TimeRange(time("2023-11"), time("2024-01"))),
        (SERIES, TimeRange(time("2024-02"), time("2024-03"))),
        (other, TimeRange(time("2024-05"), time("2024-06"))),
    ]
    assert list(contiguous_ranges([])) == []


def test_candle_that_closed_while_the_clock_differs_is_planned_by_the_later_clock(
    lake: Lake,
) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-10")))
    ahead = time("2024-02-10 00:59") + timedelta(seconds=120)
    [planned] = plan_needs(lake, SERIES, MONTHS, RULES, ahead)
    # The machine runs ahead: by the exchange's clock the candle is still open.
    assert planned.to_request(time("2024-02-10")) is None
    assert planned.missing.end == time("2024-02-10 01:00")


def test_nothing_is_asked_for_behind_the_end_of_a_pair_before_its_next_try(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-10")))
    again = time("2024-02-12")
    gap = gap_of(
        SERIES, "2024-02-10", "2024-02-11", "after_delisting", confirmed=True, next_try=again
    )
    plant_gaps(lake, gap)
    for since in (None, time("2024-02-08")):
        rules = replace(RULES, compare_from=since)
        compared = ["2024-02-08 00:00..2024-02-10 00:00"] if since else []
        assert plan(lake, rules, now="2024-02-11 23:59") == compared
    assert plan(lake, now="2024-02-12 00:30") == ["2024-02-10 00:00..2024-02-12 00:00"]
