"""One message when an alarm begins, one when it grows worse, one when it is over."""

from dataclasses import replace
from datetime import timedelta

import pytest

from data_platform.domain.alerts import Alarm, Alert
from data_platform.storage.alert_book import AlertBook
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import utc

NOON = utc(2024, 1, 1, 12)
MINUTE = timedelta(minutes=1)
QUIET = 2 * MINUTE
BTC = Alarm("score_low", "high", "okx", "okx/BTC-USDT", "okx/BTC-USDT/1h", "low", "none", True)
ETH = replace(BTC, market="okx/ETH-USDT", subject="okx/ETH-USDT/1h")


@pytest.fixture
def book(store: PartitionStore) -> AlertBook:
    return AlertBook(store.state)


def look(book: AlertBook, minute: int, *alarms: Alarm) -> list[Alert]:
    return book.note(alarms, NOON + minute * MINUTE, QUIET, ["lines", "a"])


def test_alarm_that_lasts_gives_one_message(book: AlertBook) -> None:
    [first] = look(book, 0, BTC)
    assert (first.alarm, first.timestamp) == (BTC, NOON)
    assert [look(book, minute, BTC) for minute in range(1, 60)] == [[]] * 59
    [ringing] = book.ringing()
    assert (ringing.began_at, ringing.seen_at) == (NOON, NOON + 59 * MINUTE)


def test_alarm_that_is_over_is_told_after_a_quiet_time_with_the_same_id(book: AlertBook) -> None:
    [first] = look(book, 0, BTC)
    look(book, 10, BTC)
    assert look(book, 11) == []
    [over] = look(book, 12)
    assert (over.alert_id, over.alarm.severity, over.alarm.escalate) == (
        first.alert_id,
        "info",
        False,
    )
    assert over.alarm.message == "Over, after 0:10:00: low"
    assert book.ringing() == []
    assert look(book, 13) == []


def test_alarm_that_comes_and_goes_gives_one_message(book: AlertBook) -> None:
    assert [len(look(book, minute, *[BTC] * (minute % 2 == 0))) for minute in range(20)] == [
        1,
        *[0] * 19,
    ]


def test_alarm_that_returns_later_is_a_new_one(book: AlertBook) -> None:
    [first] = look(book, 0, BTC)
    look(book, 5)
    [second] = look(book, 6, BTC)
    assert second.alert_id != first.alert_id
    assert [it.ended_at for it in book.newest(5)] == [None, NOON + 5 * MINUTE]


def test_worse_is_told_better_is_not(book: AlertBook) -> None:
    [first] = look(book, 0, BTC)
    critical = replace(BTC, severity="critical", message="very low")
    [worse] = look(book, 1, critical)
    assert (worse.alert_id, worse.alarm.severity, worse.alarm.message) == (
        first.alert_id,
        "critical",
        "very low",
    )
    assert look(book, 2, BTC) == []
    assert look(book, 3, critical) == []
    [ringing] = book.ringing()
    assert ringing.alarm.severity == "critical"


def test_each_subject_rings_for_itself(book: AlertBook) -> None:
    assert [it.alarm for it in look(book, 0, ETH, BTC)] == [BTC, ETH]
    [over] = look(book, 9, BTC)
    assert over.alarm.subject == ETH.subject


def test_message_stays_due_by_each_way_until_it_has_gone_out(book: AlertBook) -> None:
    [first] = look(book, 0, BTC)
    lines = book.due("lines")
    assert [it.content for it in lines] == [first.to_object()]
    book.done(lines)
    assert book.due("lines") == []
    assert [it.content for it in book.due("a")] == [first.to_object()]
    assert book.drop_ways(["lines", "a"]) == 0
    assert book.drop_ways(["lines"]) == 1
    assert book.due("a") == []
