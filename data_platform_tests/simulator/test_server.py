import itertools
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import WrongUseError
from data_platform.domain.exchanges import EXCHANGES as EXCHANGE_ROWS
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import TIMEFRAMES, to_timeframe
from data_platform.simulator.fault_orders import to_order
from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.simulator.raw_http import RawAnswer, candles, get
from data_platform_tests.simulator.simulated import (
    EXCHANGES,
    LISTED,
    NOW,
    Client,
    Rows,
    at,
    config,
    ms,
    pair_of,
    rows_of,
    series_of,
    sync_client,
    with_client,
)

REACHING = [row.name for row in EXCHANGE_ROWS if not row.history_candles]
# Kraken sends the open candle on top of its 720.
PAGE_SIZES = {row.name: row.page_size + bool(row.history_candles) for row in EXCHANGE_ROWS}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with run_simulator(config()) as running:
        yield running


def wire_params(exchange: str, timeframe: str) -> dict[str, str]:
    # ccxt has no 4h on coinbase; the wire has.
    is_unknown = exchange == "coinbase" and timeframe == "4h"
    return {"granularity": "FOUR_HOUR"} if is_unknown else {}


@pytest.mark.parametrize("base", ["BTC", "LINK", "DOGE"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_ccxt_reads_every_timeframe_to_the_last_bit(
    simulator: Simulator, exchange: str, base: str
) -> None:
    symbol = pair_of(exchange, base).symbol

    async def ask(client: Client) -> dict[str, Rows]:
        await client.load_markets()
        return {
            frame.name: await client.fetch_ohlcv(
                symbol,
                frame.name,
                ms(frame.floor(NOW - 250 * frame.duration)),
                300,
                wire_params(exchange, frame.name),
            )
            for frame in TIMEFRAMES
        }

    answers = with_client(exchange, simulator.url, ask)
    for frame in TIMEFRAMES:
        series = series_of(exchange, frame.name, base)
        truth = simulator.candles(series, NOW - 251 * frame.duration, NOW)
        closed = [row for row in answers[frame.name] if row[0] + frame.ms <= ms(NOW)]
        assert closed == rows_of(truth), frame
        assert closed, frame


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_page_holds_as_many_candles_as_the_exchange_gives(
    simulator: Simulator, exchange: str
) -> None:
    since = ms(NOW - timedelta(days=3))
    symbol = pair_of(exchange).symbol

    async def ask(client: Client) -> Rows:
        return await client.fetch_ohlcv(symbol, "1m", since, 5000)

    rows = with_client(exchange, simulator.url, ask)
    quiet = 20 if exchange == "coinbase" else 0
    assert PAGE_SIZES[exchange] - quiet <= len(rows) <= PAGE_SIZES[exchange]
    times = [row[0] for row in rows]
    assert times == sorted(set(times))


@pytest.mark.parametrize("exchange", REACHING)
def test_walking_page_by_page_gives_the_whole_truth_once(
    simulator: Simulator, exchange: str
) -> None:
    start, end = at(2024, 2, 28, 23, 11), at(2024, 3, 1, 2, 5)
    size = PAGE_SIZES[exchange]

    async def ask(client: Client) -> list[Rows]:
        symbol = pair_of(exchange).symbol
        return [
            await client.fetch_ohlcv(symbol, "1m", since, size)
            for since in range(ms(start), ms(end), size * 60_000)
        ]

    pages = with_client(exchange, simulator.url, ask)
    truth = simulator.candles(series_of(exchange, "1m"), start, end)
    seams = [page[-1] == following[0] for page, following in itertools.pairwise(pages)]
    # Coinbase's window holds its end too: a page with a quiet minute has room for that candle.
    assert any(seams) == (exchange == "coinbase")
    rows = {row[0]: row for page in pages for row in page if row[0] < ms(end)}
    assert list(rows.values()) == rows_of(truth)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_markets_load_without_any_option_and_touch_no_other_host(
    simulator: Simulator, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts: list[str] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: tuple[str, int]) -> None:
        hosts.append(address[0])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    client = sync_client(exchange, simulator.url)
    markets = client.load_markets()
    wanted = {pair_of(exchange, base).symbol for base in ("BTC", "LINK", "DOGE")}
    assert set(markets) == wanted
    assert all(markets[symbol]["spot"] and markets[symbol]["active"] for symbol in wanted)
    assert client.price_to_precision(pair_of(exchange).symbol, 51_234.567_89).startswith("51234.")
    assert set(hosts) == {"127.0.0.1"}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_clock_is_the_configured_one(simulator: Simulator, exchange: str) -> None:
    now = with_client(exchange, simulator.url, lambda client: client.fetch_time())
    # Kraken and coinbase tell whole seconds.
    assert now in (ms(NOW), ms(NOW) // 1000 * 1000)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_sync_client_gets_the_same(simulator: Simulator, exchange: str) -> None:
    client = sync_client(exchange, simulator.url)
    since = ms(NOW - timedelta(hours=3)) // 60_000 * 60_000
    rows = client.fetch_ohlcv(pair_of(exchange).symbol, "1m", since, 100)
    truth = simulator.candles(series_of(exchange, "1m"), NOW - timedelta(hours=3, minutes=1), NOW)
    assert rows == [row for row in rows_of(truth) if row[0] >= since][: len(rows)]
    assert len(rows) > 90


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_ccxt_raises_its_own_error_for_an_unknown_pair(simulator: Simulator, exchange: str) -> None:
    import ccxt

    async def ask(client: Client) -> None:
        await client.load_markets()
        await client.fetch_ohlcv("NOPE/USDT", "1m")

    with pytest.raises(ccxt.BadSymbol):
        with_client(exchange, simulator.url, ask)


@pytest.mark.parametrize(
    ("exchange", "error"),
    [
        ("binance", "BadSymbol"),
        ("bybit", "BadSymbol"),
        ("okx", "BadSymbol"),
        ("kraken", "ExchangeError"),
        ("coinbase", "ExchangeError"),
    ],
)
def test_a_pair_unknown_on_the_wire_is_the_error_of_that_exchange(
    simulator: Simulator, exchange: str, error: str
) -> None:
    import ccxt

    async def ask(client: Client) -> None:
        await client.load_markets()
        symbol = pair_of(exchange).symbol
        client.markets[symbol]["id"] = "NOPE"
        await client.fetch_ohlcv(symbol, "1m", ms(NOW) - 600_000)

    with pytest.raises(getattr(ccxt, error), match=r"(?i)symbol|pair|product|instrument"):
        with_client(exchange, simulator.url, ask)


@pytest.mark.parametrize("exchange", REACHING)
def test_before_the_listing_there_is_nothing(simulator: Simulator, exchange: str) -> None:
    before = ms(LISTED - timedelta(days=1))

    async def ask(client: Client) -> Rows:
        return await client.fetch_ohlcv(pair_of(exchange, "LINK").symbol, "1m", before, 100)

    rows = with_client(exchange, simulator.url, ask)
    if exchange_row(exchange).since_meaning == "next_rows":
        assert rows[0][0] == ms(LISTED), "skips to the first candle"
    else:
        assert rows == []


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_on_the_real_clock_the_newest_candles_are_there(exchange: str) -> None:
    async def ask(client: Client) -> dict[str, Rows]:
        now = await client.fetch_time()
        return {
            frame.name: await client.fetch_ohlcv(
                pair_of(exchange).symbol,
                frame.name,
                now // frame.ms * frame.ms - 8 * frame.ms,
                300,
                wire_params(exchange, frame.name),
            )
            for frame in TIMEFRAMES
        }

    with run_simulator(config(clock=lambda: datetime.now(UTC))) as simulator:
        answers = with_client(exchange, simulator.url, ask)
        now = datetime.now(UTC)
        for frame in TIMEFRAMES:
            rows = answers[frame.name]
            series = series_of(exchange, frame.name)
            truth = rows_of(simulator.candles(series, now - 12 * frame.duration, now))
            # The last row was open when it was asked for and may have closed since.
            assert rows[:-1] == [row for row in truth if rows[0][0] <= row[0] < rows[-1][0]], frame
            assert len(rows) >= 5, frame
            assert ms(now) - rows[-1][0] < 3 * frame.ms, frame


def test_requests_for_candles_are_counted_and_others_are_not() -> None:
    with run_simulator(config()) as simulator:
        client = sync_client("kraken", simulator.url)
        client.load_markets()
        client.fetch_time()
        assert simulator.candle_requests == dict.fromkeys(EXCHANGES, 0)
        client.fetch_ohlcv("BTC/USD", "1m")
        client.fetch_ohlcv("LINK/USD", "1h")
        with urllib.request.urlopen(f"{simulator.url}/_score") as answer:  # noqa: S310
            scores = json.load(answer)
        score = {name: each["ohlcv_requests"] for name, each in scores.items()}
        assert score == simulator.candle_requests
        assert score == {**dict.fromkeys(EXCHANGES, 0), "kraken": 2}


@pytest.mark.parametrize("path", ["nowhere/api", "binance/api/v3/depth", ""])
def test_what_is_not_simulated_says_so(simulator: Simulator, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(f"{simulator.url}/{path}")  # noqa: S310
    caught.value.close()


def test_truth_holds_closed_candles_of_the_asked_range_only(simulator: Simulator) -> None:
    series = series_of("binance", "1h")
    truth = simulator.candles(series, at(2024, 3, 15, 7), at(2024, 4, 1))
    assert truth.schema == CANDLE_SCHEMA
    assert truth["open_time"].to_list() == [at(2024, 3, 15, hour) for hour in (7, 8, 9)]
    assert simulator.candles(series, at(2024, 3, 16), at(2024, 4, 1)).is_empty()


def test_truth_of_a_series_that_is_not_simulated_is_refused(simulator: Simulator) -> None:
    strange = Series("binance", Pair("NOPE/USDT"), to_timeframe("1m"))
    with pytest.raises(WrongUseError, match=r"binance/NOPE-USDT is not simulated. Known: binance"):
        simulator.candles(strange, at(2024, 3, 1), at(2024, 3, 2))


def test_a_replayed_series_reaches_ccxt_with_its_gaps_to_the_last_bit() -> None:
    times = pl.datetime_range(
        at(2024, 3, 14), at(2024, 3, 14, 5), "1m", time_unit="ms", time_zone="UTC", eager=True
    )
    given = pl.DataFrame(
        {"open_time": times, "open": 0.1 + 0.2, "high": 1e-7 + 1, "low": 1e-7, "close": 0.3}
    ).with_columns(volume=pl.int_range(pl.len()) / 7)
    gap = pl.col("open_time").is_between(at(2024, 3, 14, 1), at(2024, 3, 14, 2, 30))
    given = given.filter(~gap).select(CANDLE_SCHEMA.names())
    for exchange in REACHING:
        replay = {(exchange, pair_of(exchange), to_timeframe("1m")): given}

        async def ask(client: Client, name: str = exchange) -> Rows:
            rows: Rows = []
            for since in range(ms(at(2024, 3, 14)), ms(at(2024, 3, 14, 5, 1)), 300 * 60_000):
                rows += await client.fetch_ohlcv(pair_of(name).symbol, "1m", since, 300)
            return rows

        with run_simulator(config(replay=replay)) as simulator:
            rows = with_client(exchange, simulator.url, ask)
            truth = simulator.candles(series_of(exchange, "1m"), at(2024, 3, 1), NOW)
        unique = sorted({tuple(row) for row in rows})
        assert unique == [tuple(row) for row in rows_of(given)]
        assert truth.equals(given)


def test_a_port_in_use_fails_at_once(simulator: Simulator) -> None:
    port = int(simulator.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"), run_simulator(config(), port):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_prints_its_address_and_stops_on_a_signal(number: signal.Signals) -> None:
    code = (
        "from data_platform_tests.simulator.simulated import config\n"
        "from data_platform.simulator.server import serve\n"
        "serve(config(), 0)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[-1]
        assert line == f"simulator listening on {url}\n"
        with urllib.request.urlopen(f"{url}/_score") as answer:  # noqa: S310
            assert json.load(answer)["binance"]["requests"] == 0
        process.send_signal(number)
        rest, _ = process.communicate(timeout=10)
        assert (process.returncode, rest) == (0, "")
    finally:
        process.kill()
        process.wait()


def test_a_limit_that_is_not_switched_on_is_scored_only() -> None:
    with run_simulator(config()) as simulator:
        statuses = {candles(simulator.url, "coinbase", start=0, end=60).status for _ in range(40)}
        assert statuses == {200}
        score = simulator.scorer.scores()["coinbase"]
        assert score.windows["second"].most > score.windows["second"].allowed


def refused(simulator: Simulator, exchange: str, count: int) -> list[RawAnswer]:
    asked = {"start": 0, "end": 60} if exchange == "coinbase" else {"limit": 1}
    return [candles(simulator.url, exchange, **asked) for _ in range(count)]


@pytest.mark.parametrize(
    ("exchange", "values", "allowed", "status", "said"),
    [
        ("binance", {"weight": 10}, 5, 429, "Too much request weight used"),
        ("coinbase", {}, 15, 429, "rate_limit_exceeded"),
        ("okx", {}, 20, 429, "50011"),
        ("bybit", {"requests": 12}, 12, 403, "403, access too frequent"),
        ("kraken", {}, 15, 200, "EGeneral:Too many requests"),
    ],
)
def test_a_limit_refuses_in_the_exchanges_own_way(
    exchange: str, values: dict[str, float], allowed: int, status: int, said: str
) -> None:
    with run_simulator(replace(config(), limits={exchange: values})) as simulator:
        answers = refused(simulator, exchange, allowed + 3)
        good, bad = answers[:allowed], answers[allowed:]
        assert {answer.status for answer in good} == {200}
        assert not any(said in answer.body.decode() for answer in good)
        assert {answer.status for answer in bad} == {status}
        assert all(said in answer.body.decode() for answer in bad)
        score = simulator.scorer.scores()[exchange]
        assert score.rejected + score.banned == 3
        for name, amount in values.items():
            assert score.windows[name].allowed in (amount, 2 * amount)
        assert score.ohlcv_requests == allowed + 3


def test_binance_tells_the_weight_and_when_to_come_back_and_bans_who_does_not_listen() -> None:
    values = {"weight": 24.0, "seconds": 2.0, "ban_after": 3.0, "ban_seconds": 2.0}
    with run_simulator(replace(config(), limits={"binance": values})) as simulator:
        first = get(simulator.url, "binance/api/v3/exchangeInfo")
        assert first.headers["X-MBX-USED-WEIGHT-1M"] == "20"
        seen = [get(simulator.url, "binance/api/v3/time") for _ in range(4)]
        assert [answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in seen] == [
            *("21", "22", "23", "24")
        ]
        answers = refused(simulator, "binance", 4)
        assert [answer.status for answer in answers] == [429, 429, 418, 418]
        assert [answer.headers["Retry-After"] for answer in answers] == ["2", "2", "2", "2"]
        assert "IP banned until" in answers[2].body.decode()
        score = simulator.scorer.scores()["binance"]
        assert (score.rejected, score.banned, score.early) == (2, 2, 3)
        time.sleep(2.05)
        assert refused(simulator, "binance", 1)[0].status == 200


def test_okx_counts_each_endpoint_by_itself() -> None:
    with run_simulator(replace(config(), limits={"okx": {}})) as simulator:
        history = refused(simulator, "okx", 21)
        asked = {"instId": "BTC-USDT", "bar": "1m"}
        recent = [get(simulator.url, "okx/api/v5/market/candles", **asked) for _ in range(41)]
        assert [answer.status for answer in history] == [200] * 20 + [429]
        assert [answer.status for answer in recent] == [200] * 40 + [429]


def test_bybit_bans_at_once_for_as_long_as_is_configured() -> None:
    values = {"requests": 5.0, "seconds": 0.5, "ban_seconds": 0.8}
    with run_simulator(replace(config(), limits={"bybit": values})) as simulator:
        assert [answer.status for answer in refused(simulator, "bybit", 6)] == [200] * 5 + [403]
        assert get(simulator.url, "bybit/v5/market/time").status == 403
        time.sleep(0.85)
        assert refused(simulator, "bybit", 1)[0].status == 200
        assert simulator.scorer.scores()["bybit"].early == 1


def test_kraken_allows_about_one_a_second_and_says_more_to_who_keeps_asking() -> None:
    values = {"counter": 2.0, "seconds": 0.4, "ban_after": 3.0, "ban_seconds": 0.3}
    with run_simulator(replace(config(), limits={"kraken": values})) as simulator:
        bodies = [answer.body.decode() for answer in refused(simulator, "kraken", 5)]
        assert ["error" in body and "EGeneral" in body for body in bodies] == [
            *(False, False, True, True, False)
        ]
        assert "EAPI:Rate limit exceeded" in bodies[4]
        time.sleep(0.35)
        assert '"error":[]' in refused(simulator, "kraken", 1)[0].body.decode()


def test_faults_of_the_config_hold_from_the_first_request() -> None:
    order = to_order({"name": "http_500", "exchange": "okx", "first": 1})
    with run_simulator(replace(config(), faults=(order,))) as simulator:
        assert [answer.status for answer in refused(simulator, "okx", 2)] == [500, 200]


def test_a_fault_of_what_is_not_simulated_is_refused_at_the_start() -> None:
    order = to_order({"name": "http_500", "exchange": "mtgox"})
    with pytest.raises(WrongUseError, match="exchange 'mtgox' is not simulated"):
        Simulator(replace(config(), faults=(order,)))
