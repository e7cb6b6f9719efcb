"""What every exchange may do to a request over real HTTP: its class, its decision, nothing lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
)
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.answer_faults import ANSWER_FAULTS
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import Simulator, run_simulator
from data_platform.sources.base import FetchRequest, FetchResult
from data_platform.sources.breaker import MemoryBreakers
from data_platform.sources.ccxt_source import CcxtSource
from data_platform_tests.quotes import QUOTES
from data_platform_tests.sources.wire import access_to

NOW = datetime(2024, 6, 12, 13, 37, 25, tzinfo=UTC)
START = datetime(2024, 6, 12, 6, tzinfo=UTC)
"""Within kraken's reach."""
HOUR = timedelta(hours=1)
EXCHANGES = tuple(QUOTES)

AGAIN: dict[str, type[SourceError]] = {
    "http_500": TransientError,
    "http_502_html": TransientError,
    "http_503_html": TransientError,
    "http_500_json": TransientError,
    "binance_500_code_1000": TransientError,
    "maintenance": TransientError,
    "connection_reset": TransientError,
    "closed_without_answer": TransientError,
    "body_cut_short": TransientError,
    "stall": TransientError,
    "slow_drip": TransientError,
    "http_429": RefusedError,
    "http_429_retry_after": RefusedError,
    "http_429_retry_date": RefusedError,
    "redirect": GarbageError,
    "truncated_json": GarbageError,
    "html_200": GarbageError,
    "empty_body": GarbageError,
    "bare_nan": GarbageError,
    "huge_gzip": GarbageError,
}
"""Asked for again, three times in all."""

OPTIONS = {
    "http_429_retry_after": {"seconds": 1},
    "http_429_retry_date": {"seconds": 1},
    "huge_gzip": {"megabytes": 64},
}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    exchanges = {name: SimulatedExchange(name, (series_of(name).pair,)) for name in EXCHANGES}
    with run_simulator(SimulatorConfig(exchanges, seed=7, clock=NOW)) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.faults.clear()


def series_of(exchange: str) -> Series:
    return Series(exchange, Pair(f"BTC/{QUOTES[exchange]}"), to_timeframe("1m"))


def fetch(simulator: Simulator, exchange: str, fault: str = "") -> tuple[list[FetchResult], int]:
    is_slow = fault in {"stall", "slow_drip"}
    url = f"{simulator.url}/{exchange}"
    access = access_to(url, exchange_row(exchange), timeout=0.3 if is_slow else 5)
    source = CcxtSource(access)
    try:
        results = list(source.fetch([FetchRequest(series_of(exchange), START, START + HOUR)]))
        return results, source.requests_made
    finally:
        source.close()


def test_r15_every_fault_of_an_answer_has_its_decision() -> None:
    others = {"http_403_html", "http_451", "http_418_ban", "skewed_clock"}
    assert {fault.name for fault in ANSWER_FAULTS} == {*AGAIN, *others}


ONE_ALONE = ("http_429_retry_date", "binance_500_code_1000")
"""Dates are whole seconds, which makes that one slow; its header is read by one code for all."""
TRIED = [
    (fault, exchange)
    for fault in AGAIN
    for exchange in (EXCHANGES if fault not in ONE_ALONE else ("binance",))
]


@pytest.mark.parametrize(("fault", "exchange"), TRIED)
def test_r15_passing_fault_costs_nothing_and_a_lasting_one_is_never_no_candles(
    simulator: Simulator, fault: str, exchange: str
) -> None:
    options = OPTIONS.get(fault, {})
    simulator.faults.add(fault, exchange=exchange, endpoint="ohlcv", first=1, **options)
    results, made = fetch(simulator, exchange, fault)
    assert made == 2
    assert [result.window.outcome for result in results] == ["answered"]
    truth = simulator.candles(series_of(exchange), START, START + HOUR)
    assert pl.concat([result.candles for result in results]).equals(truth)

    simulator.faults.clear()
    simulator.faults.add(fault, exchange=exchange, endpoint="ohlcv", **options)
    results, made = fetch(simulator, exchange, fault)
    assert made == 3
    assert [type(result.window.error) for result in results] == [AGAIN[fault]]
    assert all(result.candles.is_empty() for result in results)
    assert simulator.scorer.scores()[exchange].followed == 0


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_r33_a_redirect_to_another_host_is_not_followed(
    simulator: Simulator, exchange: str
) -> None:
    simulator.faults.add("redirect", exchange=exchange)
    results, _ = fetch(simulator, exchange)
    assert [type(result.window.error) for result in results] == [GarbageError]
    assert simulator.scorer.scores()[exchange].followed == 0


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("fault", ["http_403_html", "http_451"])
def test_r15_exchange_that_shuts_this_network_out_is_asked_once(
    simulator: Simulator, exchange: str, fault: str
) -> None:
    simulator.faults.add(fault, exchange=exchange, endpoint="ohlcv")
    results, made = fetch(simulator, exchange)
    assert made == 1
    [error] = [result.window.error for result in results]
    # bybit says 403 when it was asked too often, and then for ten minutes.
    is_ban = (exchange, fault) == ("bybit", "http_403_html")
    assert type(error) is (RefusedError if is_ban else PermanentError)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_r16_nothing_is_sent_before_the_time_that_was_asked_for(
    simulator: Simulator, exchange: str
) -> None:
    early = simulator.scorer.scores()[exchange].early
    simulator.faults.add(
        "http_429_retry_after", exchange=exchange, endpoint="ohlcv", first=1, seconds=1
    )
    started = datetime.now(UTC)
    fetch(simulator, exchange)
    assert datetime.now(UTC) - started >= timedelta(seconds=1)
    assert simulator.scorer.scores()[exchange].early == early


def test_r16_ban_of_one_exchange_stops_every_later_source_of_it_and_no_other() -> None:
    exchanges = {name: SimulatedExchange(name, (series_of(name).pair,)) for name in EXCHANGES}
    with run_simulator(SimulatorConfig(exchanges, seed=7, clock=NOW)) as simulator:
        simulator.faults.add(
            "http_418_ban", exchange="binance", endpoint="ohlcv", first=1, seconds=3600
        )
        results, made = fetch(simulator, "binance")
        assert made == 1
        [error] = [result.window.error for result in results]
        assert isinstance(error, RefusedError)
        assert error.until
        assert timedelta(minutes=59) < error.until - datetime.now(UTC) < timedelta(minutes=61)
        for _ in range(3):
            results, made = fetch(simulator, "binance")
            assert made == 0
            assert f"until {error.until:%Y-%m-%d %H:%M}" in str(results[0].window.error)
        assert simulator.scorer.scores()["binance"].banned == 1
        assert simulator.scorer.scores()["binance"].early == 0
        for name in ("okx", "coinbase"):
            results, _ = fetch(simulator, name)
            assert [result.window.outcome for result in results] == ["answered"]


def test_r16_outage_opens_the_breaker_for_all_and_one_request_closes_it(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_platform.sources.breaker.FIRST_PAUSE", timedelta(seconds=1))
    store = MemoryBreakers()
    simulator.faults.add("http_503_html", exchange="okx")
    access = access_to(f"{simulator.url}/okx", exchange_row("okx"))
    sources = [CcxtSource(access, store) for _ in range(4)]
    for source in sources[:3]:
        with pytest.raises(TransientError, match="HTTP 503"):
            source.now()
    asked = simulator.scorer.scores()["okx"].requests
    with pytest.raises(TransientError, match=r"not asked, because okx is not asked since .*503"):
        sources[3].now()
    assert simulator.scorer.scores()["okx"].requests == asked
    assert store.read("okx").state == "open"

    simulator.faults.clear()
    until = store.read("okx").until
    while until and datetime.now(UTC) < until:
        pass
    assert sources[3].now() >= NOW
    assert simulator.scorer.scores()["okx"].requests == asked + 1
    assert store.read("okx").state == "closed"
    for source in sources:
        source.close()
