from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from data_platform.domain.markets import Series
from data_platform.storage.ledger import GAP_SCHEMA, Gap, Ledger, Status
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import HOUR, JANUARY, at, series

LONG_AGO, FAR_AHEAD = at(-10_000), at(10_000)


def gap(
    start: int,
    end: int,
    status: Status = "open",
    *,
    confirmed: bool = True,
    of: Series | None = None,
    evidence: str = "",
) -> Gap:
    return Gap(of or series(), at(start), at(end), end - start, status, confirmed, evidence)


@pytest.fixture
def ledger(store: PartitionStore) -> Ledger:
    return Ledger(store.state)


def record(ledger: Ledger, start: int, end: int, *gaps: Gap, of: Series | None = None) -> None:
    with ledger._state.write() as connection:
        ledger.record(connection, of or series(), at(start), at(end), gaps)


def spans(ledger: Ledger, of: Series | None = None) -> list[tuple[int, int, str]]:
    found = ledger.gaps(of or series(), LONG_AGO, FAR_AHEAD)
    assert all(each.missing == HOUR.count(each.start, each.end) for each in found)
    return [(hours(each.start), hours(each.end), each.status) for each in found]


def hours(time: datetime) -> int:
    return (time - JANUARY.start) // HOUR.duration


def test_a_gap_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    whole = replace(gap(3, 5, "outage", evidence="empty page"), tries=2, next_try=at(99))
    record(ledger, 0, 10, whole)
    assert ledger.gaps(series(), at(0), at(10)) == [whole]


def test_recording_replaces_what_the_range_held(ledger: Ledger) -> None:
    record(ledger, 0, 10, gap(1, 2), gap(5, 7))
    record(ledger, 0, 10, gap(6, 7))
    assert spans(ledger) == [(6, 7, "open")]
    record(ledger, 0, 10)
    assert spans(ledger) == []


def test_rows_over_the_edge_are_cut(ledger: Ledger) -> None:
    record(ledger, 0, 30, gap(5, 25))
    record(ledger, 10, 20, gap(12, 13, "refused"))
    assert spans(ledger) == [(5, 10, "open"), (12, 13, "refused"), (20, 25, "open")]


def test_touching_rows_of_one_status_are_joined_across_months(ledger: Ledger) -> None:
    month = HOUR.count(JANUARY.start, JANUARY.end)
    record(ledger, 0, month, gap(month - 3, month, evidence="page of January"))
    record(ledger, month, month + 700, gap(month, month + 2, evidence="page of February"))
    assert spans(ledger) == [(month - 3, month + 2, "open")]
    (joined,) = ledger.gaps(series(), at(month), at(month + 1))
    assert joined.evidence == "page of January; page of February"
    record(ledger, month, month + 700, gap(month, month + 2, evidence="page of February"))
    assert ledger.gaps(series(), at(0), at(month + 1))[0].evidence == joined.evidence


def test_touching_rows_that_say_different_things_stay_apart(ledger: Ledger) -> None:
    record(ledger, 0, 10, gap(1, 3), gap(3, 5, "outage"), gap(5, 7, "outage", confirmed=False))
    assert [span[:2] for span in spans(ledger)] == [(1, 3), (3, 5), (5, 7)]


def test_recording_the_same_again_changes_nothing(ledger: Ledger) -> None:
    gaps = (gap(1, 3), gap(6, 9, "no_trades"))
    for _ in range(3):
        record(ledger, 0, 10, *gaps)
    assert spans(ledger) == [(1, 3, "open"), (6, 9, "no_trades")]


def test_a_joined_gap_behind_the_newest_candle_is_due_when_one_half_is(ledger: Ledger) -> None:
    later = replace(gap(1, 3), next_try=at(50), tries=3, confirmed=True)
    record(ledger, 0, 10, later, replace(gap(3, 5), next_try=at(40), confirmed=True))
    (joined,) = ledger.gaps(series(), at(0), at(10))
    assert (joined.next_try, joined.tries) == (at(40), 3)
    record(ledger, 5, 10, replace(gap(5, 6), confirmed=True))
    assert ledger.gaps(series(), at(0), at(10))[0].next_try is None


@pytest.mark.parametrize("status", ["open", "refused"])
def test_a_joined_gap_of_which_a_part_was_asked_for_in_vain_waits(
    ledger: Ledger, status: Status
) -> None:
    once = replace(gap(1, 3, status, confirmed=False), next_try=at(50), tries=2)
    again = replace(gap(3, 5, status, confirmed=False), next_try=at(40), tries=1)
    record(ledger, 0, 10, once, again)
    (joined,) = ledger.gaps(series(), at(0), at(10))
    assert (joined.next_try, joined.tries) == (at(50), 2)


def test_a_joined_hole_that_was_believed_waits_for_its_latest_confirmation(ledger: Ledger) -> None:
    once = replace(gap(1, 3, "before_listing"), next_try=at(40), tries=1)
    again = replace(gap(3, 5, "before_listing"), next_try=at(64), tries=2)
    record(ledger, 0, 10, once, again, gap(5, 6, "before_listing"))
    (joined,) = ledger.gaps(series(), at(0), at(10))
    assert (joined.start, joined.end) == (at(1), at(6))
    assert (joined.next_try, joined.tries) == (at(64), 2)


def test_other_series_are_left_alone(ledger: Ledger) -> None:
    other = series(exchange="okx")
    record(ledger, 0, 10, gap(1, 3, of=other), of=other)
    record(ledger, 0, 10)
    assert spans(ledger, other) == [(1, 3, "open")]


def test_gaps_that_overlap_a_range_are_whole_and_filtered(ledger: Ledger) -> None:
    record(ledger, 0, 30, gap(1, 3), gap(8, 12, "outage"), gap(20, 21))
    assert [g.start for g in ledger.gaps(series(), at(10), at(20))] == [at(8)]
    assert ledger.gaps(series(), at(3), at(8)) == []
    assert [g.start for g in ledger.gaps(series(), at(0), at(30), {"outage"})] == [at(8)]


def test_gaps_of_an_exchange_as_a_frame(ledger: Ledger) -> None:
    other = series(pair="ETH/USDT")
    record(ledger, 0, 10, gap(1, 3), gap(5, 6, "no_trades"))
    record(ledger, 0, 10, gap(2, 4, of=other), of=other)
    frame = ledger.gaps_of("binance", HOUR, {"open"})
    assert frame.schema == GAP_SCHEMA
    assert frame.select("pair", "start", "end", "missing").rows() == [
        ("BTC-USDT", at(1), at(3), 2),
        ("ETH-USDT", at(2), at(4), 2),
    ]
    assert ledger.gaps_of("binance").height == 3
    assert ledger.gaps_of("binance", due_by=at(99)).is_empty()
    record(ledger, 20, 30, replace(gap(21, 22), next_try=at(40)))
    assert ledger.gaps_of("binance", due_by=at(39)).is_empty()
    assert ledger.gaps_of("binance", due_by=at(40))["start"].to_list() == [at(21)]
    assert ledger.gaps_of("okx").equals(GAP_SCHEMA.to_frame())


def test_random_records_agree_with_a_plain_list(ledger: Ledger) -> None:
    import random

    shuffled = random.Random(11)
    truth: dict[int, str] = {}
    statuses: tuple[Status, ...] = ("open", "no_trades", "outage")
    for _ in range(60):
        start = shuffled.randrange(0, 60)
        end = start + shuffled.randrange(1, 25)
        said = {
            hour: shuffled.choice(statuses) for hour in range(start, end) if shuffled.random() < 0.6
        }
        record(ledger, start, end, *(gap(hour, hour + 1, said[hour]) for hour in said))
        truth = {hour: word for hour, word in truth.items() if not start <= hour < end} | said
        held = {hour: word for first, last, word in spans(ledger) for hour in range(first, last)}
        assert held == truth
    ends = pl.DataFrame(spans(ledger), schema=["start", "end", "status"], orient="row")
    touching = ends.filter(
        (pl.col("start") == pl.col("end").shift(1))
        & (pl.col("status") == pl.col("status").shift(1))
    )
    assert touching.is_empty()
