"""What the report of a large lake costs, against counting its days in the Parquet files.

The lake is that of `verify.py`: 4 exchanges x 10 pairs x 6 timeframes x 5 years, 438,480
series-days. Its state is copied and made rough before it is measured: 2,000 silences a year and
series in the 1m and 5m of one exchange, an outage a month elsewhere, nine verdicts and a score for
every partition, a week of ticks in the log of runs.

1. The days of every series, from journal and ledger, against DuckDB counting them in the files.
2. The report as a whole: seconds, megabytes.

    python benchmarks/report.py --lake /tmp/lake
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from verify import BASES, EXCHANGES, NAMES, build

if TYPE_CHECKING:
    from data_platform.operations.health_report import ReportRules
    from data_platform.operations.lake import Lake

FIRST_YEAR = 2020
BAR_SECONDS, BAR_MB = 10.0, 5.0
ROUNDS = 3
THIN = ("coinbase", ("1m", "5m"))
SILENCES = 2_000
MS = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}
YEAR_MS = 365 * 86_400_000


def main() -> None:
    """Build the lake unless it is there, make its state rough, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, help="Build it here, or use what lies here.")
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--out", type=Path, help="Keep the page here.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root: Path = options.lake or Path(folder) / "lake"
        if not (root / "state.db").exists():
            build(root, len(BASES), 12 * options.years)
        state = Path(folder) / "state.db"
        shutil.copy(root / "state.db", state)
        measure(
            root, f"sqlite:///{state}", options.years, options.out or Path(folder) / "page.html"
        )


def measure(root: Path, url: str, years: int, page: Path) -> None:
    """Print both figures with their bars."""
    from data_platform.operations.coverage import cover_days
    from data_platform.operations.health_report import write_report
    from data_platform.operations.lake import open_lake

    lake = open_lake(root, url)
    gaps = roughen(lake, years)
    rules, now = rules_of(), datetime(FIRST_YEAR + years, 1, 1, 0, 0, 30, tzinfo=UTC)

    def cover() -> int:
        found = 0
        for each in rules.watched:
            grace = each.fresh.grace
            found += cover_days(lake, each.history, each.series, now, grace).days.height
        return found

    series = sum(len(each.series) for each in rules.watched)
    print(f"{series} series, {cover():,} series-days, {gaps:,} gaps in the ledger")
    ours = median(cover)
    alone = median(lambda: count_in_files(root), 1)
    print(
        f"days from journal and ledger {ours:.2f} s, counted by DuckDB in the files {alone:.2f} s",
        end="",
    )
    print(f"; ratio {ours / alone:.3f}")
    seconds = median(lambda: write_report(lake, rules, now, page))
    size = page.stat().st_size / 1e6
    print(f"report {seconds:.2f} s (bar {BAR_SECONDS:.0f}), {size:.2f} MB (bar {BAR_MB:.0f})")
    lake.state.close()


def rules_of() -> "ReportRules":
    """Return what the report tells of: every series of the lake."""
    from data_platform.domain.markets import Pair, Series
    from data_platform.domain.timeframes import to_timeframe
    from data_platform.operations.due import FreshnessLimits
    from data_platform.operations.health_report import ReportRules, Watched
    from data_platform.operations.missing import History
    from data_platform.quality.standards import Standards

    start = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    fresh = FreshnessLimits(timedelta(seconds=5), timedelta(minutes=5), Standards())
    pairs = [Pair(f"{base}/USDT") for base in BASES]
    watched = []
    for name in EXCHANGES:
        quiet = "omitted" if name == THIN[0] else "flat"
        own = [Series(name, pair, to_timeframe(it)) for pair in pairs for it in NAMES]
        history = History(quiet, dict.fromkeys(pairs, start))  # type: ignore[arg-type]
        watched.append(Watched(name, history, own, fresh))
    return ReportRules(watched)


def roughen(lake: "Lake", years: int) -> int:
    """Put gaps, verdicts, scores and runs into the state; return how many gaps."""
    from data_platform.storage.tables import COMMITS, GAPS, QUALITY, RUNS, VERDICTS

    with lake.state.write() as connection:
        partitions = connection.execute(sa.select(COMMITS)).mappings().all()
        gaps = [gap for row in partitions for gap in gaps_of(row)]
        fewer: dict[int, int] = {}
        for gap in gaps:
            fewer[gap["commit"]] = fewer.get(gap["commit"], 0) + gap["missing"]
        connection.execute(
            COMMITS.update()
            .where(COMMITS.c.id == sa.bindparam("row"))
            .values(rows=COMMITS.c.rows - sa.bindparam("fewer")),
            [{"row": row, "fewer": count} for row, count in fewer.items()],
        )
        names = [it.name for it in GAPS.columns if it.name != "id"]
        connection.execute(GAPS.insert(), [{it: gap[it] for it in names} for gap in gaps])
        for table, rows in ((VERDICTS, verdicts_of), (QUALITY, scores_of)):
            connection.execute(table.insert(), [it for row in partitions for it in rows(row)])
        connection.execute(RUNS.insert(), list(runs_of(years)))
    return len(gaps)


def gaps_of(row: sa.RowMapping) -> Iterator[dict[str, Any]]:
    """Yield a month's gaps: many silences in a thin market, one outage elsewhere."""
    step, dice = MS[row["timeframe"]], np.random.default_rng(row["id"])
    is_thin = row["exchange"] == THIN[0] and row["timeframe"] in THIN[1]
    count = SILENCES // 12 if is_thin else int(row["rows"] > 2 and row["id"] % 3 == 0)
    # Never two that touch, nor at an edge.
    slots = dice.choice(max(1, (row["rows"] - 2) // 4), count, replace=False)
    for slot in slots:
        start, length = row["first_open"] + step * (1 + 4 * int(slot)), int(dice.integers(1, 3))
        yield {
            **{name: row[name] for name in ("exchange", "timeframe", "pair")},
            "start": start,
            "end": start + step * length,
            "missing": length,
            "status": "no_trades" if is_thin else "outage",
            "confirmed": True,
            "evidence": "an answer with candles on both sides holds none",
            "tries": 1,
            "next_try": None,
            "commit": row["id"],
        }


def partition_of(row: sa.RowMapping) -> dict[str, str]:
    """Return the columns that name a partition."""
    names = ("layer", "exchange", "timeframe", "pair", "feature_set", "period")
    return {name: row[name] for name in names}


def verdicts_of(row: sa.RowMapping) -> Iterator[dict[str, Any]]:
    """Yield nine verdicts, one in a thousand of which has found ten rows."""
    for number in range(9):
        is_bad = (9 * row["id"] + number) % 1000 == 0
        rows = [
            f'{{"open_time": "2024-01-01 00:0{n}:00", "high": 1.5, "low": {n}.5}}'
            for n in range(10)
        ]
        yield {
            **partition_of(row),
            "rule": f"rule_number_{number}",
            "day": "2024-12-31",
            "severity": "error",
            "count": 10 * is_bad,
            "checked": row["rows"],
            "rows_json": f"[{', '.join(rows)}]" if is_bad else "[]",
            "threshold_json": "{}",
            "checked_at": row["committed_at"],
        }


def scores_of(row: sa.RowMapping) -> Iterator[dict[str, Any]]:
    """Yield a score."""
    score = 1 - (row["id"] % 97) / 1000
    shares = ("completeness", "validity", "consistency", "accuracy", "score_five", "score_four")
    yield {
        **partition_of(row),
        "day": "2024-12-31",
        "expected": row["rows"],
        "stored": row["rows"],
        **dict.fromkeys(shares, score),
        "timeliness": None,
        "absent": "timeliness",
        "profiles": "five_dimensions-v1",
        "basis": "",
        "checked_at": row["committed_at"],
    }


def runs_of(years: int) -> Iterator[dict[str, Any]]:
    """Yield a week of ticks of each exchange."""
    end = datetime(FIRST_YEAR + years, 1, 1, tzinfo=UTC)
    for number in range(7 * 1440):
        ended = round((end - timedelta(minutes=number)).timestamp() * 1000)
        for exchange in EXCHANGES:
            sums = dict.fromkeys(("steps", "written", "requests", "candles"), 10)
            yield {
                "run_id": f"tick-{number}",
                "exchange": exchange,
                "kind": "tick",
                "started_at": ended - 4000,
                "ended_at": ended,
                **sums,
                "failed": 0,
                "refused": 0,
                "retries": number % 50 == 0,
                "lag_ms": 7000,
                "errors_json": '{"transient": 1}' if number % 50 == 0 else "{}",
            }


def count_in_files(root: Path) -> int:
    """Return how many series-days have candles, as DuckDB counts them in the files."""
    import duckdb

    files = root / "ohlcv/*/*/*/*/candles.parquet"
    query = f"""
        SELECT exchange, timeframe, pair, time_bucket(INTERVAL 1 DAY, open_time) AS day, count(*)
        FROM read_parquet('{files}', hive_partitioning = true) GROUP BY ALL
    """  # noqa: S608  # our own path
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return len(connection.sql(query).fetchall())


def median(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median of seconds."""
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


if __name__ == "__main__":
    main()
