from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from data_platform.domain.periods import Period
from data_platform.storage.ledger import Gap, Ledger, Status
from data_platform.storage.ledger_runs import judge_again
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import HOUR, JANUARY, at, candles, commit, partition, series

MONTH = HOUR.count(JANUARY.start, JANUARY.end)


@pytest.fixture
def ledger(store: PartitionStore) -> Ledger:
    return Ledger(store.state)


def gap(start: int, end: int, status: Status = "open", *, confirmed: bool = True) -> Gap:
    return Gap(series(), at(start), at(end), end - start, status, confirmed, "")


def record(ledger: Ledger, *gaps: Gap) -> None:
    with ledger._state.write() as connection:
        for each in gaps:
            ledger.record(connection, series(), each.start, each.end, [each])


def spans(ledger: Ledger) -> list[tuple[int, int, str]]:
    def hours(time: datetime) -> int:
        return (time - JANUARY.start) // HOUR.duration

    found = ledger.gaps(series(), at(-10_000), at(10_000))
    return [(hours(each.start), hours(each.end), each.status) for each in found]


def call_all_outage(run: Sequence[Gap], _first: datetime, _last: datetime) -> list[Gap]:
    """Judge every row that is not a repaired one an outage."""
    return [each if each.status == "repaired" else replace(each, status="outage") for each in run]


def judge(ledger: Ledger, *seams: int) -> int:
    return len(judge_again(ledger._state, series(), [at(seam) for seam in seams], call_all_outage))


def test_hole_behind_the_first_candle_is_judged_without_a_seam(
    store: PartitionStore, ledger: Ledger
) -> None:
    record(ledger, gap(2, 4), gap(6, 8, "before_listing"), gap(9, 10, "no_trades"))
    commit(store, candles([0, 1, 4, 5, 8]))
    assert judge(ledger) == 2
    assert spans(ledger) == [(2, 4, "outage"), (6, 8, "outage"), (9, 10, "no_trades")]
    assert judge(ledger) == 0


def test_what_no_answer_confirmed_and_what_lies_before_the_first_candle_is_not_judged(
    store: PartitionStore, ledger: Ledger
) -> None:
    record(ledger, gap(-2, 1, "before_listing"), gap(3, 4, confirmed=False), gap(5, 6, "refused"))
    commit(store, candles([1, 2, 4, 6]))
    assert judge(ledger) == 0


def test_nothing_is_judged_before_a_candle_is_stored(ledger: Ledger) -> None:
    record(ledger, gap(2, 4))
    assert judge(ledger, 2, 4) == 0


@pytest.mark.parametrize("seam", [4, 6, 8])
def test_rows_that_touch_are_one_run_whatever_they_say(
    store: PartitionStore, ledger: Ledger, seam: int
) -> None:
    record(ledger, gap(4, 6, "no_trades"), gap(6, 8, "outage"), gap(9, 11, "no_trades"))
    commit(store, candles([0, 3, 8, 11]))
    assert judge(ledger, seam) == 1
    assert spans(ledger) == [(4, 8, "outage"), (9, 11, "no_trades")]


def test_long_chain_is_followed_to_its_end(store: PartitionStore, ledger: Ledger) -> None:
    statuses: list[Status] = ["no_trades", "unavailable"] * 5
    record(ledger, *(gap(2 + n, 3 + n, status) for n, status in enumerate(statuses)))
    commit(store, candles([0, 1, 12]))
    assert judge(ledger, 2) == 10
    assert spans(ledger) == [(2, 12, "outage")]


def test_run_over_the_turn_of_the_month_is_judged_as_one(
    store: PartitionStore, ledger: Ledger
) -> None:
    record(ledger, gap(MONTH - 2, MONTH, "no_trades"), gap(MONTH, MONTH + 2))
    commit(store, candles([MONTH - 3]))
    february = Period(2024, 2)
    commit(store, candles([2], period=february), partition(period=february))
    assert judge(ledger, MONTH) == 2
    assert spans(ledger) == [(MONTH - 2, MONTH + 2, "outage")]


def test_seam_in_the_middle_of_candles_finds_nothing(store: PartitionStore, ledger: Ledger) -> None:
    record(ledger, gap(6, 8, "no_trades"))
    commit(store, candles([0, 1, 2, 3, 4, 5, 8]))
    assert judge(ledger, 2, 5) == 0


def test_other_series_are_left_alone(store: PartitionStore, ledger: Ledger) -> None:
    record(ledger, gap(2, 4))
    commit(store, candles([0, 1, 4]))
    other = series(exchange="okx")
    assert judge_again(ledger._state, other, [at(2)], call_all_outage) == []
    assert spans(ledger) == [(2, 4, "open")]
