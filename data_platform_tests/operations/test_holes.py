from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TIME
from data_platform.domain.errors import TransientError, UnknownPairError
from data_platform.domain.exchanges import QuietCandle
from data_platform.operations.belief import Quiet
from data_platform.operations.holes import (
    Evidence,
    explain_holes,
)
from data_platform.sources.base import Outcome, Window
from data_platform.storage.ledger import Gap, Status
from data_platform_tests.factories import gap_of, grid, series_of, time

SERIES = series_of()
AT = time("2024-01-02 00:00:30")
DAY = ("2024-01-01", "2024-01-02")


def window(outcome: Outcome = "answered", start: str = DAY[0], end: str = DAY[1]) -> Window:
    error = TransientError(f"timed out at {start}") if outcome == "failed" else None
    return Window(time(start), time(end), outcome, AT, error)


def evidence(
    *windows: Window,
    refused: Sequence[datetime] = (),
    first: str | None = "2023-12-01",
    last: str | None = "2024-01-05",
    quiet: QuietCandle = "flat",
    known: Sequence[Gap] = (),
    is_known: bool = True,
) -> Evidence:
    return Evidence(
        SERIES,
        windows or (window(),),
        pl.Series(refused, dtype=TIME),
        time(first) if first else None,
        time(last) if last else None,
        Quiet(quiet, timedelta(hours=6)),
        known,
        is_known,
    )


def times_without(*hours: int) -> pl.Series:
    return pl.Series([at for at in grid(*DAY) if at.hour not in hours], dtype=TIME)


def short(gaps: Sequence[Gap]) -> list[tuple[int, int, str, bool]]:
    return [
        ((gap.start - time(DAY[0])).seconds // 3600, gap.missing, gap.status, gap.confirmed)
        for gap in gaps
    ]


def test_no_hole_needs_no_explanation() -> None:
    assert explain_holes(times_without(), evidence()) == []


@pytest.mark.parametrize(
    ("quiet", "status", "next_try"),
    [("omitted", "no_trades", None), ("flat", "outage", AT + timedelta(hours=1))],
)
def test_confirmed_hole_between_candles_is_what_the_exchange_does(
    quiet: QuietCandle, status: str, next_try: datetime | None
) -> None:
    gaps = explain_holes(times_without(4, 5, 9), evidence(quiet=quiet))
    assert short(gaps) == [(4, 2, status, True), (9, 1, status, True)]
    assert [gap.next_try for gap in gaps] == [next_try, next_try]


def test_hole_before_the_first_candle_is_before_the_listing() -> None:
    gaps = explain_holes(times_without(*range(6)), evidence(first="2024-01-01 06:00"))
    assert short(gaps) == [(0, 6, "before_listing", True)]


def test_series_without_any_candle_is_before_its_listing() -> None:
    nothing = pl.Series([], dtype=TIME)
    gaps = explain_holes(nothing, evidence(first=None, last=None))
    assert short(gaps) == [(0, 24, "before_listing", True)]


def test_hole_behind_the_newest_candle_stays_open_for_one_candle_more() -> None:
    [gap] = explain_holes(times_without(22, 23), evidence(last="2024-01-01 21:00"))
    assert (gap.status, gap.confirmed, gap.missing) == ("open", True, 2)
    assert gap.next_try == AT + timedelta(hours=1)


def test_what_was_not_answered_is_open_and_due_soon() -> None:
    windows = (window("failed", DAY[0], "2024-01-01 12:00"), window(start="2024-01-01 12:00"))
    gaps = explain_holes(times_without(10, 11, 12, 13), evidence(*windows))
    assert short(gaps) == [(10, 2, "open", False), (12, 2, "outage", True)]
    assert gaps[0].next_try == AT + timedelta(minutes=1)
    assert gaps[0].evidence == "timed out at 2024-01-01"


@pytest.mark.parametrize(("tries", "minutes"), [(1, 10), (2, 60), (3, 360), (4, 1440), (9, 1440)])
def test_failures_are_asked_for_ever_later(tries: int, minutes: int) -> None:
    before = gap_of(SERIES, "2024-01-01 03:00", "2024-01-01 04:00", tries=tries)
    [gap] = explain_holes(times_without(3), evidence(window("failed"), known=[before]))
    assert (gap.status, gap.tries) == ("open", tries + 1)
    assert gap.next_try == AT + timedelta(minutes=minutes)


def test_stored_candles_in_a_failed_window_are_no_gap() -> None:
    assert explain_holes(times_without(), evidence(window("failed"))) == []


def test_windows_that_fail_for_different_reasons_tell_the_first() -> None:
    windows = [
        window("failed", f"2024-01-01 {hour:02}:00", f"2024-01-01 {hour + 1:02}:00")
        for hour in range(23)
    ]
    gaps = explain_holes(pl.Series([], dtype=TIME), evidence(*windows))
    assert {gap.evidence for gap in gaps} == {"timed out at 2024-01-01 00:00"}


def test_what_is_out_of_reach_is_unavailable_for_good() -> None:
    [gap] = explain_holes(times_without(3), evidence(window("unavailable")))
    assert (gap.status, gap.confirmed, gap.next_try) == ("unavailable", True, None)


def test_refused_candle_is_no_honest_hole() -> None:
    gaps = explain_holes(times_without(3, 4, 5), evidence(refused=[time("2024-01-01 04:00")]))
    assert short(gaps) == [(3, 1, "outage", True), (4, 1, "refused", False), (5, 1, "outage", True)]
    assert gaps[1].next_try == AT + timedelta(hours=1)


@pytest.mark.parametrize(("tries", "hours"), [(1, 6), (2, 24), (7, 24)])
def test_candle_that_is_refused_again_is_asked_for_ever_later(tries: int, hours: int) -> None:
    spot = ("2024-01-01 04:00", "2024-01-01 05:00")
    before = gap_of(SERIES, *spot, "refused", tries=tries, next_try=AT)
    refused = [time(spot[0])]
    [gap] = explain_holes(times_without(4), evidence(refused=refused, known=[before]))
    assert (gap.tries, gap.next_try) == (tries + 1, AT + timedelta(hours=hours))


def test_candle_that_is_refused_before_its_time_waits_no_longer_for_it() -> None:
    # The overlap of the next two ticks asks for it again.
    spot = ("2024-01-01 04:00", "2024-01-01 05:00")
    soon = AT + timedelta(minutes=59)
    before = gap_of(SERIES, *spot, "refused", tries=1, next_try=soon)
    refused = [time(spot[0])]
    [gap] = explain_holes(times_without(4), evidence(refused=refused, known=[before]))
    assert (gap.tries, gap.next_try) == (1, soon)


def test_refused_row_whose_time_is_stored_is_no_gap() -> None:
    twice = [time("2024-01-01 04:00")] * 2
    assert explain_holes(times_without(), evidence(refused=twice)) == []


def test_refused_row_off_the_grid_counts_for_the_candle_it_lies_in() -> None:
    odd = [time("2024-01-01 04:00:30"), time("2024-01-01 04:10")]
    assert short(explain_holes(times_without(4), evidence(refused=odd))) == [
        (4, 1, "refused", False)
    ]


@pytest.mark.parametrize("outcome", ["failed", "unavailable"])
def test_what_was_confirmed_before_outlives_a_later_failure(outcome: Outcome) -> None:
    known = [
        gap_of(SERIES, "2024-01-01 02:00", "2024-01-01 04:00", "no_trades", confirmed=True),
        gap_of(SERIES, "2024-01-01 04:00", "2024-01-01 05:00", "open"),
    ]
    gaps = explain_holes(times_without(2, 3, 4), evidence(window(outcome), known=known))
    later = ("open", False) if outcome == "failed" else ("unavailable", True)
    assert short(gaps) == [(2, 2, "no_trades", True), (4, 1, *later)]
    assert [gap.tries for gap in gaps] == [1, 2]


def test_known_gap_that_reaches_out_of_the_slice_is_cut() -> None:
    known = [gap_of(SERIES, "2023-12-20", "2024-01-10", "before_listing", confirmed=True)]
    [gap] = explain_holes(times_without(*range(24)), evidence(window("failed"), known=known))
    assert (gap.start, gap.end) == (time(DAY[0]), time(DAY[1]))


def test_answers_are_counted_apart_from_failures_to_answer() -> None:
    known = [gap_of(SERIES, "2024-01-01 02:00", "2024-01-01 05:00", "open", tries=4)]
    [gap] = explain_holes(times_without(3), evidence(window("failed"), known=known))
    assert (gap.status, gap.tries) == ("open", 5)
    [gap] = explain_holes(times_without(3), evidence(known=known))
    assert (gap.status, gap.tries) == ("outage", 1)


def outage(next_try: datetime | None, tries: int = 1) -> Gap:
    hours = ("2024-01-01 03:00", "2024-01-01 05:00")
    return gap_of(SERIES, *hours, "outage", confirmed=True, next_try=next_try, tries=tries)


def test_hole_that_is_confirmed_again_when_it_was_due_is_believed_longer() -> None:
    known = [outage(AT, tries=2)]
    [gap] = explain_holes(times_without(3, 4), evidence(known=known))
    assert (gap.status, gap.tries, gap.next_try) == ("outage", 3, AT + timedelta(days=7))


def test_hole_that_is_confirmed_before_its_time_is_believed_no_longer() -> None:
    known = [outage(AT + timedelta(seconds=1), tries=2)]
    [gap] = explain_holes(times_without(3, 4), evidence(known=known))
    assert (gap.tries, gap.next_try) == (2, AT + timedelta(seconds=1))


def test_failure_leaves_a_believed_hole_due_and_being_out_of_reach_never() -> None:
    known = [outage(AT, tries=2)]
    [gap] = explain_holes(times_without(3, 4), evidence(window("failed"), known=known))
    assert (gap.status, gap.tries, gap.next_try) == ("outage", 2, AT)
    [gap] = explain_holes(times_without(3, 4), evidence(window("unavailable"), known=known))
    assert (gap.status, gap.tries, gap.next_try) == ("outage", 2, None)


def test_time_without_trades_is_asked_again_only_when_it_is_of_unusual_length() -> None:
    gaps = explain_holes(times_without(1, 2, 3, 6, 7, 8, 9), evidence(quiet="omitted"))
    assert short(gaps) == [(1, 3, "no_trades", True), (6, 4, "no_trades", True)]
    assert [gap.next_try for gap in gaps] == [None, AT + timedelta(hours=1)]


@pytest.mark.parametrize(("hours", "status"), [(6, "no_trades"), (7, "outage")])
def test_hole_longer_than_the_limit_is_an_outage_though_quiet_candles_are_omitted(
    hours: int, status: str
) -> None:
    # In pages of two hours: the hole is one all the same.
    pages = [window(start=f"2024-01-01 {at:02}:00", end=end(at + 2)) for at in range(0, 24, 2)]
    gaps = explain_holes(times_without(*range(5, 5 + hours)), evidence(*pages, quiet="omitted"))
    assert {gap.status for gap in gaps} == {status}
    assert sum(gap.missing for gap in gaps) == hours


def end(hour: int) -> str:
    return f"2024-01-01 {hour:02}:00" if hour < 24 else DAY[1]


def test_refused_candle_parts_two_quiet_times() -> None:
    refused = [time("2024-01-01 08:00")]
    gaps = explain_holes(times_without(*range(4, 12)), evidence(refused=refused, quiet="omitted"))
    assert short(gaps) == [
        (4, 4, "no_trades", True),
        (8, 1, "refused", False),
        (9, 3, "no_trades", True),
    ]


def test_hole_that_was_confirmed_and_holds_candles_now_keeps_its_row() -> None:
    [still, gone] = explain_holes(times_without(3), evidence(known=[outage(AT, tries=2)]))
    assert short([still, gone]) == [(3, 1, "outage", True), (4, 1, "repaired", True)]
    assert (gone.tries, gone.next_try) == (2, None)
    assert gone.evidence == "a later answer held candles; was outage"
    [again] = explain_holes(times_without(), evidence(known=[gone]))
    assert again == gone
    [lost] = explain_holes(times_without(4), evidence(known=[gone]))
    assert lost.status == "outage"


@pytest.mark.parametrize(("status", "confirmed"), [("open", True), ("open", False)])
def test_late_or_failed_candles_that_came_leave_no_row(status: Status, confirmed: bool) -> None:
    known = [gap_of(SERIES, "2024-01-01 03:00", "2024-01-01 05:00", status, confirmed=confirmed)]
    assert explain_holes(times_without(), evidence(known=known)) == []


def test_thousands_of_holes_and_pages_are_explained_in_a_moment() -> None:
    minutes = series_of(timeframe="1m")
    times = grid("2024-01-01", "2024-02-01", "1m")
    pages = [Window(at, at + timedelta(minutes=300), "answered", AT) for at in times[::300]]
    windows = (*pages[:-1], Window(pages[-1].start, time("2024-02-01"), "answered", AT))
    every_third = pl.Series([at for at in times if at.minute % 3], dtype=TIME)
    given = Evidence(
        minutes,
        windows,
        pl.Series([], dtype=TIME),
        times[1],
        time("2024-03"),
        Quiet("omitted", timedelta(hours=6)),
    )
    gaps = explain_holes(every_third, given)
    assert len(gaps) == 31 * 24 * 20
    assert sum(gap.missing for gap in gaps) == 31 * 24 * 20
    # Asked for again: the same are known, and every fourth minute came after all.
    later = replace(given, known=gaps)
    some_more = pl.Series([at for at in times if at.minute % 3 or not at.minute % 4], dtype=TIME)
    counts = Counter(gap.status for gap in explain_holes(some_more, later))
    # Hour for hour, 5 of the 20 minutes.
    assert counts == {"no_trades": 31 * 24 * 15, "repaired": 31 * 24 * 5}


def unlisted(outcome: Outcome = "failed") -> Window:
    error = UnknownPairError("no such pair") if outcome == "failed" else None
    return replace(window(outcome), error=error, is_listed=False)


@pytest.mark.parametrize("outcome", ["failed", "answered"])
def test_hole_behind_the_newest_candle_of_a_pair_that_ended_is_after_its_delisting(
    outcome: Outcome,
) -> None:
    gaps = explain_holes(
        times_without(20, 21, 22, 23), evidence(unlisted(outcome), last=f"{DAY[0]} 19:00")
    )
    assert short(gaps) == [(20, 4, "after_delisting", True)]
    (gap,) = gaps
    assert (gap.tries, gap.next_try) == (1, AT + timedelta(hours=1))
    assert gap.evidence == "the exchange does not trade the pair any more"


@pytest.mark.parametrize(("tries", "wait"), [(1, 6), (2, 24), (3, 24), (9, 24)])
def test_pair_that_ended_is_asked_for_ever_more_rarely_but_daily(tries: int, wait: int) -> None:
    known = gap_of(
        SERIES,
        f"{DAY[0]} 20:00",
        DAY[1],
        "after_delisting",
        confirmed=True,
        tries=tries,
        next_try=AT,
    )
    gaps = explain_holes(
        times_without(20, 21, 22, 23), evidence(unlisted(), last=f"{DAY[0]} 19:00", known=[known])
    )
    assert [(gap.tries, gap.next_try) for gap in gaps] == [(tries + 1, AT + timedelta(hours=wait))]


def test_old_hole_of_a_pair_that_is_unknown_by_now_is_out_of_reach() -> None:
    known = gap_of(SERIES, f"{DAY[0]} 04:00", f"{DAY[0]} 05:00", "outage", confirmed=True)
    gaps = explain_holes(times_without(4, 9), evidence(unlisted(), known=[known]))
    assert short(gaps) == [(4, 1, "outage", True), (9, 1, "unavailable", True)]
    assert gaps[1].next_try == AT + timedelta(hours=1)


def test_old_hole_of_a_pair_that_still_answers_is_what_the_answer_says() -> None:
    gaps = explain_holes(times_without(4), evidence(unlisted("answered")))
    assert short(gaps) == [(4, 1, "outage", True)]


def test_pair_of_which_nothing_was_ever_stored_has_not_ended() -> None:
    nothing = evidence(unlisted(), first=None, last=None, is_known=False)
    gaps = explain_holes(pl.Series([], dtype=TIME), nothing)
    assert short(gaps) == [(0, 24, "open", False)]


def test_timeframe_of_which_nothing_is_stored_ends_with_its_pair() -> None:
    gaps = explain_holes(pl.Series([], dtype=TIME), evidence(unlisted(), first=None, last=None))
    assert short(gaps) == [(0, 24, "after_delisting", True)]
