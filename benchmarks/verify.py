"""How fast a lake is verified: against hashing the same files and nothing else.

Builds a lake of 4 exchanges x 10 pairs x 6 timeframes x 5 years, synthetic candles through the
real store (`--pairs` and `--months` make it smaller, `--lake` keeps it), then verifies it. Each
figure is the best of three: `quick` in seconds, `full` as a share of sha256 over the same files by
as many threads.

    python benchmarks/verify.py --pairs 10 --months 60
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TIME
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import TIMEFRAMES
from data_platform.operations.verify import verify_lake
from data_platform.storage.atomic import hash_file
from data_platform.storage.inventory import Chosen
from data_platform.storage.journal import CommitNote
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State
from data_platform.storage.survey import THREADS

EXCHANGES = ("binance", "coinbase", "kraken", "okx")
BASES = ("ADA", "AVAX", "BNB", "BTC", "DOGE", "ETH", "LINK", "LTC", "SOL", "XRP")
NAMES = ("1m", "5m", "15m", "1h", "4h", "1d")
BAR_SECONDS, BAR_SHARE = 3.0, 0.7
ROUNDS = 3


def main() -> None:
    """Build the lake unless it is there, and print both figures with their bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=len(BASES))
    parser.add_argument("--months", type=int, default=60)
    parser.add_argument("--lake", type=Path, help="Build it here, or verify what is here.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root: Path = given.lake or Path(folder) / "lake"
        if not (root / "state.db").exists():
            build(root, given.pairs, given.months)
        measure(root)


def build(root: Path, pairs: int, months: int) -> None:
    """Commit random candles to every partition."""
    begin = time.monotonic()
    store = PartitionStore(root, State(f"sqlite:///{root / 'state.db'}"))
    periods = [Period(2020 + month // 12, month % 12 + 1) for month in range(months)]
    for timeframe in (each for each in TIMEFRAMES if each.name in NAMES):
        for period in periods:
            frame = candles(period, timeframe.ms)
            for exchange in EXCHANGES:
                for base in BASES[:pairs]:
                    own = Series(exchange, Pair(f"{base}/USDT"), timeframe)
                    store.commit(
                        Partition("ohlcv", own, period),
                        frame,
                        merge=None,
                        audit=lambda rows: (rows, rows.clear()),
                        note=CommitNote(source="benchmark"),
                    )
    store.state.close()
    print(f"built in {time.monotonic() - begin:,.0f} s")


def candles(period: Period, step_ms: int) -> pl.DataFrame:
    """Return a month of a random walk whose prices have two decimals."""
    dice = np.random.default_rng(period.start.month)
    count = round((period.end - period.start).total_seconds() * 1000) // step_ms
    times = round(period.start.timestamp() * 1000) + step_ms * np.arange(count)
    close = np.round(30_000 + np.cumsum(dice.normal(0, 5, count)), 2)
    columns = {
        "open_time": pl.Series(times).cast(TIME),
        "open": np.roll(close, 1),
        "high": close + 7,
        "low": close - 7,
        "close": close,
        "volume": np.round(dice.gamma(2, 3, count), 4),
    }
    return pl.DataFrame(columns, schema=CANDLE_SCHEMA)


def measure(root: Path) -> None:
    """Print how long each kind of look takes."""
    url = f"sqlite:///{root / 'state.db'}"
    files = list(root.rglob("*.parquet"))
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files):,} files, {size / 1e6:,.0f} MB, {THREADS} threads")
    quick = best(lambda: verify_lake(root, url, Chosen(), "quick"))
    print(f"verify --quick  {quick:6.2f} s   bar {BAR_SECONDS:.0f} s")

    def hash_all() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(hash_file, files, chunksize=16):
                pass

    bare = best(hash_all)
    full = best(lambda: verify_lake(root, url, Chosen(), "full"))
    print(f"sha256 alone    {bare:6.2f} s   {size / 1e6 / bare:,.0f} MB/s")
    print(f"verify          {full:6.2f} s   {size / 1e6 / full:,.0f} MB/s")
    print(f"share           {bare / full:6.2f}     bar {BAR_SHARE}")


def best(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few rounds."""
    seconds = []
    for _ in range(ROUNDS):
        begin = time.monotonic()
        work()
        seconds.append(time.monotonic() - begin)
    return min(seconds)


if __name__ == "__main__":
    main()
