"""What the lake costs: commits, reads, looks and proofs, each against a named alternative.

1. One commit, audit included, against a naive `write_parquet` of the same rows: a day of 1m into a
   new partition, a day more into one that is stored, and a whole month.
2. One day of one pair through the macro `candles` out of a large lake against reading that one file
   with DuckDB, and whether the plan opens that file alone; one day over all series: report.
3. `status` of that lake as a whole process, and what `verify.py` measures.
4. Bytes a candle on real 1m candles, against zstd Parquet by polars.

The large lake is that of `verify.py`: 4 exchanges x 10 pairs x 6 timeframes x 5 years, candles
alone. Keep one with --lake to measure again.

    python benchmarks/store.py --lake /tmp/lake --years 5
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from verify import BASES, EXCHANGES, build
from verify import measure as measure_verify

if TYPE_CHECKING:
    from data_platform.domain.markets import Series
    from data_platform.domain.periods import Period
    from data_platform.operations.lake import Lake

FIRST_YEAR = 2020
COMMIT_BAR, READ_BAR, LOOK_BAR_SECONDS, BYTES_BAR = 4.0, 2.0, 3.0, 1.05
DAY = 1440


def main() -> None:
    """Measure everything and print it with its bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, help="Build it here, or use what lies here.")
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure_commit(Path(folder), options.rounds)
        measure_bytes(Path(folder))
        lake = options.lake or Path(folder) / "lake"
        if not (lake / "state.db").exists():
            build(lake, len(BASES), 12 * options.years)
        measure_read(lake, options)
        measure_status(lake, Path(folder))
        measure_verify(lake)


def walk(rows: int, seed: int) -> tuple[np.ndarray, ...]:
    """Return open, high, low, close and volume of a random walk with two decimals."""
    random = np.random.default_rng(seed)
    close = np.round(30_000 * np.exp(np.cumsum(random.normal(0, 5e-4, rows))), 2)
    opened = np.concatenate([[30_000.0], close[:-1]])
    spread = np.round(np.abs(random.normal(0, 8, rows)), 2)
    high, low = np.maximum(opened, close) + spread, np.minimum(opened, close) - spread
    return opened, np.round(high, 2), np.round(low, 2), close, np.round(random.gamma(2, 5, rows), 5)


def frame_of(start: datetime, timeframe: str, rows: int, seed: int) -> pl.DataFrame:
    """Return so many candles from a time on."""
    from data_platform.domain.candles import CANDLE_SCHEMA
    from data_platform.domain.timeframes import to_timeframe

    step = to_timeframe(timeframe).duration
    times = pl.datetime_range(
        pl.lit(start), pl.lit(start + (rows - 1) * step), step, time_unit="ms", eager=True
    )
    columns = zip(CANDLE_SCHEMA, (times, *walk(rows, seed)), strict=True)
    return pl.DataFrame(dict(columns), schema=CANDLE_SCHEMA)


def measure_commit(folder: Path, rounds: int) -> None:
    """Compare commits with naive writes of the same rows."""
    from data_platform.domain.markets import Pair, Series
    from data_platform.domain.periods import Period
    from data_platform.domain.timeframes import to_timeframe
    from data_platform.operations.lake import open_lake

    minute = to_timeframe("1m")
    series = Series("binance", Pair("BTC/USDT"), minute)
    lake = open_lake(folder / "commits", f"sqlite:///{folder}/commits/state.db", "bench")
    periods = [Period(FIRST_YEAR + number // 12, number % 12 + 1) for number in range(rounds + 1)]
    for name, first, days in (("a day of 1m", 0, 1), ("a second day", 1, 1), ("a month", 0, 28)):
        market = series if days == 1 else Series("okx", series.pair, minute)
        ours, naive = [], []
        for number, period in enumerate(periods):
            start = period.start + timedelta(days=first)
            rows = frame_of(start, "1m", days * DAY, number)
            whole = frame_of(period.start, "1m", (first + days) * DAY, number)
            ours.append(once(partial(commit, lake, market, period, rows)))
            naive.append(once(partial(whole.write_parquet, folder / f"naive-{number}.parquet")))
        # The first commit imports Pandera.
        cost, alone = statistics.median(ours[1:]), statistics.median(naive[1:])
        print(
            f"commit of {name}: {cost * 1000:.1f} ms, write_parquet {alone * 1000:.1f} ms", end=""
        )
        print(f"; ratio {cost / alone:.2f} (bar {COMMIT_BAR})")
    lake.state.close()
    print()


def commit(lake: "Lake", series: "Series", period: "Period", rows: pl.DataFrame) -> None:
    """Commit rows as an update does."""
    from data_platform.domain.candles import merge_candles
    from data_platform.domain.layers import Partition
    from data_platform.quality.schema import audit_candles
    from data_platform.storage.journal import CommitNote

    audit = partial(
        audit_candles,
        timeframe=series.timeframe,
        closed_end=period.end,
        period_start=period.start,
        period_end=period.end,
    )
    partition = Partition("ohlcv", series, period)
    note = CommitNote(source="bench", fetched_at=period.end)
    lake.store.commit(partition, rows, merge=merge_candles, audit=audit, note=note)


def measure_bytes(folder: Path) -> None:
    """Compare the size of our files with polars' own, on real candles where there are some."""
    from data_platform.domain.candles import CANDLE_SCHEMA
    from data_platform.domain.layers import Partition
    from data_platform.domain.markets import Pair, Series
    from data_platform.domain.periods import period_of
    from data_platform.domain.timeframes import to_timeframe
    from data_platform.storage.parquet_file import encode

    where = os.environ.get("REAL_CANDLES")
    if not where:
        print("bytes a candle: REAL_CANDLES names no folder of real candles\n")
        return
    series = Series("binance", Pair("BTC/USDT"), to_timeframe("1m"))
    sizes = [0, 0, 0]
    for path in sorted(Path(where).glob("*__1m.parquet")):
        given = pl.read_parquet(path).rename({"timestamp": "open_time"}, strict=False)
        named = {name: name for name in given.columns if name in CANDLE_SCHEMA}
        if set(named) != set(CANDLE_SCHEMA):
            continue
        rows = given.select(CANDLE_SCHEMA.names()).drop_nulls().cast(CANDLE_SCHEMA)
        rows = rows.unique("open_time").sort("open_time")
        by_month = rows.group_by(pl.col("open_time").dt.strftime("%Y-%m"), maintain_order=True)
        for _, month in by_month:
            partition = Partition("ohlcv", series, period_of(month["open_time"][0]))
            month.write_parquet(folder / "plain.parquet", compression="zstd")
            sizes[0] += month.height
            sizes[1] += len(encode(partition, month))
            sizes[2] += (folder / "plain.parquet").stat().st_size
    if not sizes[0]:
        print("bytes a candle: no 1m candles with the lake's columns found\n")
        return
    count, ours, plain = sizes
    print(
        f"{count:,} real 1m candles: {ours / count:.2f} bytes a candle, polars {plain / count:.2f}"
    )
    print(f"ratio: {ours / plain:.3f} (bar {BYTES_BAR})\n")


def measure_read(lake: Path, options: argparse.Namespace) -> None:
    """Compare the macro with the one file that it has to open."""
    import duckdb

    from data_platform.storage.catalog import open_catalog
    from data_platform.storage.state import State

    data = lake
    state = State(f"sqlite:///{data}/state.db")
    day = f"{FIRST_YEAR + options.years - 1}-06-15"
    inside = f"open_time >= '{day}' AND open_time < TIMESTAMPTZ '{day}' + INTERVAL 1 DAY"
    file = data / (
        f"ohlcv/exchange=binance/timeframe=1m/pair=BTC-USDT/period={day[:7]}/candles.parquet"
    )
    after = f"{FIRST_YEAR + options.years - 1}-06-16"
    series = "'binance', '1m', 'BTC-USDT'"
    macro = f"SELECT * FROM candles({series}, since := '{day}', until := '{after}')"  # noqa: S608
    unbound = f"SELECT * FROM candles({series}) WHERE {inside}"  # noqa: S608
    direct = f"SELECT * FROM read_parquet('{file}', hive_partitioning = false) WHERE {inside}"  # noqa: S608
    over_all = f"SELECT max(high) FROM candles WHERE timeframe = '1d' AND {inside}"  # noqa: S608
    with open_catalog(data, state) as door, duckdb.connect() as plain:
        plain.execute("SET TimeZone = 'UTC'")
        assert door.sql(macro).fetchall() == plain.sql(direct).fetchall()
        ours = median(lambda: door.sql(macro).fetchall(), options.rounds)
        slower = median(lambda: door.sql(unbound).fetchall(), options.rounds)
        alone = median(lambda: plain.sql(direct).fetchall(), options.rounds)
        plan = str(door.sql(f"EXPLAIN ANALYZE {macro}").fetchall())
        everything = median(lambda: door.sql(over_all).fetchall(), 3)
    state.close()
    words = [part for part in plan.replace("\\n", "\n").splitlines() if "iles" in part]
    print(f"one day of one pair of {options.years} years: macro {ours * 1000:.1f} ms", end=", ")
    print(f"its file alone {alone * 1000:.1f} ms; ratio {ours / alone:.2f} (bar {READ_BAR})")
    print(f"the same by a condition on open_time: {slower * 1000:.1f} ms; {slower / alone:.2f}")
    print(f"plan: {' '.join(' '.join(words).replace('│', ' ').split()) or 'no word of files'}")
    print(f"one day of all 40 series of 1d through the view: {everything * 1000:.0f} ms\n")


def measure_status(lake: Path, folder: Path) -> None:
    """Time the command that tells how far every series is, as a whole process."""
    config = folder / "platform.yaml"
    pairs = ", ".join(f"{base}/USDT" for base in BASES)
    exchanges = [f"  {name}: {{start: {FIRST_YEAR}-01-01, pairs: [{pairs}]}}" for name in EXCHANGES]
    config.write_text("\n".join(["exchanges:", *exchanges]) + "\n")
    environ = {
        **os.environ,
        "DATA_PLATFORM_CONFIG": str(config),
        "DATA_PLATFORM_DATA": str(lake),
    }

    def run() -> None:
        command = [sys.executable, "-m", "data_platform.cli.main", "status"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        # It exits 1: candles of past years are late.
        assert done.returncode == 1, done.stderr[-2000:]
        assert "Traceback" not in done.stderr, done.stderr[-2000:]

    print(f"status: {median(run, 3):.2f} s (bar {LOOK_BAR_SECONDS})\n")


def median(work: Callable[[], object], rounds: int) -> float:
    """Return the median of seconds."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def once(work: Callable[[], object]) -> float:
    """Return the seconds of one round."""
    return median(work, 1)


if __name__ == "__main__":
    main()
