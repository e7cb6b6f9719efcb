from datetime import timedelta

import pytest

from data_platform.domain.candles import TimeRange
from data_platform.domain.exchanges import exchange_row
from data_platform.operations.belief import (
    Quiet,
    judge_run,
    next_belief,
    quiet_of,
    status_of_confirmed,
)
from data_platform.quality.standards import Change, Standards
from data_platform.storage.ledger import Gap, Status
from data_platform_tests.factories import gap_of, series_of, time

SERIES = series_of("coinbase", "BTC/USD")
OMITTED = Quiet("omitted", timedelta(hours=6))
FLAT = Quiet("flat", timedelta(hours=6))
AT = time("2024-01-20")
SOON = AT + timedelta(hours=1)
FIRST, LAST = time("2024-01-03"), time("2024-01-10")


def hole(hours: float) -> TimeRange:
    return TimeRange(time("2024-01-04"), time("2024-01-04") + timedelta(hours=hours))


def gap(start: str, end: str, status: Status, **known: object) -> Gap:
    return gap_of(SERIES, start, end, status, **{"confirmed": True, **known})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "end", "status"),
    [
        ("2024-01-01", "2024-01-03", "before_listing"),
        ("2024-01-04", "2024-01-05", "outage"),
        ("2024-01-11", "2024-01-12", "open"),
    ],
)
def test_place_of_a_confirmed_hole_tells_its_status(start: str, end: str, status: str) -> None:
    found = status_of_confirmed(TimeRange(time(start), time(end)), FIRST, LAST, FLAT)
    assert found == status


@pytest.mark.parametrize(
    ("hours", "omitted"), [(0.1, "no_trades"), (6, "no_trades"), (6.1, "outage"), (24, "outage")]
)
def test_only_a_short_hole_is_a_time_without_trades(hours: float, omitted: str) -> None:
    assert OMITTED.status(hole(hours)) == omitted
    assert FLAT.status(hole(hours)) == "outage"


def test_limit_is_six_hours_on_every_timeframe_unless_the_config_says_otherwise() -> None:
    coinbase, days = exchange_row("coinbase"), series_of(timeframe="1d")
    assert quiet_of(coinbase, days, Standards()) == OMITTED
    assert quiet_of(coinbase, days, Standards()).status(hole(24)) == "outage"
    given = Standards({"quiet_times": Change({"1d": 86400.0})})
    assert quiet_of(coinbase, days, given).status(hole(24)) == "no_trades"
    assert quiet_of(coinbase, SERIES, given) == OMITTED


def test_belief_grows_from_an_hour_to_a_year() -> None:
    known: list[Gap] = []
    waits = []
    at = AT
    for number in range(1, 8):
        tries, next_try = next_belief(known, at)
        assert tries == number
        waits.append(next_try - at)
        known = [gap("2024-01-04", "2024-01-05", "outage", tries=tries, next_try=next_try)]
        at = next_try
    days = [it / timedelta(days=1) for it in waits]
    assert days == [1 / 24, 1, 7, 30, 365, 365, 365]


def test_being_asked_early_changes_nothing() -> None:
    later = AT + timedelta(days=3)
    known = [gap("2024-01-04", "2024-01-05", "outage", tries=3, next_try=later)]
    assert next_belief(known, AT) == (3, later)


def run_of(*gaps: Gap) -> list[tuple[Status, bool]]:
    judged = judge_run(gaps, FIRST, LAST, OMITTED, AT)
    assert [(it.start, it.end) for it in judged] == [(it.start, it.end) for it in gaps]
    return [(it.status, it.confirmed) for it in judged]


def test_hole_at_the_edge_is_settled_by_the_length_of_the_whole_run() -> None:
    first = gap("2024-01-04", "2024-01-04 04:00", "open")
    second = gap("2024-01-04 04:00", "2024-01-04 08:00", "no_trades")
    assert run_of(first) == [("no_trades", True)]
    assert run_of(first, second) == [("outage", True), ("outage", True)]
    repaired = gap("2024-01-04 04:00", "2024-01-04 05:00", "repaired")
    third = gap("2024-01-04 05:00", "2024-01-04 08:00", "no_trades")
    assert run_of(first, repaired, third) == [
        ("no_trades", True),
        ("repaired", True),
        ("no_trades", True),
    ]


def test_outage_of_which_most_turned_out_to_be_traded_is_a_quiet_time_again() -> None:
    assert run_of(gap("2024-01-04", "2024-01-04 02:00", "outage")) == [("no_trades", True)]


def test_settled_hole_is_doubted_an_hour_later() -> None:
    [settled] = judge_run(
        [gap("2024-01-04", "2024-01-05", "open", tries=900)], FIRST, LAST, OMITTED, AT
    )
    assert (settled.status, settled.tries, settled.next_try) == ("outage", 1, SOON)
    assert judge_run([settled], FIRST, LAST, OMITTED, AT) == [settled]


def test_what_no_answer_told_and_what_lies_behind_the_newest_candle_stays() -> None:
    failed = gap("2024-01-04", "2024-01-05", "open", confirmed=False)
    tail = gap("2024-01-10 01:00", "2024-01-12", "open")
    refused = gap("2024-01-05", "2024-01-06", "refused", confirmed=False)
    assert judge_run([failed, refused], FIRST, LAST, OMITTED, AT) == [failed, refused]
    assert judge_run([tail], FIRST, LAST, OMITTED, AT) == [tail]


def test_time_before_the_listing_with_older_candles_is_open_and_due() -> None:
    [opened] = judge_run(
        [gap("2024-01-04", "2024-01-12", "before_listing", tries=4, next_try=LAST)],
        FIRST,
        LAST,
        OMITTED,
        AT,
    )
    assert (opened.status, opened.confirmed, opened.next_try) == ("open", False, None)
    assert opened.tries == 0


@pytest.mark.parametrize(
    ("next_try", "after", "status"),
    [
        # It was asked for, its last page held candles: the pages before may hold some as well.
        (AT, "repaired", "open"),
        (AT, "outage", "before_listing"),
        (AT + timedelta(seconds=1), "repaired", "before_listing"),
        (None, "repaired", "before_listing"),
    ],
)
def test_time_before_the_listing_whose_end_held_candles_is_open(
    next_try: object, after: Status, status: str
) -> None:
    row = gap("2024-01-01", "2024-01-02", "before_listing", next_try=next_try)
    [judged, _] = judge_run([row, gap("2024-01-02", "2024-01-03", after)], FIRST, LAST, OMITTED, AT)
    assert judged.status == status
