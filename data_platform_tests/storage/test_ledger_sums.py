from pathlib import Path

import pytest

from data_platform.domain.candles import TimeRange
from data_platform.operations.lake import Lake
from data_platform.storage.ledger import Status
from data_platform.storage.ledger_sums import NewestGap
from data_platform_tests.factories import gap_of, lake_at, plant_gaps, series_of, time

SERIES = series_of()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    opened = lake_at(tmp_path)
    plant_gaps(
        opened,
        gap_of(SERIES, "2024-01-01", "2024-01-02", "no_trades", confirmed=True),
        gap_of(SERIES, "2024-01-31 20:00", "2024-02-01 04:00", "outage", confirmed=True),
        gap_of(SERIES, "2024-02-10", "2024-02-10 01:00", "open"),
    )
    return opened


@pytest.mark.parametrize(
    ("start", "end", "missing"),
    [
        ("2024-01-01", "2024-02-01", 28),
        ("2024-02-01", "2024-03-01", 5),
        ("2024-01-01 12:00", "2024-01-01 13:00", 1),
        ("2024-03-01", "2024-04-01", 0),
    ],
)
def test_gaps_are_summed_inside_the_range_only(
    lake: Lake, start: str, end: str, missing: int
) -> None:
    assert lake.sums.missing(SERIES, time(start), time(end)) == missing
    assert lake.sums.missing(series_of(pair="ETH/USDT"), time(start), time(end)) == 0


def test_what_was_repaired_is_no_hole_any_more(lake: Lake) -> None:
    plant_gaps(lake, gap_of(SERIES, "2024-02-20", "2024-02-25", "repaired", confirmed=True))
    assert lake.sums.missing(SERIES, time("2024-02-15"), time("2024-03-01")) == 0
    assert lake.sums.ranges(SERIES, time("2024-02-15"), time("2024-03-01")).is_empty()
    assert lake.sums.confirmed_until([SERIES]) == {SERIES: time("2024-02-01 04:00")}


def test_ranges_are_whole_in_order_and_of_the_wanted_status(lake: Lake) -> None:
    found = lake.sums.ranges(SERIES, time("2024-01-31 22:00"), time("2024-03-01"))
    assert found.select("start", "end", "status").rows() == [
        (time("2024-01-31 20:00"), time("2024-02-01 04:00"), "outage"),
        (time("2024-02-10"), time("2024-02-10 01:00"), "open"),
    ]
    quiet = lake.sums.ranges(SERIES, time("2024-01-01"), time("2024-03-01"), {"no_trades"})
    assert quiet.height == 1


def test_ranges_of_many_series_are_those_of_each_by_itself(lake: Lake) -> None:
    other = series_of(pair="ETH/USDT")
    plant_gaps(
        lake,
        gap_of(other, "2024-01-05", "2024-02-05", "no_trades", confirmed=True),
        gap_of(series_of(timeframe="1d"), "2024-01-03", "2024-02-05", "open"),
    )
    january = TimeRange(time("2024-01-01"), time("2024-02-01"))
    edge = TimeRange(time("2024-02-05"), time("2024-03-01"))
    none = TimeRange(time("2024-01-10"), time("2024-01-10"))
    series = (SERIES, other, series_of(pair="SOL/USDT"))
    wanted = [(each, span) for span in (january, edge, none) for each in series]
    statuses: list[Status] = ["no_trades", "open"]
    found = lake.sums.ranges_of_many(wanted, statuses)
    assert [frame.height for frame in found] == [1, 1, 0, 1, 0, 0, 0, 1, 0]
    for (each, span), frame in zip(wanted, found, strict=True):
        alone = lake.sums.ranges(each, span.start, span.end, statuses)
        assert frame.equals(alone)
        assert frame.schema == alone.schema
    assert lake.sums.ranges_of_many([], statuses) == []


def test_totals_are_of_each_series_and_status(lake: Lake) -> None:
    day = series_of(timeframe="1d")
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-02-20", "2024-02-20 05:00", "no_trades", confirmed=True),
        gap_of(SERIES, "2024-02-21", "2024-02-22", "repaired", confirmed=True),
        gap_of(day, "2024-02-20", "2024-02-22", "open"),
        gap_of(series_of("okx"), "2024-02-20", "2024-02-22", "open"),
    )
    found = lake.sums.totals("binance").sort("timeframe", "status")
    assert found.rows() == [
        ("1d", "BTC-USDT", "open", 1, 2, time("2024-02-20")),
        ("1h", "BTC-USDT", "no_trades", 2, 29, time("2024-02-20")),
        ("1h", "BTC-USDT", "open", 1, 1, time("2024-02-10")),
        ("1h", "BTC-USDT", "outage", 1, 8, time("2024-01-31 20:00")),
    ]
    assert lake.sums.totals("binance", day.timeframe).height == 1
    assert lake.sums.totals("kraken").is_empty()


def test_totals_are_read_from_an_index_alone(lake: Lake) -> None:
    plan = "EXPLAIN QUERY PLAN SELECT timeframe, pair, status, count(*), sum(missing), max(start)"
    query = f"{plan} FROM gaps WHERE exchange = 'binance' AND status != 'repaired' GROUP BY 1, 2, 3"
    with lake.state.read() as connection:
        [(*_, detail)] = connection.exec_driver_sql(query).all()
    assert detail == "SEARCH gaps USING COVERING INDEX gaps_status (exchange=?)"


def test_gaps_that_no_answer_confirmed_since_a_time(lake: Lake) -> None:
    other = series_of(pair="ETH/USDT")
    plant_gaps(lake, gap_of(SERIES, "2024-02-12", "2024-02-13", "open", confirmed=True))
    found = lake.sums.unconfirmed_since([SERIES, other], time("2024-02-10"))
    assert found == {SERIES: [TimeRange(time("2024-02-10"), time("2024-02-10 01:00"))]}
    assert lake.sums.unconfirmed_since([SERIES], time("2024-02-10 01:00")) == {}


def test_the_edge_is_the_end_of_the_newest_confirmed_gap(lake: Lake) -> None:
    other = series_of(pair="ETH/USDT")
    assert lake.sums.confirmed_until([SERIES, other]) == {SERIES: time("2024-02-01 04:00")}


def test_newest_gap_of_a_status_is_told_with_its_next_try(lake: Lake) -> None:
    again = time("2024-04-01")
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-03-01", "2024-03-02", "outage", confirmed=True, next_try=again),
    )
    other = series_of(pair="ETH/USDT")
    found = lake.sums.newest_gaps([SERIES, other], "outage")
    assert found == {SERIES: NewestGap(time("2024-03-01"), again)}
    assert lake.sums.newest_gaps([SERIES, other], "after_delisting") == {}


def test_gaps_inside_a_day_are_summed_and_longer_ones_told_one_by_one(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-01-05 01:00", "2024-01-05 03:00", "outage"),
        gap_of(SERIES, "2024-01-05 09:00", "2024-01-05 10:00", "outage"),
        gap_of(SERIES, "2024-01-05 12:00", "2024-01-05 13:00", "no_trades"),
        gap_of(SERIES, "2024-01-06 00:00", "2024-01-07 00:00", "outage"),
        gap_of(SERIES, "2024-01-07 22:00", "2024-01-09 02:00", "outage"),
        gap_of(SERIES, "2024-01-10 00:00", "2024-01-10 05:00", "repaired"),
    )
    rows = lake.sums.spread(SERIES.exchange).select("status", "start", "end", "missing").rows()
    assert rows == [
        ("outage", time("2024-01-05 01:00"), time("2024-01-05 10:00"), 3),
        ("no_trades", time("2024-01-05 12:00"), time("2024-01-05 13:00"), 1),
        ("outage", time("2024-01-06 00:00"), time("2024-01-07 00:00"), 24),
        ("outage", time("2024-01-07 22:00"), time("2024-01-09 02:00"), 28),
    ]


def test_a_sum_may_be_of_some_statuses_only(lake: Lake) -> None:
    january = time("2024-01-01"), time("2024-02-01")
    assert lake.sums.missing(SERIES, *january, {"no_trades"}) == 24
    assert lake.sums.missing(SERIES, *january, {"outage", "open"}) == 4
    assert lake.sums.missing(SERIES, *january, {"unavailable"}) == 0
