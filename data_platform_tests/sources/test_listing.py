"""Finding a listing by days, against simulated exchanges over real HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.errors import PermanentError
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import Simulator, run_simulator
from data_platform.sources.base import FetchRequest, FetchResult
from data_platform.sources.ccxt_client import CcxtClient
from data_platform.sources.ccxt_source import CcxtSource
from data_platform.sources.listing import is_worth_looking_for
from data_platform.sources.pages import Page
from data_platform_tests.quotes import QUOTES
from data_platform_tests.sources.wire import access_to

NOW = datetime(2024, 6, 12, 13, 37, 25, tzinfo=UTC)
LISTED = datetime(2024, 2, 11, 13, 37, tzinfo=UTC)
LISTED_DAY = datetime(2024, 2, 11, tzinfo=UTC)
START = datetime(2022, 2, 11, tzinfo=UTC)
END = LISTED_DAY + timedelta(days=1)
WINDOW = ("coinbase", "okx")


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    exchanges = {}
    for name in (*WINDOW, "binance"):
        pairs = tuple(Pair(f"{base}/{QUOTES[name]}") for base in ("BTC", "NEW"))
        exchanges[name] = SimulatedExchange(name, pairs, {pairs[1]: LISTED})
    with run_simulator(SimulatorConfig(exchanges, seed=7, clock=NOW)) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.faults.clear()


def series_of(exchange: str, timeframe: str = "1m", base: str = "NEW") -> Series:
    return Series(exchange, Pair(f"{base}/{QUOTES[exchange]}"), to_timeframe(timeframe))


def fetch(
    simulator: Simulator, series: Series, start: datetime = START, end: datetime = END
) -> tuple[list[FetchResult], int]:
    name = series.exchange
    source = CcxtSource(access_to(f"{simulator.url}/{name}", exchange_row(name), concurrency=8))
    results = list(source.fetch([FetchRequest(series, start, end)]))
    source.close()
    return results, source.requests_made


def check(
    simulator: Simulator, series: Series, results: list[FetchResult], start: datetime = START
) -> None:
    """Every candle came, and every time is in a window that was answered."""
    expected = simulator.candles(series, start, results[-1].window.end)
    assert pl.concat([result.candles for result in results]).equals(expected)
    edges = [result.window.start for result in results] + [results[-1].window.end]
    assert edges[0] == start
    assert [result.window.end for result in results] == edges[1:]
    assert {result.window.outcome for result in results} == {"answered"}


@pytest.mark.parametrize("exchange", WINDOW)
def test_two_years_of_minutes_before_a_listing_cost_some_ten_requests(
    simulator: Simulator, exchange: str
) -> None:
    series = series_of(exchange)
    results, made = fetch(simulator, series)
    check(simulator, series, results)
    # One page; days: two pages without a candle, each twice, and one with; five pages of the day,
    # of which the one that begins before the listing is doubted once.
    assert made <= 1 + 5 + 5 + 1
    (long,) = [it.window for it in results if it.window.end - it.window.start > timedelta(days=9)]
    assert long.end == LISTED_DAY
    assert long.evidence == "asked by days, there is no candle before 2024-02-11"


@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h", "1d"])
def test_every_timeframe_comes_whole(simulator: Simulator, timeframe: str) -> None:
    series = series_of("okx", timeframe)
    results, made = fetch(simulator, series, end=NOW)
    check(simulator, series, results)
    pages = series.timeframe.count(LISTED_DAY, NOW) // 300 + 1
    assert made <= pages + 9


@pytest.mark.parametrize("exchange", WINDOW)
def test_market_that_is_not_listed_yet_costs_its_days_alone(
    simulator: Simulator, exchange: str
) -> None:
    series = series_of(exchange)
    results, made = fetch(simulator, series, end=LISTED_DAY - timedelta(days=31))
    check(simulator, series, results)
    assert made == 1 + 2 * 3
    assert results[-1].window.evidence == "asked by days, there is no candle up to 2024-01-11"


@pytest.mark.parametrize("exchange", WINDOW)
def test_gap_after_the_listing_is_not_taken_for_it(simulator: Simulator, exchange: str) -> None:
    gap = (LISTED + timedelta(hours=3), LISTED + timedelta(days=40))
    simulator.faults.add("gap", exchange=exchange, start=gap[0], end=gap[1])
    series = series_of(exchange, "15m")
    results, _ = fetch(simulator, series, end=NOW)
    check(simulator, series, results)
    first = next(it for it in results if it.candles.height)
    assert first.candles["open_time"][0] < gap[0]


@pytest.mark.parametrize("exchange", WINDOW)
def test_range_that_begins_in_a_gap_is_walked_from_the_end_of_the_gap(
    simulator: Simulator, exchange: str
) -> None:
    start, end = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 8, 1, 7, 30, tzinfo=UTC)
    simulator.faults.add("gap", exchange=exchange, start=datetime(2022, 11, 3, tzinfo=UTC), end=end)
    series = series_of(exchange, "15m", "BTC")
    until = datetime(2023, 8, 3, tzinfo=UTC)
    results, made = fetch(simulator, series, start, until)
    check(simulator, series, results, start)
    assert made < 10


def test_empty_page_of_days_is_believed_only_when_it_is_told_twice(simulator: Simulator) -> None:
    series = series_of("okx")
    simulator.faults.add("empty_page", exchange="okx", first=2, endpoint="ohlcv")
    results, _ = fetch(simulator, series, LISTED_DAY - timedelta(days=20), END)
    check(simulator, series, results, LISTED_DAY - timedelta(days=20))


def test_answers_that_run_on_over_gaps_need_no_days(simulator: Simulator) -> None:
    series = series_of("binance")
    results, made = fetch(simulator, series)
    check(simulator, series, results)
    assert made <= 1 + 2
    (long,) = [it.window for it in results if it.window.end - it.window.start > timedelta(days=9)]
    assert long.evidence == "the exchange's next candle opens later"


def test_market_with_candles_at_once_is_not_looked_for(simulator: Simulator) -> None:
    series = series_of("okx", "1m", "BTC")
    results, made = fetch(simulator, series, END, END + timedelta(days=3))
    check(simulator, series, results, END)
    assert made == -(-3 * 1440 // 300)


def test_exchange_without_days_is_walked(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = CcxtClient.check

    def refuse_days(client: CcxtClient, series: Series) -> None:
        if series.timeframe.name == "1d":
            raise PermanentError("it has no days")
        known(client, series)

    monkeypatch.setattr(CcxtClient, "check", refuse_days)
    series, start = series_of("okx", "1h"), LISTED_DAY - timedelta(days=100)
    results, made = fetch(simulator, series, start)
    check(simulator, series, results, start)
    pages = 101 * 24 // 300 + 1
    assert pages <= made <= pages + 1


def test_days_that_fail_are_given_up(simulator: Simulator) -> None:
    series, start = series_of("okx", "1h"), LISTED_DAY - timedelta(days=100)
    # The first page is asked for, then days; ccxt's own name of a day's length is in the query.
    simulator.faults.add("http_500", exchange="okx", endpoint="ohlcv", every=2)
    results, _ = fetch(simulator, series, start)
    check(simulator, series, results, start)


@pytest.mark.parametrize(
    ("timeframe", "days", "expected"),
    [("1m", 2, True), ("1m", 0, False), ("1h", 30, False), ("1h", 60, True), ("1d", 5000, False)],
)
def test_days_are_asked_for_only_where_they_are_cheaper(
    timeframe: str, days: int, expected: bool
) -> None:
    page = Page(START, START + timedelta(days=days))
    assert is_worth_looking_for(page, to_timeframe(timeframe), 300) == expected
