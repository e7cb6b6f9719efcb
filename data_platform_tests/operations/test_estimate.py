from datetime import timedelta
from itertools import product

import pytest

from data_platform.operations.estimate import (
    BYTES_PER_CANDLE,
    Cost,
    estimate_coarser,
    estimate_update,
)
from data_platform.operations.lake import Lake
from data_platform_tests.factories import (
    candles_at,
    grid,
    partitions_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.venues import EXCHANGES, NOW, Venues, market, rules_of

MONTHS = ("2024-02", "2024-03")
FETCHED = [(exchange, timeframe) for exchange, timeframe in product(EXCHANGES, ("1m", "1h", "1d"))]


@pytest.mark.parametrize(("exchange", "timeframe"), FETCHED)
def test_an_update_makes_as_many_requests_as_were_foretold(
    venues: Venues, lake: Lake, exchange: str, timeframe: str
) -> None:
    partitions = partitions_of(market(exchange, timeframe), *MONTHS)
    foretold = estimate_update(lake, partitions, rules_of(partitions), NOW)
    venues.asked(exchange)
    report = venues.update(lake, partitions)
    made = venues.asked(exchange)
    assert not report.failures
    assert abs(made - foretold.requests) <= 0.05 * made, (made, foretold)
    again = estimate_update(lake, partitions, rules_of(partitions), NOW)
    assert again == Cost()


def test_several_holes_of_krakens_newest_candles_cost_one_request(lake: Lake) -> None:
    series = market("kraken", "1h")
    times = [at for at in grid("2024-03-01", "2024-03-15 10:00") if at.hour != 7]
    store_candles(lake, series, candles_at(times))
    months = partitions_of(series, "2024-03", "2024-03")
    cost = estimate_update(lake, months, rules_of(months), NOW)
    assert (cost.requests, cost.candles) == (1, 15)


def test_newest_candles_of_kraken_cost_one_request_and_older_ones_none(lake: Lake) -> None:
    old = partitions_of(market("kraken", "1m"), "2024-01", "2024-02")
    assert estimate_update(lake, old, rules_of(old), NOW).requests == 0
    running = partitions_of(market("kraken", "1m"), "2024-03", "2024-03")
    assert estimate_update(lake, running, rules_of(running), NOW).requests == 1


def test_a_tail_costs_its_missing_candles_and_one_page(lake: Lake) -> None:
    series = market("okx", "1m")
    partitions = partitions_of(series, "2024-03", "2024-03")
    store_candles(lake, series, candles_at(grid("2024-03-01", "2024-03-15 10:00", "1m")))
    assert estimate_update(lake, partitions, rules_of(partitions), NOW) == Cost(1, 7)


def test_derived_candles_cost_no_request(lake: Lake) -> None:
    series = series_of("coinbase", "BTC/USD", "4h")
    partitions = partitions_of(series, "2024-02", "2024-03")
    rules = rules_of(partitions)
    assert estimate_coarser(lake, partitions, rules, NOW) == Cost(0, 29 * 6 + 14 * 6 + 2)
    store_candles(lake, series, candles_at(grid("2024-02-01", "2024-03-01", "4h")))
    assert estimate_coarser(lake, partitions, rules, NOW) == Cost(0, 14 * 6 + 2)
    late = rules_of(partitions, start=time("2024-04-01"))
    assert estimate_coarser(lake, partitions, late, NOW) == Cost()


def test_cost_adds_up_and_tells_time_and_bytes() -> None:
    both = Cost(600, 1000) + Cost(600, 500)
    assert both == Cost(1200, 1500)
    assert both.duration(requests_per_minute=600) == timedelta(minutes=2)
    assert both.stored_bytes(["ohlcv"]) == 1500 * BYTES_PER_CANDLE["ohlcv"]
