"""What the state files of 40 markets cost, against the same fields asked of DuckDB.

Builds a lake of 4 exchanges x 10 pairs x 6 timeframes x 5 years (that of `verify.py`, with the
indicators of 1h of its last months), takes an afternoon of its last day as now, and writes the
state files: of all markets, of one exchange's as a tick does, and as a whole process. The
alternative has a connection open already and writes nothing: one query a field or two, each
opening only the months it needs, through the catalogue's macros. Both must find the same values.

    python benchmarks/state_files.py --lake /tmp/lake
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify import BASES, EXCHANGES, NAMES, build

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Market, Pair, Series
from data_platform.domain.periods import periods_between
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.derive import derive_layer
from data_platform.operations.due import FreshnessLimits
from data_platform.operations.health_report import ReportRules, Watched
from data_platform.operations.lake import Lake, open_lake
from data_platform.operations.missing import History
from data_platform.operations.recipes import filled_recipe, indicators_recipe
from data_platform.operations.state_files import write_state_files
from data_platform.operations.watch import nobody_watches
from data_platform.quality.standards import Standards
from data_platform.storage.catalog import open_catalog

if TYPE_CHECKING:
    import duckdb

BAR_SECONDS = 1.0
FIRST_YEAR = 2020
ROUNDS = 7

CONTEXT = """
WITH windows AS (
    SELECT open_time, stddev_samp(change) OVER last_day AS deviation, count(change) OVER last_day
        AS known
    FROM (
        SELECT open_time, ln(close / lag(close) OVER (ORDER BY open_time)) AS change
        FROM candles('{exchange}', '1h', '{pair}', since := '{hours}', until := '{hour}')
    ) WINDOW last_day AS (ORDER BY open_time ROWS BETWEEN 23 PRECEDING AND CURRENT ROW)
), ranked AS (SELECT * FROM windows WHERE known >= 22)
SELECT 100 * (count(*) FILTER (ranked.deviation < newest.deviation)
    + count(*) FILTER (ranked.deviation = newest.deviation) / 2) / count(*)
FROM ranked, (SELECT deviation FROM ranked ORDER BY open_time DESC LIMIT 1) newest
"""

TREND = """
WITH closes AS (
    SELECT close, row_number() OVER (ORDER BY open_time DESC) AS age
    FROM candles('{exchange}', '{timeframe}', '{pair}', since := '{since}', until := '{until}')
)
SELECT max(close) FILTER (age = 1), avg(close) FILTER (age <= 20), avg(close) FILTER (age <= 50)
FROM closes
"""

LEVELS = """
SELECT max(high) FILTER (open_time >= '{monday}' AND open_time < '{last}'),
    min(low) FILTER (open_time >= '{monday}' AND open_time < '{last}'),
    any_value((high + low + close) / 3) FILTER (open_time = '{yesterday}')
FROM candles('{exchange}', '1d', '{pair}', since := '{monday}', until := '{until}')
"""


def main() -> None:
    """Measure everything and print it with its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, help="Build it here, or use what lies here.")
    parser.add_argument("--months", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.lake or Path(folder) / "lake"
        if not (root / "state.db").exists():
            build(root, len(BASES), options.months)
        lake = open_lake(root, f"sqlite:///{root / 'state.db'}")
        last = lake.store.months(EXCHANGES[0])["last"].max()
        assert isinstance(last, datetime)
        now = last.replace(hour=15, minute=37, second=8)
        add_indicators(lake, now)
        measure(lake, now)
        measure_process(root, Path(folder))
        lake.state.close()


def add_indicators(lake: Lake, now: datetime) -> None:
    """Compute the indicators of 1h of the two newest months where they are not stored."""
    months = list(periods_between(now - timedelta(days=31), now))
    for market in markets():
        series = Series(market.exchange, market.pair, to_timeframe("1h"))
        if lake.store.journal(Partition("indicators", series, months[-1])) is None:
            for recipe in (filled_recipe(), indicators_recipe(("sma_20", "rsi_14", "atr_14"))):
                partitions = [Partition(recipe.layer, series, month) for month in months]
                derive_layer(lake, partitions, [recipe], nobody_watches())


def markets() -> list[Market]:
    """Return all forty."""
    return [Market(exchange, Pair(f"{base}/USDT")) for exchange in EXCHANGES for base in BASES]


def rules() -> ReportRules:
    """Return every series of the lake."""
    fresh = FreshnessLimits(timedelta(seconds=5), timedelta(minutes=5), Standards())
    return ReportRules(
        [
            Watched(
                exchange,
                History("flat", {}),
                [
                    Series(exchange, Pair(f"{base}/USDT"), to_timeframe(name))
                    for name in NAMES
                    for base in BASES
                ],
                fresh,
            )
            for exchange in EXCHANGES
        ]
    )


def measure(lake: Lake, now: datetime) -> None:
    """Compare both ways, once they agree."""
    wanted, folder = rules(), lake.store.root / "state"
    report = write_state_files(lake, wanted, lambda: now)
    count = sum(path.stat().st_size for path in report.files)
    print(
        f"{len(report.files)} files, {count / 1024:,.0f} KB; halt_trading as of {now:%F %T}: "
        f"{report.status.halt_trading}"
    )
    connection = open_catalog(lake.store.root, lake.state)
    asked = {str(market): ask(connection, market, now) for market in markets()}
    for market in markets():
        check(asked[str(market)], folder, market, now)
    busy = time.process_time()
    every = [once(lambda: write_state_files(lake, wanted, lambda: now)) for _ in range(ROUNDS)]
    busy = (time.process_time() - busy) / ROUNDS
    one = [
        once(lambda: write_state_files(lake, wanted, lambda: now, {EXCHANGES[0]}))
        for _ in range(ROUNDS)
    ]
    theirs_busy = time.process_time()
    alternative = [once(lambda: [ask(connection, it, now) for it in markets()]) for _ in range(3)]
    theirs_busy = (time.process_time() - theirs_busy) / 3
    connection.close()
    ours, theirs = statistics.median(every), statistics.median(alternative)
    spread = f"{min(every):.2f} to {max(every):.2f}, {busy:.2f} s of CPU"
    print(f"40 markets: {ours:.2f} s (bar {BAR_SECONDS} s; {spread})")
    print(f"one exchange's tick, 10 of them and what all share: {statistics.median(one):.2f} s")
    spread = (
        f"{theirs_busy:.2f} s of CPU; ratio {ours / theirs:.2f}, of CPU {busy / theirs_busy:.2f}"
    )
    print(f"the same fields by DuckDB, nothing written: {theirs:.2f} s, {spread}")


def once(action: Callable[[], object]) -> float:
    """Return how long something takes, in seconds."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def ask(
    connection: "duckdb.DuckDBPyConnection", market: Market, now: datetime
) -> dict[str, tuple[Any, ...]]:
    """Ask DuckDB for what a market's files hold."""
    exchange, pair = market.exchange, market.pair.key
    midnight = now.replace(hour=0, minute=0, second=0)
    found: dict[str, tuple[Any, ...]] = {}

    def one(sql: str, **words: object) -> tuple[Any, ...]:
        row = connection.execute(sql.format(exchange=exchange, pair=pair, **words)).fetchone()
        assert row is not None
        return row

    for name in NAMES:
        end = to_timeframe(name).floor(now)
        since = min(midnight, end - to_timeframe(name).duration)
        found[name] = one(
            "SELECT max_by(close, open_time), count(*) FILTER (open_time >= '{midnight}'), "
            "max(open_time), max(high) FILTER (open_time >= '{midnight}'), "
            "sum(volume) FILTER (open_time >= '{midnight}') "
            "FROM candles('{exchange}', '{name}', '{pair}', since := '{since}', until := '{end}')",
            name=name,
            since=since,
            end=end,
            midnight=midnight,
        )
    hour = now.replace(minute=0, second=0)
    found["atr"] = one(
        "SELECT atr_14 FROM indicators('{exchange}', '1h', '{pair}', since := '{since}', "
        "until := '{until}') ORDER BY open_time DESC LIMIT 1",
        since=hour - timedelta(hours=1),
        until=hour,
    )
    hours = hour - timedelta(days=91) - timedelta(hours=1)
    found["percentile"] = one(CONTEXT, hours=hours, hour=hour)
    for name in ("4h", "1d"):
        step = to_timeframe(name).duration
        until = to_timeframe(name).floor(now)
        found[f"trend_{name}"] = one(TREND, timeframe=name, since=until - 50 * step, until=until)
    last = midnight - timedelta(days=midnight.weekday())
    found["levels"] = one(
        LEVELS,
        monday=last - timedelta(days=7),
        last=last,
        yesterday=midnight - timedelta(days=1),
        until=midnight,
    )
    return found


def check(asked: dict[str, tuple[Any, ...]], folder: Path, market: Market, now: datetime) -> None:
    """Hold what DuckDB said against the files."""
    latest = json.loads((folder / f"latest_ohlcv/{market}.json").read_text())
    context = json.loads((folder / f"market_context/{market}.json").read_text())
    states = json.loads((folder / "data_status.json").read_text())["markets"][str(market)]
    for name in NAMES:
        close, count, opened, high, volume = asked[name]
        candle = latest["timeframes"][name]
        assert (candle["close"], states["timeframes"][name]["bars_today"]) == (close, count)
        assert datetime.fromisoformat(candle["timestamp"]) == opened.astimezone(UTC), name
        if name == "1m":
            assert latest["derived"]["daily_high"] == high
            assert isclose(latest["derived"]["daily_volume"], volume, rel_tol=1e-12)
    assert (latest["derived"]["atr_14_1h"],) == asked["atr"]
    [percentile] = asked["percentile"]
    assert isclose(context["volatility_percentile"], percentile, abs_tol=0.1), percentile
    for name in ("4h", "1d"):
        close, fast, slow = asked[f"trend_{name}"]
        trend = (
            "bullish" if close > fast > slow else "bearish" if close < fast < slow else "ranging"
        )
        assert context[f"trend_{name}"] == trend
    high, low, pivot = asked["levels"]
    levels = context["key_levels"]
    assert (levels["weekly_high"], levels["weekly_low"]) == (high, low)
    assert isclose(levels["daily_pivot"], pivot, rel_tol=1e-12)
    assert context["updated_at"] == f"{now:%Y-%m-%dT%H:%M:%SZ}"


def measure_process(root: Path, folder: Path) -> None:
    """Print what the command costs as a whole process; its clock is the machine's."""
    config = folder / "platform.yaml"
    pairs = ", ".join(f"{base}/USDT" for base in BASES)
    entries = [
        f"  {it}: {{pairs: [{pairs}], timeframes: [{', '.join(NAMES)}], start: {FIRST_YEAR}-01-01}}"
        for it in EXCHANGES
    ]
    config.write_text("exchanges:\n" + "\n".join(entries) + "\n")
    environment = {
        **os.environ,
        "DATA_PLATFORM_CONFIG": str(config),
        "DATA_PLATFORM_DATA": str(root),
        "DATA_PLATFORM_STATE": f"sqlite:///{root / 'state.db'}",
    }
    command = [sys.executable, "-m", "data_platform.cli.main", "state"]
    took = [
        once(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))
        for _ in range(3)
    ]
    print(f"data-platform state, as a whole process: {statistics.median(took):.2f} s")


if __name__ == "__main__":
    main()
