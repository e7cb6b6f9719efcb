"""How much of a rate limit 1, 4 and 8 processes use, and how often they exceed it.

The simulator enforces each exchange's documented limit over loopback, with 50 ms to each answer,
and keeps the score. Every process fetches 1m history of ten pairs as a download does, through the
whole source. Share = requests for candles answered / allowed, over the minute from the first one.
Beside it, in the same run, the named alternative: ccxt with its own limiter on, one in each
process. Then a tick amid a backfill that uses okx to the full: how long the newest candles of ten
pairs take.

    python benchmarks/rate_budget.py --seconds 60
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BASES = ("ADA", "AVAX", "BNB", "BTC", "DOGE", "ETH", "LINK", "LTC", "SOL", "XRP")
ALLOWED = {"coinbase": 10.0, "okx": 10.0, "bybit": 120.0}
"""Requests for historical candles a second."""
ROWS_A_PAGE = {"bybit": 100}
"""120 full pages a second are more than two cores can parse beside the server: pages that small
ask for as many requests."""
SHARE_BAR = 0.95
TICK_BAR_SECONDS = 30
"""From a candle's close and grace to its storage; the sensor looks every 10."""
LATENCY_MS = 50
TICKS = 10
SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def main() -> None:
    """Run every crowd in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--exchange", action="append", choices=list(ALLOWED))
    parser.add_argument("--role", choices=list(ROLES))
    parser.add_argument("--url")
    options = parser.parse_args()
    if options.role:
        ROLES[options.role](options.url, (options.exchange or ["okx"])[0])
        return
    print(f"{'exchange':<10}{'limiter':<14}{'processes':>10}{'seconds':>9}{'requests':>10}", end="")
    print(f"{'share':>8}{'rejected':>10}{'banned':>8}   bars: share {SHARE_BAR}, 0, 0")
    for exchange in options.exchange or ALLOWED:
        for role, processes in (("ours", 1), ("ours", 4), ("ours", 8), ("ccxt", 1), ("ccxt", 4)):
            seconds = options.seconds / 2 if processes == 8 else options.seconds
            print_crowd(exchange, role, processes, seconds)
    if not options.exchange or "okx" in options.exchange:
        print_ticks()


def print_crowd(exchange: str, role: str, processes: int, seconds: float) -> None:
    """Let a crowd fetch at once; print one line of the table."""
    with tempfile.TemporaryDirectory() as machine, server(machine) as url:
        with crowd(role, exchange, processes, (url, machine)):
            time.sleep(seconds)
        log = fetch_json(f"{url}/_log?exchange={exchange}&last=20000")
    candles = [entry for entry in log if entry["endpoint"] == "ohlcv"]
    first = candles[0]["time"]
    within = [entry for entry in candles if entry["time"] < first + seconds]
    answered = sum(entry["status"] in (200, None) for entry in within)
    refused = [entry for entry in log if entry["status"] in (403, 418, 429)]
    banned = sum(entry["status"] in (403, 418) for entry in refused)
    share = answered / (ALLOWED[exchange] * seconds)
    print(f"{exchange:<10}{NAMES[role]:<14}{processes:>10}{seconds:>9.0f}{answered:>10}", end="")
    print(f"{share:>8.3f}{len(refused) - banned:>10}{banned:>8}", flush=True)


def print_ticks() -> None:
    """Fetch the newest candles of ten pairs again and again, alone and amid a backfill of okx."""
    seconds = {}
    for processes in (0, 1):
        with (
            tempfile.TemporaryDirectory() as machine,
            server(machine) as url,
            crowd("ours", "okx", processes, (url, machine)),
        ):
            time.sleep(5 * processes)
            done = subprocess.run(
                command("tick", "okx", url),
                env={**os.environ, "TMPDIR": machine},
                input="go\n",
                capture_output=True,
                text=True,
                check=True,
            )
        seconds[processes] = json.loads(done.stdout.splitlines()[-1])
    print(f"\nnewest candles of {len(BASES)} pairs of okx, {TICKS} ticks, seconds for all pairs:")
    print(f"alone:           longest {max(seconds[0]):.2f}")
    print(f"amid a backfill: longest {max(seconds[1]):.2f} (bar {TICK_BAR_SECONDS})")


@contextmanager
def server(machine: str) -> Iterator[str]:
    """Serve the limited exchanges from a process of its own; yield the URL."""
    environ = {**os.environ, "TMPDIR": machine}
    serving = subprocess.Popen(
        command("serve", "okx", ""), env=environ, stdout=subprocess.PIPE, text=True
    )
    with serving:
        try:
            assert serving.stdout
            yield serving.stdout.readline().split()[-1]
        finally:
            serving.terminate()


@contextmanager
def crowd(role: str, exchange: str, processes: int, where: tuple[str, str]) -> Iterator[None]:
    """Let processes of one machine fetch while the block runs; all begin when all are ready."""
    url, machine = where
    environ = {**os.environ, "TMPDIR": machine}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    everybody = [
        subprocess.Popen(command(role, exchange, url), env=environ, text=True, **pipes)  # type: ignore[call-overload]
        for _ in range(processes)
    ]
    try:
        for one in everybody:
            assert one.stdout.readline() == "ready\n"
        for one in everybody:
            one.stdin.write("go\n")
            one.stdin.flush()
        yield
    finally:
        for one in everybody:
            one.kill()
            one.communicate()


def command(role: str, exchange: str, url: str) -> list[str]:
    """Return the command of one process."""
    return [sys.executable, __file__, "--role", role, "--exchange", exchange, "--url", url]


def fetch_json(url: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a server tells."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - http on loopback
        return json.load(answer)


def serve_limited(_url: str, _exchange: str) -> None:
    """Serve until SIGTERM."""
    from data_platform.domain.markets import Pair
    from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
    from data_platform.simulator.server import serve

    exchanges = {
        name: SimulatedExchange(name, tuple(Pair(f"{base}/USDT") for base in BASES))
        for name in ALLOWED
    }
    limits: dict[str, dict[str, float]] = {name: {} for name in ALLOWED}
    serve(SimulatorConfig(exchanges, limits=limits, latency_ms=LATENCY_MS), 0)


def fetch_by_ours(url: str, exchange: str) -> None:
    """Fetch history without end, as a download does."""
    from data_platform.sources.base import FetchRequest

    source = open_source(url, exchange, "backfill")
    end = SINCE + timedelta(days=365 * 5)
    requests = [FetchRequest(series, SINCE, end) for series in all_series(exchange)]
    await_go()
    for _ in source.fetch(requests):
        pass


def fetch_ticks(url: str, exchange: str) -> None:
    """Fetch the newest candles of every pair, again and again; print the seconds of each time."""
    from data_platform.sources.base import FetchRequest

    source = open_source(url, exchange, "live")
    await_go()
    seconds = []
    for _ in range(TICKS):
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        requests = [
            FetchRequest(series, end - timedelta(minutes=5), end) for series in all_series(exchange)
        ]
        begun = time.perf_counter()
        results = list(source.fetch(requests))
        seconds.append(time.perf_counter() - begun)
        assert all(result.window.outcome == "answered" for result in results)
        assert len(results) == len(BASES)
        time.sleep(1)
    source.close()
    print(json.dumps(seconds))


def fetch_by_ccxt(url: str, exchange: str) -> None:
    """Fetch history without end with ccxt and its own limiter."""
    asyncio.run(_fetch_by_ccxt(url, exchange))


async def _fetch_by_ccxt(url: str, exchange: str) -> None:
    import ccxt.async_support as ccxt

    from data_platform.sources.ccxt_exchange import _moved

    client = getattr(ccxt, exchange)({"enableRateLimit": True})
    client.urls["api"] = _moved(client.urls["api"], f"{url}/{exchange}")
    client.options["fetchMarkets"] = {"types": ["spot"]}
    client.has["fetchCurrencies"] = False
    await client.load_markets()
    await asyncio.to_thread(await_go)

    async def walk(base: str, lane: int) -> None:
        since = SINCE + timedelta(days=100 * lane)
        while True:
            try:
                start = int(since.timestamp() * 1000)
                await client.fetch_ohlcv(f"{base}/USDT", "1m", start, 100)
            except ccxt.BaseError:
                # As a client without a plan for it: the next one follows at the limiter's pace.
                await asyncio.sleep(0)
            since += timedelta(minutes=100)

    await asyncio.gather(*(walk(base, lane) for base in BASES for lane in range(2)))


def open_source(url: str, exchange: str, priority: Any) -> Any:  # noqa: ANN401 - a Literal
    """Return a source that has met its exchange already."""
    from data_platform.domain.exchanges import exchange_row
    from data_platform.sources.access import Access
    from data_platform.sources.ccxt_source import CcxtSource

    row = exchange_row(exchange)
    paged = replace(row, page_size=ROWS_A_PAGE.get(exchange, row.page_size))
    base_url = f"{url}/{exchange}"
    access = Access(paged, row.requests_per_minute, base_url, priority=priority)
    source = CcxtSource(access)
    source.now()
    source._open().run(source._client.load_pairs())  # noqa: SLF001 - before the measured part
    return source


def all_series(exchange: str) -> list[Any]:
    """Return the 1m series of every pair."""
    from data_platform.domain.markets import Pair, Series
    from data_platform.domain.timeframes import to_timeframe

    return [Series(exchange, Pair(f"{base}/USDT"), to_timeframe("1m")) for base in BASES]


def await_go() -> None:
    """Tell that this process is ready and wait for the others."""
    print("ready", flush=True)
    sys.stdin.readline()


NAMES = {"ours": "rate_budget", "ccxt": "ccxt's own"}
ROLES = {
    "serve": serve_limited,
    "ours": fetch_by_ours,
    "tick": fetch_ticks,
    "ccxt": fetch_by_ccxt,
}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
