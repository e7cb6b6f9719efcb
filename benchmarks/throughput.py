"""What the source costs beyond the network: against a bare ccxt loop, and in wasted requests.

Ten pairs x one month of 1m candles of Binance, no rate limit, 80 ms to each answer, as many
requests in flight on both sides. The named alternative is the fastest loop that plain ccxt allows:
every page known beforehand, asked at once under one semaphore; it checks nothing. Then how many
requests each exchange was asked beyond the pages that the candles fill.

    python benchmarks/throughput.py --rounds 3
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BASES = ("ADA", "AVAX", "BNB", "BTC", "DOGE", "ETH", "LINK", "LTC", "SOL", "XRP")
QUOTES = {"binance": "USDT", "bybit": "USDT", "coinbase": "USD", "okx": "USDT"}
LATENCY_MS = 80
START, END = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 2, 1, tzinfo=UTC)
CONCURRENCY = 32
BAR = 0.85
WASTE_BAR = 0.02


def main() -> None:
    """Run both sides in turn and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=list(SIDES))
    parser.add_argument("--exchange", default="binance")
    parser.add_argument("--url")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(SIDES[options.side](options.url, options.exchange)), flush=True)
        return
    print(f"{'side':<8}{'seconds':>9}{'candles':>10}{'candles/s':>11}")
    ratios = []
    for _ in range(options.rounds):
        speed = {}
        for side in ("ours", "bare"):
            with server(LATENCY_MS) as url:
                found = run_side(side, url, "binance")
            speed[side] = found["candles"] / found["seconds"]
            print(f"{side:<8}{found['seconds']:>9.2f}{found['candles']:>10,}{speed[side]:>11,.0f}")
        ratios.append(speed["ours"] / speed["bare"])
    median = sorted(ratios)[len(ratios) // 2]
    print(f"ratio ours / bare: {median:.2f} (bar {BAR}); all {[round(it, 2) for it in ratios]}\n")
    print(f"{'exchange':<10}{'pages':>7}{'requests':>10}{'wasted':>9}   bar {WASTE_BAR:.0%}")
    for exchange in QUOTES:
        with server(0) as url:
            run_side("ours", url, exchange)
            with urllib.request.urlopen(f"{url}/_score") as answer:  # noqa: S310 - loopback
                requests = json.load(answer)[exchange]["ohlcv_requests"]
        needed = pages(exchange)
        print(f"{exchange:<10}{needed:>7}{requests:>10}{requests / needed - 1:>9.2%}")


def pages(exchange: str) -> int:
    """Return how many full answers hold the month of every pair."""
    from data_platform.domain.exchanges import exchange_row

    minutes = (END - START) // timedelta(minutes=1)
    return len(BASES) * -(-minutes // exchange_row(exchange).page_size)


@contextmanager
def server(latency_ms: float) -> Iterator[str]:
    """Serve from a process of its own; yield the URL."""
    code = f"""
from data_platform.domain.markets import Pair
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import serve
exchanges = {{
    name: SimulatedExchange(name, tuple(Pair(f"{{base}}/{{quote}}") for base in {BASES}))
    for name, quote in {QUOTES}.items()
}}
serve(SimulatorConfig(exchanges, latency_ms={latency_ms}), 0)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout
            yield serving.stdout.readline().split()[-1]
        finally:
            serving.terminate()


def run_side(side: str, url: str, exchange: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [
        *(sys.executable, __file__, "--side", side, "--url", url, "--exchange", exchange),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def fetch_by_ours(url: str, exchange: str) -> dict[str, float]:
    """Fetch through the whole source: paged, checked, as frames."""
    from data_platform.domain.exchanges import exchange_row
    from data_platform.domain.markets import Pair, Series
    from data_platform.domain.timeframes import to_timeframe
    from data_platform.sources.access import Access
    from data_platform.sources.base import FetchRequest
    from data_platform.sources.ccxt_source import CcxtSource

    access = Access(exchange_row(exchange), 1_000_000, f"{url}/{exchange}", concurrency=CONCURRENCY)
    minute = to_timeframe("1m")
    pairs = [Pair(f"{base}/{QUOTES[exchange]}") for base in BASES]
    requests = [FetchRequest(Series(exchange, pair, minute), START, END) for pair in pairs]
    source = CcxtSource(access)
    # The exchange's clock and pairs, and ccxt itself, are not what is measured.
    warm = FetchRequest(requests[0].series, START, START + timedelta(minutes=1))
    list(source.fetch([warm]))
    begun = time.perf_counter()
    results = [result.candles.height for result in source.fetch(requests)]
    seconds = time.perf_counter() - begun
    source.close()
    return {"seconds": seconds, "candles": sum(results)}


def fetch_by_ccxt(url: str, exchange: str) -> dict[str, float]:
    """Fetch with nothing but ccxt."""
    return asyncio.run(_fetch_by_ccxt(url, exchange))


async def _fetch_by_ccxt(url: str, exchange: str) -> dict[str, float]:
    import ccxt.async_support as ccxt

    client = getattr(ccxt, exchange)({"enableRateLimit": False})
    # It writes every answer to its log at DEBUG, where no handler takes it.
    client.logger.disabled = True
    client.urls["api"] = {
        name: address.replace("https://api.binance.com", f"{url}/{exchange}")
        if isinstance(address, str)
        else address
        for name, address in client.urls["api"].items()
    }
    client.options["fetchMarkets"] = {"types": ["spot"]}
    client.has["fetchCurrencies"] = False
    await client.load_markets()
    gate = asyncio.Semaphore(CONCURRENCY)

    async def page(base: str, start: datetime) -> int:
        async with gate:
            since = int(start.timestamp() * 1000)
            count = min(1000, (END - start) // timedelta(minutes=1))
            return len(await client.fetch_ohlcv(f"{base}/USDT", "1m", since, count))

    starts = []
    at = START
    while at < END:
        starts.append(at)
        at += timedelta(minutes=1000)
    begun = time.perf_counter()
    counts = await asyncio.gather(*(page(base, start) for base in BASES for start in starts))
    seconds = time.perf_counter() - begun
    await client.close()
    return {"seconds": seconds, "candles": sum(counts)}


SIDES = {"ours": fetch_by_ours, "bare": fetch_by_ccxt}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
