"""A backfill by the real command, killed in the middle and begun again."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from data_platform.domain.candles import TimeRange
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period, period_of, periods_between
from data_platform_tests.small_line import BTC, ETH, SOL, SmallLine, open_small_line

CONFIG = """\
exchanges:
  binance:
    start: 2023-03-01
    pairs: [BTC/USDT, ETH/USDT, SOL/USDT]
    timeframes: [1h]
    rate_limit: 900
"""
LAYERS = ("ohlcv", "filled")
COMMAND = (
    *(sys.executable, "-m", "data_platform.cli.main", "download", "--end", "2024-03-01"),
    *("--layer", "ohlcv", "--layer", "filled"),
)
ENOUGH_FILES = 9
HOUR_MS = 3_600_000


def start(line: SmallLine) -> "subprocess.Popen[bytes]":
    """Begin to download, in a group of its own with all it starts."""
    return subprocess.Popen(
        COMMAND,
        env=line.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_with_workers(process: "subprocess.Popen[bytes]") -> None:
    """Kill a download and its workers, which have sessions of their own, at once."""
    # Stopped first, so that the one does not notice the other's end.
    os.kill(process.pid, signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    listed = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    assert listed
    for pid in (*map(int, listed), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{pid}/stat").exists() for pid in listed):
        time.sleep(0.01)


def candle_files(line: SmallLine) -> set[tuple[str, str]]:
    """Return pair and month of each file of candles that is in its place."""
    found = (line.root / "data/ohlcv").rglob("candles.parquet")
    return {
        (path.parts[-3].removeprefix("pair="), path.parts[-2].removeprefix("period="))
        for path in found
    }


def committed(line: SmallLine) -> set[tuple[str, str]]:
    """Return pair and month of which the journal tells: a file alone may be half of a commit."""
    with line.lake() as lake:
        rows = lake.store.journal_rows("ohlcv", "binance")
    return {(row.series.pair.key, row.period.key) for row in rows if row.period}


def contents(line: SmallLine) -> dict[str, bytes]:
    data = line.root / "data"
    return {
        path.relative_to(data).as_posix(): path.read_bytes()
        for layer in LAYERS
        for path in sorted((data / layer).rglob("*"))
        if path.is_file()
    }


def asked(line: SmallLine, first: int) -> list[tuple[Pair, TimeRange]]:
    """Return pair and range of each request for candles from the given one on."""
    entries = [it for it in line.simulator.scorer.log() if it["endpoint"] == "ohlcv"][first:]
    ranges = []
    for entry in entries:
        since, limit = int(str(entry["since"])), int(str(entry["limit"]))
        edges = (since / 1000, (since + limit * HOUR_MS) / 1000)
        begin, end = (datetime.fromtimestamp(edge, UTC) for edge in edges)
        ranges.append((Pair(str(entry["symbol"])), TimeRange(begin, end)))
    return ranges


def touched(part: TimeRange, until: Period) -> set[str]:
    months, period = set(), period_of(part.start)
    while period.start < part.end and period != until:
        months.add(period.key)
        period = period.next
    return months


def test_r14_only_what_is_missing_is_asked_for_again_after_a_kill(tmp_path: Path) -> None:
    with open_small_line(tmp_path / "whole", CONFIG) as whole:
        assert whole.materialize(
            layers=LAYERS, timeframes=("1h",), months=("2023-03", "2024-02")
        ).success
        undisturbed = contents(whole)
    with open_small_line(tmp_path / "killed", CONFIG) as line:
        process = start(line)
        try:
            while len(candle_files(line)) < ENOUGH_FILES:
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.005)
        finally:
            kill_with_workers(process)
        left, made = committed(line), len(asked(line, 0))
        assert len(left) < 36, "it was killed too late"

        assert start(line).wait(timeout=240) == 0
        again = asked(line, made)
        months = {(pair.key, month) for pair, it in again for month in touched(it, Period(2024, 3))}
        assert months.isdisjoint(left), months & left
        wanted = periods_between(Period(2023, 3).start, Period(2024, 3).start)
        assert months | left == {(it.key, at.key) for it, at in product((BTC, ETH, SOL), wanted)}
        assert contents(line) == undisturbed
