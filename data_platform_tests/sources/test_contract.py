"""What every exchange must hold, through the unmodified ccxt client over real HTTP."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA, closed_before
from data_platform.domain.errors import PermanentError
from data_platform.domain.exchanges import EXCHANGES, Exchange, exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import Simulator, run_simulator
from data_platform.sources.base import FetchRequest, FetchResult
from data_platform.sources.ccxt_source import CcxtSource
from data_platform_tests.factories import candles_at
from data_platform_tests.quotes import QUOTES
from data_platform_tests.sources.wire import access_to

# In the middle of a candle of every timeframe, and not near the end of one.
NOW = datetime(2024, 6, 12, 13, 37, 25, tzinfo=UTC)
LISTED = datetime(2024, 6, 3, 5, 17, tzinfo=UTC)
GRACE = timedelta(seconds=5)
MINUTE = to_timeframe("1m")
THIN = {"THIN": (0.3, 0.02), "DEAD": (0.1, 0.002)}
THIN_START = datetime(2024, 4, 14, tzinfo=UTC)
REACHING = [exchange for exchange in EXCHANGES if exchange.since_meaning != "newest_only"]
ROWS = [
    (exchange, timeframe)
    for exchange in EXCHANGES
    for timeframe in TIMEFRAMES
    if timeframe.name not in exchange.derive
]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    exchanges = {
        name: SimulatedExchange(
            name,
            tuple(Pair(f"{base}/{quote}") for base in ("BTC", "DOGE", "NEW")),
            {Pair(f"NEW/{quote}"): LISTED},
        )
        for name, quote in QUOTES.items()
    }
    coinbase = exchanges["coinbase"]
    pairs = {base: Pair(f"{base}/USD") for base in THIN}
    exchanges["coinbase"] = replace(coinbase, pairs=(*coinbase.pairs, *pairs.values()))
    replay = {("coinbase", pairs[base], MINUTE): silent_market(*it) for base, it in THIN.items()}
    with run_simulator(SimulatorConfig(exchanges, seed=7, clock=NOW, replay=replay)) as running:
        yield running


def silent_market(busy: float, silent: float) -> pl.DataFrame:
    """Return minutes of a market that is busy for hours and then nearly silent for hours.

    The two numbers are the shares of minutes with a trade.
    """
    dice = random.Random(3)
    times, is_busy = [], True
    for number in range(MINUTE.count(THIN_START, MINUTE.floor(NOW))):
        is_busy = is_busy != (dice.random() < 1 / 200)
        if dice.random() < (busy if is_busy else silent):
            times.append(THIN_START + number * MINUTE.duration)
    return candles_at(times)


def series_of(exchange: Exchange, timeframe: Timeframe, base: str = "BTC") -> Series:
    return Series(exchange.name, Pair(f"{base}/{QUOTES[exchange.name]}"), timeframe)


def fetch(simulator: Simulator, *requests: FetchRequest) -> tuple[list[FetchResult], int]:
    name = requests[0].series.exchange
    before = simulator.candle_requests[name]
    access = access_to(f"{simulator.url}/{name}", exchange_row(name), concurrency=8)
    source = CcxtSource(access)
    results = list(source.fetch(requests))
    source.close()
    made = simulator.candle_requests[name] - before
    assert source.requests_made == made
    return results, made


def candles_of(results: list[FetchResult]) -> pl.DataFrame:
    return pl.concat([result.candles for result in results])


def span(results: list[FetchResult], outcome: str) -> tuple[datetime, datetime] | None:
    windows = [result.window for result in results if result.window.outcome == outcome]
    return (windows[0].start, windows[-1].end) if windows else None


@pytest.mark.parametrize(
    ("exchange", "timeframe"), ROWS, ids=lambda row: getattr(row, "name", None)
)
def test_whole_range_equals_what_the_exchange_has_to_the_last_bit(
    simulator: Simulator, exchange: Exchange, timeframe: Timeframe
) -> None:
    series = series_of(exchange, timeframe)
    end = closed_before(NOW, timeframe, GRACE)
    count = 700 if exchange.history_candles else 2 * exchange.page_size + 100
    start = end - count * timeframe.duration
    results, made = fetch(simulator, FetchRequest(series, start, end + timedelta(days=2)))
    candles, truth = candles_of(results), simulator.candles(series, start, end)
    assert truth.height > count * 0.7
    assert candles.schema == CANDLE_SCHEMA
    assert candles.equals(truth)
    assert made <= ceil(count / exchange.page_size)
    assert span(results, "answered") == (start, end)


@pytest.mark.parametrize("exchange", REACHING, ids=lambda exchange: exchange.name)
@pytest.mark.parametrize("base", ["BTC", "DOGE"])
def test_healthy_backfill_costs_no_request_more_than_its_pages(
    simulator: Simulator, exchange: Exchange, base: str
) -> None:
    series = series_of(exchange, to_timeframe("1m"), base)
    start, end = NOW - timedelta(days=20), NOW
    results, made = fetch(simulator, FetchRequest(series, MINUTE.ceil(start), MINUTE.floor(end)))
    assert candles_of(results).equals(simulator.candles(series, start, MINUTE.floor(end)))
    assert made == ceil(20 * 1440 / exchange.page_size)


@pytest.mark.parametrize("base", THIN)
def test_backfill_of_a_market_that_often_falls_silent_costs_two_in_a_hundred_more(
    simulator: Simulator, base: str
) -> None:
    series = Series("coinbase", Pair(f"{base}/USD"), MINUTE)
    truth = simulator.candles(series, THIN_START, NOW)
    results, made = fetch(simulator, FetchRequest(series, THIN_START, MINUTE.floor(NOW)))
    assert candles_of(results).equals(truth)
    pages = ceil(MINUTE.count(THIN_START, NOW) / 300)
    assert pages > 280
    assert made <= pages * 1.02 + 2


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_minutes_without_trades_come_as_the_row_says(
    simulator: Simulator, exchange: Exchange
) -> None:
    series = series_of(exchange, to_timeframe("1m"))
    end = closed_before(NOW, series.timeframe, GRACE)
    results, _ = fetch(simulator, FetchRequest(series, end - timedelta(hours=11), end))
    candles = candles_of(results)
    quiet = candles.filter(pl.col("volume") == 0).height
    omitted = 660 - candles.height
    assert (omitted > 0) == (exchange.quiet_candle == "omitted")
    assert quiet == 0 or exchange.quiet_candle == "flat"


@pytest.mark.parametrize(
    ("exchange", "timeframe"), ROWS, ids=lambda row: getattr(row, "name", None)
)
def test_r20_unfinished_candle_is_never_yielded(
    simulator: Simulator, exchange: Exchange, timeframe: Timeframe
) -> None:
    series = series_of(exchange, timeframe)
    open_time = timeframe.floor(NOW)
    request = FetchRequest(
        series, open_time - 20 * timeframe.duration, open_time + 3 * timeframe.duration
    )
    results, _ = fetch(simulator, request)
    newest = candles_of(results)["open_time"][-1]
    assert newest + timeframe.duration + GRACE <= NOW
    assert newest >= open_time - 4 * timeframe.duration
    assert results[-1].window.end == open_time


@pytest.mark.parametrize("exchange", REACHING, ids=lambda exchange: exchange.name)
def test_range_before_the_listing_is_answered_and_empty(
    simulator: Simulator, exchange: Exchange
) -> None:
    series = series_of(exchange, to_timeframe("15m"), "NEW")
    start, end = datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 6, 5, tzinfo=UTC)
    results, made = fetch(simulator, FetchRequest(series, start, end))
    truth = simulator.candles(series, start, end)
    assert 0 < truth.height < 200
    assert truth["open_time"][0] >= LISTED - timedelta(minutes=15)
    assert candles_of(results).equals(truth)
    assert span(results, "answered") == (start, end)
    assert {result.window.outcome for result in results} == {"answered"}
    planned = ceil(65 * 96 / exchange.page_size)
    # The page of the listing is asked twice: its head might have been cut off.
    assert made <= (2 if exchange.since_meaning == "next_rows" else planned + 1)


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_kraken_gives_its_newest_and_calls_the_rest_unavailable(
    simulator: Simulator, timeframe: Timeframe
) -> None:
    series = series_of(exchange_row("kraken"), timeframe)
    end = closed_before(NOW, timeframe, GRACE)
    start = end - 5000 * timeframe.duration
    results, made = fetch(simulator, FetchRequest(series, start, end))
    assert made == 1
    unavailable, answered = results
    assert (unavailable.window.outcome, answered.window.outcome) == ("unavailable", "answered")
    assert (unavailable.window.start, answered.window.end) == (start, end)
    assert unavailable.window.end == answered.window.start
    assert unavailable.candles.is_empty()
    assert 718 * timeframe.duration <= end - answered.window.start <= 721 * timeframe.duration
    truth = simulator.candles(series, answered.window.start, end)
    assert answered.candles.equals(truth)
    assert answered.candles["open_time"][0] == answered.window.start


def test_kraken_is_not_asked_for_what_is_out_of_its_reach(simulator: Simulator) -> None:
    series = series_of(exchange_row("kraken"), to_timeframe("1m"))
    request = FetchRequest(
        series, datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    )
    [result], made = fetch(simulator, request)
    assert made == 0
    assert result.window.outcome == "unavailable"
    assert (result.window.start, result.window.end) == (request.start, request.end)


def test_kraken_tail_is_answered_whole(simulator: Simulator) -> None:
    series = series_of(exchange_row("kraken"), to_timeframe("1m"))
    end = closed_before(NOW, series.timeframe, GRACE)
    start = end - timedelta(minutes=3)
    [result], made = fetch(simulator, FetchRequest(series, start, end))
    assert made == 1
    assert (result.window.start, result.window.end) == (start, end)
    assert result.candles.equals(simulator.candles(series, start, end))
    assert result.candles.height == 3


def test_coinbase_has_no_4h(simulator: Simulator) -> None:
    series = series_of(exchange_row("coinbase"), to_timeframe("4h"))
    request = FetchRequest(
        series, datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 6, 2, tzinfo=UTC)
    )
    [result], made = fetch(simulator, request)
    assert made == 0
    assert isinstance(result.window.error, PermanentError)
    assert "derive" in str(result.window.error)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_pair_that_is_unknown_there_spoils_no_other(
    simulator: Simulator, exchange: Exchange
) -> None:
    timeframe = to_timeframe("1h")
    end = closed_before(NOW, timeframe, GRACE)
    unknown = FetchRequest(series_of(exchange, timeframe, "NONE"), end - timedelta(days=90), end)
    good = FetchRequest(series_of(exchange, timeframe), end - timedelta(days=2), end)
    results, made = fetch(simulator, unknown, good)
    assert made == 1
    outcomes = {result.request: result.window.outcome for result in results}
    assert outcomes == {unknown: "failed", good: "answered"}


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_clock_is_the_exchanges(simulator: Simulator, exchange: Exchange) -> None:
    access = access_to(f"{simulator.url}/{exchange.name}", exchange)
    source = CcxtSource(access)
    now = source.now()
    source.close()
    assert NOW.replace(microsecond=0) <= now < NOW + timedelta(seconds=5)
    assert source.requests_made == 0
