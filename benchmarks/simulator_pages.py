"""Whether the simulator is the bottleneck: full pages of 1,000 candles from one process.

Bare HTTP and the unmodified async client of ccxt, each against a simulator in a process of its
own. No page is asked for twice, so that none comes from the simulator's cache. Pages a second
depend on what else the machine does; the simulator's CPU for a page does not, so the bar is set on
that: it must suffice for 150 pages a second on one core.

    python benchmarks/simulator_pages.py --pages 600
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from backfill import simulator

PAGE = 1000
BAR = 150
IN_FLIGHT = 16
START = int(datetime(2022, 1, 1, tzinfo=UTC).timestamp() * 1000)

Client: TypeAlias = Callable[[str, list[int]], Coroutine[Any, Any, None]]


def main() -> None:
    """Measure both clients, print the table, exit 1 when the simulator needs more than the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=600)
    pages = parser.parse_args().pages
    print(f"{pages} pages of {PAGE} candles, {IN_FLIGHT} in flight; CPU in ms a page")
    print(f"{'client':<8}{'pages/s':>10}{'client CPU':>14}{'simulator CPU':>16}")
    needed = []
    for name, client in {"bare": ask_bare, "ccxt": ask_ccxt}.items():
        rate, own, simulators = measure(client, pages)
        needed.append(simulators)
        print(f"{name:<8}{rate:>10.0f}{own:>14.2f}{simulators:>16.2f}")
    is_held = max(needed) <= 1000 / BAR
    print(
        f"Bar: {1000 / BAR:.2f} ms of the simulator for a page: {'held' if is_held else 'MISSED'}"
    )
    sys.exit(not is_held)


def measure(client: Client, pages: int) -> tuple[float, float, float]:
    """Return pages a second, and CPU milliseconds for a page: the client's, the simulator's.

    What the simulator needs to start is left out: the same again without a page is taken off.
    """
    starts = [START + page * PAGE * 60_000 for page in range(pages)]
    own, simulators, seconds = spend(client, starts)
    idle = spend(client, [])
    for_page = 1000 / pages
    rate = pages / (seconds - idle[2])
    return rate, (own - idle[0]) * for_page, (simulators - idle[1]) * for_page


def spend(client: Client, starts: list[int]) -> tuple[float, float, float]:
    """Return seconds: own CPU, the simulator's CPU, and those that passed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder, simulator(Path(folder)) as environ:
        url = f"{environ['DATA_PLATFORM_SIMULATOR']}/binance"
        begun, cpu = time.perf_counter(), time.process_time()
        asyncio.run(client(url, starts))
        seconds, own = time.perf_counter() - begun, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return own, children, seconds


async def ask_bare(url: str, starts: list[int]) -> None:
    """Read the bytes of each page."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:

        async def ask(start: int) -> None:
            address = f"{url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit={PAGE}"
            async with session.get(f"{address}&startTime={start}") as answer:
                assert len(await answer.read()) > 100 * PAGE

        await asyncio.gather(*map(ask, starts))


async def ask_ccxt(url: str, starts: list[int]) -> None:
    """Fetch each page as people do."""
    import ccxt.async_support as ccxt

    exchange = ccxt.binance({"enableRateLimit": False})
    for name, address in exchange.urls["api"].items():
        exchange.urls["api"][name] = url + urlsplit(address).path
    places = asyncio.Semaphore(IN_FLIGHT)
    await exchange.load_markets()

    async def ask(start: int) -> None:
        async with places:
            assert len(await exchange.fetch_ohlcv("BTC/USDT", "1m", start, PAGE)) == PAGE

    try:
        await asyncio.gather(*map(ask, starts))
    finally:
        await exchange.close()


if __name__ == "__main__":
    main()
