from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.storage.ledger import Gap, Ledger, Status
from data_platform.storage.ledger_months import Changes, LedgerMonths
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import at, series

JANUARY, FEBRUARY, MARCH = (Period(2024, month) for month in (1, 2, 3))
END = 31 * 24
"""Hours of January."""


def record(
    store: PartitionStore, start: int, end: int, *gaps: Gap, of: Series | None = None
) -> dict[Period, int]:
    with store.state.write() as connection:
        Ledger(store.state).record(connection, of or series(), at(start), at(end), gaps)
    found = LedgerMonths(store.state).of_series(of or series())
    return {period: changes.all for period, changes in found.items()}


def gap(
    start: int,
    end: int,
    status: Status = "open",
    evidence: str = "",
    of: Series | None = None,
) -> Gap:
    mine = of or series()
    return Gap(mine, at(start), at(end), end - start, status, confirmed=True, evidence=evidence)


def test_each_month_of_a_new_gap_counts_up(store: PartitionStore) -> None:
    assert record(store, 0, END + 100, gap(5, END + 1)) == {JANUARY: 1, FEBRUARY: 1}


def test_the_same_again_counts_nothing_whatever_the_evidence(store: PartitionStore) -> None:
    record(store, 0, 100, gap(5, 9))
    assert record(store, 0, 100, gap(5, 9, evidence="asked once more")) == {JANUARY: 1}
    assert record(store, 5, 7, gap(5, 7)) == {JANUARY: 1}


def test_another_status_and_another_length_count(store: PartitionStore) -> None:
    record(store, 0, 100, gap(5, 9))
    assert record(store, 0, 100, gap(5, 9, "outage")) == {JANUARY: 2}
    assert record(store, 0, 100, gap(5, 10, "outage")) == {JANUARY: 3}
    assert record(store, 0, 100) == {JANUARY: 4}


def test_a_long_gap_that_grows_counts_only_where_it_grew(store: PartitionStore) -> None:
    long = 3 * 31 * 24
    record(store, 0, long, gap(0, 40 * 24, "before_listing"))
    assert record(store, 0, long, gap(0, 61 * 24, "before_listing")) == {
        JANUARY: 1,
        FEBRUARY: 2,
        MARCH: 1,
    }


def test_what_was_repaired_is_no_hole_any_more(store: PartitionStore) -> None:
    record(store, 0, 100, gap(5, 9, "outage"))
    assert record(store, 0, 100, gap(5, 9, "repaired")) == {JANUARY: 2}
    assert record(store, 0, 100) == {JANUARY: 2}


def test_times_without_trades_are_counted_by_themselves(store: PartitionStore) -> None:
    def quiet() -> list[int]:
        return [it.quiet for it in LedgerMonths(store.state).of_series(series()).values()]

    record(store, 0, 100, gap(5, 9), gap(20, 30, "no_trades"))
    assert quiet() == [1]
    record(store, 0, 100, gap(5, 9, "outage"), gap(20, 30, "no_trades"))
    assert quiet() == [1]
    record(store, 0, 100, gap(5, 9, "no_trades"), gap(20, 30, "no_trades"))
    assert quiet() == [2]
    record(store, END, END + 10, gap(END, END + 5))
    assert quiet() == [2, 0]


def test_each_series_counts_for_itself(store: PartitionStore) -> None:
    other = series(pair="ETH/USDT")
    record(store, 0, 100, gap(5, 9))
    assert LedgerMonths(store.state).of_series(other) == {}
    record(store, 0, 100, gap(5, 9, of=other), of=other)
    found = LedgerMonths(store.state).of_exchange("binance")
    once = {JANUARY: Changes(1, 0)}
    assert found == {("1h", "BTC-USDT"): once, ("1h", "ETH-USDT"): once}
    assert LedgerMonths(store.state).of_exchange("okx") == {}
