from dataclasses import replace
from datetime import date, timedelta

import pytest

from data_platform.domain.periods import Period
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.verdicts import BASIS_SCHEMA, VERDICT_SCHEMA, VerdictRow, Verdicts
from data_platform_tests.storage.lake import DAY, HOUR, JANUARY, partition, utc

MONDAY = date(2024, 1, 1)


def verdict(rule: str, count: int, day: date = MONDAY) -> VerdictRow:
    return VerdictRow(rule, day, "error", count, 24, "[]", '{"limit": 5}', utc(2024))


@pytest.fixture
def verdicts(store: PartitionStore) -> Verdicts:
    return Verdicts(store.state)


def record(store: PartitionStore, *rows: VerdictRow, month: Period = JANUARY) -> None:
    with store.state.write() as connection:
        Verdicts(store.state).record(connection, partition(period=month), rows)


def test_a_verdict_comes_back(store: PartitionStore, verdicts: Verdicts) -> None:
    record(store, verdict("no_gaps", 3))
    frame = verdicts.newest("binance", "ohlcv", HOUR)
    assert frame.schema == VERDICT_SCHEMA
    assert frame.rows() == [
        (
            "BTC-USDT",
            "2024-01",
            "",
            "no_gaps",
            "2024-01-01",
            "error",
            3,
            24,
            "[]",
            '{"limit": 5}',
            "{}",
            utc(2024),
        )
    ]


def test_a_later_verdict_of_the_same_day_replaces_it(
    store: PartitionStore, verdicts: Verdicts
) -> None:
    record(store, verdict("no_gaps", 3), verdict("sane", 1))
    record(store, verdict("no_gaps", 0))
    frame = verdicts.newest("binance", "ohlcv", HOUR)
    assert frame.select("rule", "count").rows() == [("no_gaps", 0), ("sane", 1)]


def test_the_newest_day_counts_for_each_partition_and_rule(
    store: PartitionStore, verdicts: Verdicts
) -> None:
    record(store, verdict("no_gaps", 3, MONDAY + timedelta(days=9)))
    record(store, verdict("no_gaps", 7, MONDAY))
    record(store, verdict("no_gaps", 1, MONDAY), month=Period(2024, 2))
    frame = verdicts.newest("binance", "ohlcv", HOUR)
    assert frame.select("period", "count").rows() == [("2024-01", 3), ("2024-02", 1)]


def test_other_assets_have_their_own(store: PartitionStore, verdicts: Verdicts) -> None:
    record(store, verdict("no_gaps", 3))
    assert verdicts.newest("okx", "ohlcv", HOUR).is_empty()
    assert verdicts.newest("binance", "filled", HOUR).is_empty()
    assert verdicts.newest("binance", "ohlcv", DAY).is_empty()


def test_counts_are_those_of_the_newest_verdicts_of_some_rules(
    store: PartitionStore, verdicts: Verdicts
) -> None:
    tuesday = MONDAY + timedelta(days=1)
    record(store, verdict("agree", 3), verdict("agree", 1, tuesday), verdict("sane", 9))
    record(store, verdict("agree", 2), month=Period(2024, 2))
    names = ("timeframe", "period", "rule", "count", "checked")
    found = verdicts.counts("binance", ("agree", "other"))
    assert found.select(names).rows() == [
        ("1h", "2024-01", "agree", 1, 24),
        ("1h", "2024-02", "agree", 2, 24),
    ]
    since = verdicts.counts("binance", ("agree",), HOUR, Period(2024, 2))
    assert since["period"].to_list() == ["2024-02"]
    assert verdicts.counts("okx", ("agree",)).is_empty()
    assert verdicts.counts("binance", ("agree",), DAY).is_empty()


def test_the_newest_basis_of_each_partition_and_rule(
    store: PartitionStore, verdicts: Verdicts
) -> None:
    for day, basis in ((MONDAY + timedelta(days=9), "new"), (MONDAY, "old")):
        row = replace(verdict("agree", 0, day), basis=basis, measured_json='{"a": 1}')
        record(store, row, verdict("sane", 0, day))
    record(store, verdict("agree", 1), month=Period(2024, 2))
    found = verdicts.bases("binance", ["agree"])
    assert found.schema == BASIS_SCHEMA
    assert found.sort("period").rows() == [
        ("1h", "BTC-USDT", "2024-01", "agree", "new", utc(2024)),
        ("1h", "BTC-USDT", "2024-02", "agree", "", utc(2024)),
    ]
    since = verdicts.bases("binance", ["agree"], Period(2024, 2))
    assert since["period"].to_list() == ["2024-02"]
    assert verdicts.bases("okx", ["agree"]).is_empty()
    newest = verdicts.newest("binance", "ohlcv", HOUR)
    assert newest["measured_json"].to_list() == ['{"a": 1}', "{}", "{}"]
