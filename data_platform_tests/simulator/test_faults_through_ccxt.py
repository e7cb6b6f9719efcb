"""What the unmodified ccxt client makes of each fault: the traps, as facts of ccxt 4.5.90."""

import asyncio
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from data_platform.simulator.fault_orders import FAULTS
from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.simulator.simulated import (
    EXCHANGES,
    NOW,
    Client,
    at,
    config,
    moved,
    ms,
    pair_of,
    sync_client,
    with_client,
)

MINUTE = 60_000
ROWS = 10
# In the middle of the past; kraken gives its newest only.
SINCE = {name: ms(at(2024, 3, 15, 9)) for name in EXCHANGES}
SINCE["kraken"] = ms(NOW) // MINUTE * MINUTE - (ROWS - 1) * MINUTE

OPTIONS: Mapping[str, dict[str, object]] = {
    "http_418_ban": {"seconds": 0.1},
    "huge_gzip": {"megabytes": 5},
    "slow_drip": {"seconds": 0.2},
    "skewed_clock": {"seconds": 60},
    "gap": {"start": at(2024, 3, 15, 9), "end": at(2024, 3, 15, 9, 4)},
    "correction": {"time": at(2024, 3, 15, 9, 3), "factor": 2.0},
    "late_candle": {"seconds": 60},
    "rename": {"to": "NEW/USDT"},
}
PATIENCE_MS = {"slow_drip": 300, "stall": 300}

ALL_ROWS = "0..9"
NOTHING = "nothing"
# Where no exchange is named, it is what all others give. `0..9` are the right rows by their
# minutes after `since`; a row of another kind is named behind them.
OUTCOMES: Mapping[str, Mapping[str, str]] = {
    "http_500": {"": "ExchangeNotAvailable"},
    "http_502_html": {"": "ExchangeNotAvailable"},
    "http_503_html": {"": "ExchangeNotAvailable"},
    "http_500_json": {
        "": "ExchangeError",
        "binance": "OperationFailed",
        "kraken": "ExchangeNotAvailable",
    },
    "binance_500_code_1000": {"binance": "OperationFailed"},
    "http_429": {
        "": "RateLimitExceeded",
        "binance": "DDoSProtection",
        "kraken": "DDoSProtection",
    },
    "http_429_retry_after": {
        "": "RateLimitExceeded",
        "binance": "DDoSProtection",
        "kraken": "DDoSProtection",
    },
    "http_429_retry_date": {
        "": "RateLimitExceeded",
        "binance": "DDoSProtection",
        "kraken": "DDoSProtection",
    },
    "http_418_ban": {
        "": "DDoSProtection",
        "coinbase": "RateLimitExceeded",
        "okx": "RateLimitExceeded",
    },
    "http_403_html": {"": "ExchangeNotAvailable", "bybit": "RateLimitExceeded"},
    "http_451": {"": "ExchangeNotAvailable"},
    "maintenance": {
        "": "ExchangeError",
        "binance": "OnMaintenance",
        "okx": "OnMaintenance",
        "kraken": "ExchangeNotAvailable",
    },
    "redirect": {"": ALL_ROWS},
    "truncated_json": {"": NOTHING},
    "html_200": {"": NOTHING},
    "empty_body": {"": NOTHING},
    "bare_nan": {"": NOTHING},
    "huge_gzip": {"": ALL_ROWS},
    "connection_reset": {"": "ExchangeNotAvailable"},
    "closed_without_answer": {"": "ExchangeNotAvailable"},
    "body_cut_short": {"": "ExchangeError"},
    "slow_drip": {"": "RequestTimeout"},
    "stall": {"": "RequestTimeout"},
    "skewed_clock": {"": f"{ALL_ROWS}, clock +60"},
    "null_price": {"": f"{ALL_ROWS}, None at 5"},
    "text_price": {"": f"{ALL_ROWS}, None at 5"},
    "nan_price": {"": f"{ALL_ROWS}, nan at 5"},
    "infinite_price": {"": f"{ALL_ROWS}, inf at 5"},
    # Coinbase's window holds its end: an eleventh row takes the place of the one that vanished.
    "bad_timestamp": {"": "0..4 6..9", "coinbase": "0..4 6..10"},
    "off_grid_row": {"": "0..4 5.5 6..9"},
    "unsorted_rows": {"": ALL_ROWS},
    "duplicate_rows": {"": "0..5 5..8"},
    "rows_outside": {"": ALL_ROWS},
    "half_page": {"": "0..4", "coinbase": "0..5"},
    "empty_page": {"": NOTHING},
    "stale_page": {"": NOTHING},
    "wrong_symbol": {"": f"{ALL_ROWS}, cheap", "coinbase": "1..7 9, cheap"},
    "future_candle": {"": ALL_ROWS},
    "gap": {"": "4..13", "kraken": ALL_ROWS, "coinbase": "4..10", "okx": "4..9"},
    "correction": {"": f"{ALL_ROWS}, doubled at 3", "kraken": ALL_ROWS},
    "late_candle": {"": ALL_ROWS, "kraken": "0..7"},
    "delisting": {"": "BadSymbol", "coinbase": "ExchangeError", "kraken": "ExchangeError"},
    "rename": {"": "BadSymbol", "coinbase": "ExchangeError", "kraken": "ExchangeError"},
}


def test_every_fault_is_shown_to_ccxt() -> None:
    assert list(OUTCOMES) == [fault.name for fault in FAULTS]


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with run_simulator(config()) as running:
        yield running


@pytest.fixture
def simulator(shared: Simulator) -> Iterator[Simulator]:
    yield shared
    shared.faults.clear()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_ccxt_makes_of_each_fault_what_is_known(simulator: Simulator, exchange: str) -> None:
    faults = [fault for fault in FAULTS if exchange in (fault.dialects or EXCHANGES)]
    expected = {
        fault.name: OUTCOMES[fault.name].get(exchange, OUTCOMES[fault.name].get("", ""))
        for fault in faults
    }

    async def ask(client: Client) -> dict[str, str]:
        await client.load_markets()
        found = {}
        for fault in faults:
            options = dict(OPTIONS.get(fault.name, {}))
            if fault.needs_symbol:
                options["symbol"] = pair_of(exchange).symbol
            client.timeout = PATIENCE_MS.get(fault.name, 5000)  # type: ignore[attr-defined]
            simulator.faults.add(fault.name, exchange=exchange, **options)
            found[fault.name] = await outcome(client, exchange)
            simulator.faults.clear()
            if fault.name == "http_418_ban":
                await asyncio.sleep(0.15)
        return found

    assert with_client(exchange, simulator.url, ask) == expected


async def outcome(client: Client, exchange: str) -> str:
    import ccxt

    since = SINCE[exchange]
    try:
        rows = await client.fetch_ohlcv(pair_of(exchange).symbol, "1m", since, ROWS)
        told = await client.fetch_time()
    except ccxt.BaseError as error:
        return type(error).__name__
    # The clock's garbage is no exception either: it is None.
    clock = f", clock +{round((told - ms(NOW)) / 1000)}" if told and told > ms(NOW) else ""
    return spell([(row[0] - since) / MINUTE for row in rows]) + oddities(rows) + clock


def spell(minutes: list[float]) -> str:
    runs: list[list[float]] = []
    for minute in minutes:
        if runs and minute == runs[-1][-1] + 1:
            runs[-1].append(minute)
        else:
            runs.append([minute])
    return " ".join(
        f"{run[0]:g}..{run[-1]:g}" if len(run) > 1 else f"{run[0]:g}" for run in runs
    ) or (NOTHING)


def oddities(rows: list[list[Any]]) -> str:
    closes = [row[4] for row in rows]
    odd = [index for index, close in enumerate(closes) if close is None or not math.isfinite(close)]
    if odd:
        return f", {closes[odd[0]]} at {odd[0]}"
    if closes and max(closes) < 100:
        return ", cheap"
    doubled = [index for index, close in enumerate(closes) if close > 1.5 * min(closes)]
    return f", doubled at {doubled[0]}" if doubled else ""


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("name", ["truncated_json", "html_200", "empty_body", "bare_nan"])
def test_garbage_looks_like_no_candles_to_the_sync_client_too(
    simulator: Simulator, exchange: str, name: str
) -> None:
    client = sync_client(exchange, simulator.url)
    client.load_markets()
    simulator.faults.add(name, exchange=exchange)
    assert client.fetch_ohlcv(pair_of(exchange).symbol, "1m", SINCE[exchange], ROWS) == []


@pytest.mark.parametrize(
    ("exchange", "first"),
    [("binance", 1), ("bybit", 1), ("coinbase", None), ("okx", None)],
)
def test_a_page_within_a_gap_gives_the_next_rows_or_nothing(
    simulator: Simulator, exchange: str, first: int | None
) -> None:
    start, end = at(2024, 3, 13), at(2024, 3, 14)
    simulator.faults.add("gap", exchange=exchange, start=start, end=end)

    async def ask(client: Client) -> list[list[float]]:
        since = ms(at(2024, 3, 13, 6))
        return await client.fetch_ohlcv(pair_of(exchange).symbol, "1m", since, 300)

    rows = with_client(exchange, simulator.url, ask)
    assert (rows[0][0] == ms(end)) if first else (rows == [])


def test_the_sync_client_waits_for_a_drip_beyond_its_time_out(simulator: Simulator) -> None:
    client = sync_client("binance", simulator.url)
    client.load_markets()
    client.timeout = 200  # type: ignore[attr-defined]
    simulator.faults.add("slow_drip", exchange="binance", seconds=0.005)
    begun = time.monotonic()
    rows = client.fetch_ohlcv("BTC/USDT", "1m", SINCE["binance"], 1)
    assert len(rows) == 1
    assert time.monotonic() - begun > 0.5


def test_ccxt_tells_retry_after_and_does_not_obey_it() -> None:
    import ccxt

    with run_simulator(config()) as simulator:
        client = sync_client("binance", simulator.url)
        client.load_markets()
        simulator.faults.add("http_429_retry_after", exchange="binance", seconds=30, first=2)
        for _ in range(2):
            with pytest.raises(ccxt.DDoSProtection):
                client.fetch_ohlcv("BTC/USDT", "1m")
            assert client.last_response_headers["Retry-After"] == "30"  # type: ignore[attr-defined]
        assert len(client.fetch_ohlcv("BTC/USDT", "1m", None, 5)) == 5
        assert simulator.scorer.scores()["binance"].early == 2


def test_a_renamed_pair_is_found_by_its_new_name_after_loading_markets_anew(
    simulator: Simulator,
) -> None:
    client = sync_client("okx", simulator.url)
    old = client.fetch_ohlcv("BTC/USDT", "1m", SINCE["okx"], ROWS)
    simulator.faults.add("rename", exchange="okx", symbol="BTC/USDT", to="NEW/USDT")
    fresh = sync_client("okx", simulator.url)
    assert "BTC/USDT" not in fresh.load_markets()
    assert fresh.fetch_ohlcv("NEW/USDT", "1m", SINCE["okx"], ROWS) == old


def test_ccxts_own_limiter_keeps_one_client_within_the_limit_and_not_two() -> None:
    async def ask(count: int, url: str) -> None:
        import ccxt.async_support as ccxt

        clients: list[Client] = [moved(ccxt.coinbase(), "coinbase", url) for _ in range(count)]

        async def one(client: Client) -> None:
            with suppress(ccxt.RateLimitExceeded):
                await client.fetch_ohlcv("BTC/USD", "1m", SINCE["coinbase"], ROWS)

        await asyncio.gather(*(client.load_markets() for client in clients))
        await asyncio.gather(*(one(client) for client in clients for _ in range(25)))
        await asyncio.gather(*(client.close() for client in clients))

    refused = []
    for count in (1, 2):
        with run_simulator(replace(config(), limits={"coinbase": {}})) as simulator:
            asyncio.run(ask(count, simulator.url))
            refused.append(simulator.scorer.scores()["coinbase"].rejected)
    assert refused[0] == 0
    assert refused[1] > 3
