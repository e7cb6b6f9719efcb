"""Answers that are valid and wrong, and clocks that are, from the wire into the lake."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.markets import Series
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport
from data_platform.operations.update import CandleUpdate
from data_platform.operations.watch import nobody_watches
from data_platform.simulator.page_faults import PAGE_FAULTS
from data_platform_tests.factories import GRACE, partitions_of, stored, time
from data_platform_tests.operations.venues import EXCHANGES, NOW, Venues, market, rules_of

START = time("2024-03-13 12:00")
MINUTE = timedelta(minutes=1)
DEPTH = {"kraken": 720}
"""Of how many candles an exchange has its newest only."""

MENDED = ("half_page", "duplicate_rows", "rows_outside", "unsorted_rows")
"""Candles come twice, too many, out of order or not at all: nothing is lost by it."""
REFUSED = ("null_price", "text_price", "nan_price", "infinite_price", "off_grid_row")
"""One row of a page is not true: it is refused, and no other."""
ASKED_AGAIN = ("bad_timestamp", "stale_page", "future_candle")
OTHERS = ("empty_page", "wrong_symbol")
"""An empty first page looks like the time before a listing: believed, and asked for again after an
hour. Rows of another pair look like those of this one: nothing tells."""


@pytest.fixture
def wild(venues: Venues) -> Iterator[Venues]:
    yield venues
    venues.simulator.faults.clear()


def update(
    venues: Venues, lake: Lake, series: Series, machine: timedelta = timedelta(0)
) -> LayerReport:
    """Update by a machine whose clock differs from the exchange's."""
    months = partitions_of(series, "2024-03", "2024-03")
    return CandleUpdate(
        lake,
        lambda: venues.open(series.exchange),
        rules_of(months, start=START),
        nobody_watches(),
        clock=lambda: venues.clock.now + machine,
    ).run(months)


def truth_of(venues: Venues, series: Series, now: datetime) -> pl.DataFrame:
    """Return what has closed by a time, of what the exchange still gives."""
    truth = venues.truth(series, START, now + timedelta(hours=1))
    closed = truth.filter(pl.col("open_time") + MINUTE + GRACE <= now)
    return closed.tail(DEPTH.get(series.exchange, closed.height))


def test_every_fault_of_a_page_is_among_these() -> None:
    assert {fault.name for fault in PAGE_FAULTS} == {*MENDED, *REFUSED, *ASKED_AGAIN, *OTHERS}


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("fault", MENDED)
def test_r17_partial_empty_and_overlapping_pages_lose_and_double_nothing(
    wild: Venues, lake: Lake, exchange: str, fault: str
) -> None:
    series = market(exchange, "1m")
    often = {"first": 1} if exchange == "kraken" else {"every": 3}
    wild.simulator.faults.add(fault, exchange=exchange, endpoint="ohlcv", **often)
    report = update(wild, lake, series)
    assert not report.failures
    assert all(order["applied"] for order in wild.simulator.faults.orders())
    found, truth = stored(lake, series), truth_of(wild, series, NOW)
    # A page of kraken's with rows too many gives three more of them, true ones.
    assert found.tail(truth.height).equals(truth)
    assert found.height - truth.height in ({0, 3} if exchange == "kraken" else {0})


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("often", [{"first": 1}, {"every": 4}], ids=["first", "middle"])
def test_r17_an_empty_page_among_others_is_no_gap_for_long(
    wild: Venues, lake: Lake, exchange: str, often: dict[str, int]
) -> None:
    series = market(exchange, "1m")
    wild.simulator.faults.add("empty_page", exchange=exchange, endpoint="ohlcv", **often)
    update(wild, lake, series)
    wild.simulator.faults.clear()
    wild.clock.now = NOW + timedelta(minutes=62)
    update(wild, lake, series)
    truth = truth_of(wild, series, wild.clock.now)
    assert stored(lake, series).tail(truth.height).equals(truth)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("fault", [*REFUSED, *ASKED_AGAIN])
def test_r15_no_row_that_is_not_true_is_stored(
    wild: Venues, lake: Lake, exchange: str, fault: str
) -> None:
    series = market(exchange, "1m")
    wild.simulator.faults.add(fault, exchange=exchange, endpoint="ohlcv", first=1)
    update(wild, lake, series)
    assert all(order["applied"] for order in wild.simulator.faults.orders())
    found, truth = stored(lake, series), truth_of(wild, series, NOW)
    lost = truth.join(found, on="open_time", how="anti").height
    assert found.join(truth, on="open_time", how="anti").is_empty() or exchange == "kraken"
    assert found.equals(truth.join(found.select("open_time"), on="open_time", how="semi"))
    assert lost == (1 if fault in REFUSED else 0)


@pytest.mark.parametrize("machine", [-120, 0, 120])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_r21_the_time_of_the_exchange_decides_what_has_closed(
    wild: Venues, lake: Lake, exchange: str, machine: int
) -> None:
    series, latest = market(exchange, "1m"), NOW
    whole = truth_of(wild, series, latest)
    # The exchange's own clock jumps back by two minutes, too.
    for moved in (0, 61, 300, -120, 30, 600):
        wild.clock.now += timedelta(seconds=moved)
        if wild.clock.now > latest:
            latest = wild.clock.now
            whole = truth_of(wild, series, latest)
        assert not update(wild, lake, series, timedelta(seconds=machine)).failures
        found = stored(lake, series)
        assert found["open_time"][-1] + MINUTE + GRACE <= latest
        known = whole.filter(pl.col("open_time") <= found["open_time"][-1])
        assert found.tail(known.height).equals(known)
        # A machine that is late asks late, and for what has closed by then.
        assert whole.height - known.height <= (3 if machine < 0 else 0)
