"""What Dagster costs: one run of the asset against a bare script around the same functions.

Both fetch the same months of 1m candles from the same simulator over loopback without a rate
limit, through the same source, audit, rules and store; one as a Dagster run of `ohlcv_1m` with
its checks, one without Dagster. Process start and imports are reported apart. The ratio of the
two is the answer; seconds depend on the machine.

    python benchmarks/backfill.py --pairs 10 --months 12
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PAIRS = ("ADA", "AVAX", "BNB", "BTC", "DOGE", "ETH", "LINK", "LTC", "SOL", "XRP")
YEAR = 2023
BAR = 1.15
MEMORY_BAR_MB = 1024


def main() -> None:
    """Run both sides in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", choices=("dagster", "bare"))
    options = parser.parse_args()
    if options.side:
        side = {"dagster": run_dagster, "bare": run_bare}[options.side]
        print(json.dumps(side(options.pairs, options.months)))
        return
    with tempfile.TemporaryDirectory() as folder, simulator(Path(folder)) as environ:
        rounds = [
            {side: measure(side, options, environ, Path(folder)) for side in ("dagster", "bare")}
            for _ in range(options.rounds)
        ]
    print_table(rounds, options)


def measure(
    side: str, options: argparse.Namespace, environ: dict[str, str], folder: Path
) -> dict[str, float]:
    """Run one side in a process of its own, on an empty lake."""
    with tempfile.TemporaryDirectory(dir=folder) as lake:
        home = Path(lake) / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        begun = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, __file__, "--side", side),
                *("--pairs", str(options.pairs), "--months", str(options.months)),
            ],
            env={**environ, "DATA_PLATFORM_DATA": f"{lake}/data", "DAGSTER_HOME": str(home)},
            capture_output=True,
            text=True,
            check=True,
        )
        whole = time.perf_counter() - begun
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "start": whole - found["seconds"]}


def run_dagster(pairs: int, months: int) -> dict[str, float]:
    """Materialize `binance/ohlcv_1m` with its checks as one run."""
    import dagster as dg

    from data_platform.definitions import build_definitions
    from data_platform.domain.periods import Period
    from data_platform.domain.timeframes import to_timeframe
    from data_platform.runs import Selection, materialize_selection
    from data_platform.settings import load_settings

    settings = load_settings()
    chosen = settings.exchanges["binance"].pairs[:pairs]
    minute = (to_timeframe("1m"),)
    span = (Period(YEAR, 1), Period(YEAR, months))
    selection = Selection("binance", chosen, minute, ("ohlcv",), *span)
    definitions = build_definitions(settings)
    definitions.get_repository_def()
    warm_up()
    with dg.DagsterInstance.get() as instance:
        begun = time.perf_counter()
        outcome = materialize_selection(
            definitions, selection, settings.exchanges["binance"].pairs, instance
        )
        seconds = time.perf_counter() - begun
    assert outcome.success, outcome.failures
    return result(seconds, pairs, months)


def run_bare(pairs: int, months: int) -> dict[str, float]:
    """Call what the asset calls, without Dagster."""
    from data_platform.domain.layers import Partition
    from data_platform.domain.markets import Series
    from data_platform.domain.periods import Period
    from data_platform.domain.timeframes import to_timeframe
    from data_platform.operations.lake import open_lake
    from data_platform.operations.plan import UpdateRules
    from data_platform.operations.update import CandleUpdate
    from data_platform.operations.watch import nobody_watches
    from data_platform.settings import load_settings
    from data_platform.sources.access import Access
    from data_platform.sources.ccxt_source import CcxtSource

    settings = load_settings()
    exchange = settings.exchanges["binance"]
    access = Access(exchange.row, exchange.requests_per_minute, exchange.base_url)
    rules = UpdateRules(
        exchange=exchange.row,
        grace=exchange.grace,
        starts={pair: exchange.start_of(pair) for pair in exchange.pairs},
        limits=settings.thresholds.limits,
    )
    minute = to_timeframe("1m")
    partitions = [
        Partition("ohlcv", Series("binance", pair, minute), Period(YEAR, month))
        for pair in exchange.pairs[:pairs]
        for month in range(1, months + 1)
    ]
    warm_up()
    begun = time.perf_counter()
    lake = open_lake(settings.data_root, settings.state_url)
    update = CandleUpdate(lake, lambda: CcxtSource(access), rules, nobody_watches())
    report = update.run(partitions)
    seconds = time.perf_counter() - begun
    assert not report.failures, report.failures
    return result(seconds, pairs, months)


def warm_up() -> None:
    """Import what both sides import late, so that neither pays for it in the measured part."""
    import alembic.command
    import ccxt.async_support
    import pandera.polars

    assert alembic.command
    assert ccxt.async_support
    assert pandera.polars


def result(seconds: float, pairs: int, months: int) -> dict[str, float]:
    """Return the seconds, the highest resident memory, and what was stored."""
    from data_platform.operations.lake import open_lake
    from data_platform.settings import load_settings

    settings = load_settings()
    lake = open_lake(settings.data_root, settings.state_url)
    rows = lake.store.journal_rows("ohlcv", "binance")
    assert len(rows) == pairs * months, f"{len(rows)} partitions stored"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "candles": sum(row.rows for row in rows)}


@contextmanager
def simulator(folder: Path) -> Iterator[dict[str, str]]:
    """Serve one simulated exchange from a process of its own; yield the environment to use."""
    config = folder / "bench.yaml"
    pairs = ", ".join(f"{base}/USDT" for base in PAIRS)
    config.write_text(
        f"exchanges:\n  binance:\n    start: {YEAR}-01-01\n    pairs: [{pairs}]\n"
        "    timeframes: [1m]\n    rate_limit: 1000000\n"
    )
    environ = {**os.environ, "DATA_PLATFORM_CONFIG": str(config)}
    command = [sys.executable, "-m", "data_platform.cli.main", "simulate", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            url = server.stdout.readline().split()[-1]
            yield {**environ, "DATA_PLATFORM_SIMULATOR": url}
        finally:
            server.terminate()


def print_table(rounds: list[dict[str, dict[str, float]]], options: argparse.Namespace) -> None:
    """Print each round, the median ratio and its bar."""
    print(f"ohlcv_1m, {options.pairs} pairs x {options.months} months, simulator on loopback")
    print(f"{'side':<10}{'seconds':>10}{'start s':>10}{'peak MiB':>10}{'candles':>12}")
    for both in rounds:
        for side, found in both.items():
            numbers = [found[name] for name in ("seconds", "start", "peak_mb")]
            row = "".join(f"{number:>10.1f}" for number in numbers)
            print(f"{side:<10}{row}{found['candles']:>12,.0f}")
    ratios: list[Any] = sorted(
        both["dagster"]["seconds"] / both["bare"]["seconds"] for both in rounds
    )
    peak = max(both["dagster"]["peak_mb"] for both in rounds)
    median = ratios[len(ratios) // 2]
    print(f"ratio dagster / bare: {median:.3f} (bar {BAR}); all: {[round(r, 3) for r in ratios]}")
    print(f"peak memory: {peak:.0f} MiB (bar {MEMORY_BAR_MB})")


if __name__ == "__main__":
    main()
