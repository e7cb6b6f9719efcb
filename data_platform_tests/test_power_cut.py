"""R11 of the reliability catalogue: a power cut in mid-backfill, a restart, the doctor."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from data_platform.domain.periods import Period, periods_between
from data_platform.operations.verify import verify_lake
from data_platform.settings import PROJECT_ROOT
from data_platform.storage.inventory import Chosen
from data_platform.stuck_runs import AT_WORK
from data_platform_tests.factories import stored
from data_platform_tests.small_line import (
    ALL_LAYERS,
    BTC,
    ETH,
    SOL,
    SmallLine,
    open_small_line,
    series,
)
from data_platform_tests.test_daemon import LAUNCH, free_port, processes, start_processes, wait_for

__all__ = ["free_port"]

pytestmark = pytest.mark.slow

PAIRS = (BTC, ETH, SOL)
TIMEFRAMES = ("15m", "1h", "1d")
CONFIG = """\
exchanges:
  binance:
    start: {start}
    pairs: [BTC/USDT, ETH/USDT, SOL/USDT]
    timeframes: [15m, 1h, 1d]
    rate_limit: 300
refresh: {{candles: 15m, derived: 1h, exports: 1d}}
"""
MONTHS = 7
ENOUGH_FILES = 30
"""Committed before the power goes: some months of some pairs, and not all."""


def power_off(started: "list[subprocess.Popen[bytes]]", line: SmallLine) -> None:
    """Kill everything at once, as the end of the current does."""
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
    for process in started:
        process.wait(timeout=60)
    # Run workers are children of the code server; one in a group of its own would go on writing.
    before = files_of(line)
    time.sleep(3)
    assert files_of(line) == before, "somebody writes on"


def files_of(line: SmallLine) -> int:
    return sum(1 for _ in (line.root / "data").rglob("candles.parquet"))


def runs_at_work(line: SmallLine) -> Sequence[dg.DagsterRun]:
    return line.instance.get_runs(dg.RunsFilter(statuses=AT_WORK))


def see_doctor(line: SmallLine) -> tuple[int, dict[str, list[str]]]:
    done = subprocess.run(
        [sys.executable, "-m", "data_platform.cli.main", "doctor", "--yes", "--json"],
        env=line.environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)


def launch(ask: Callable[[str, dict[str, Any]], Any], periods: list[Period]) -> None:
    tables = [["binance", f"{layer}_{each}"] for layer, each in product(ALL_LAYERS, TIMEFRAMES)]
    parameters = {
        "assetSelection": [{"path": path} for path in tables],
        "partitionNames": [f"{pair.key}|{month}" for pair, month in product(PAIRS, periods)],
        "fromFailure": False,
    }
    launched = ask(LAUNCH, {"parameters": parameters})["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched


def test_r11_after_a_power_cut_the_doctor_leaves_everything_stored(
    tmp_path: Path, free_port: int
) -> None:
    now = datetime.now(UTC)
    periods = list(periods_between(now - timedelta(days=30 * MONTHS), now))
    start = periods[0].start
    with open_small_line(tmp_path, CONFIG.format(start=f"{start:%Y-%m-%d}")) as line:
        line.clock[0] = now
        started = start_processes(line, free_port)
        with processes(line, free_port, started) as ask:
            launch(ask, periods)
            wait_for(lambda: files_of(line) >= ENOUGH_FILES and bool(runs_at_work(line)), 300)
            power_off(started, line)
        stuck = runs_at_work(line)
        whole = len(PAIRS) * len(TIMEFRAMES) * len(periods) * 4
        assert stuck, "the power went when no run was at work"
        assert files_of(line) < whole, "the power went too late"

        code, told = see_doctor(line)
        assert (code, told["remaining"]) == (0, []), told
        assert sum("whose process is gone" in step for step in told["done"]) == len(stuck)
        assert runs_at_work(line) == []
        assert see_doctor(line) == (0, {"steps": [], "done": [], "remaining": [], "error": ""})

        # What the daemon still has to do finds everything done.
        with processes(line, free_port):
            wait_for(lambda: not unfinished(line), 300)
        assert runs_at_work(line) == []
        settings = line.settings
        assert verify_lake(settings.data_root, settings.state_url, Chosen()).verdict == "sound"
        with line.lake() as lake:
            for pair, timeframe in product(PAIRS, TIMEFRAMES):
                own = series(pair, timeframe)
                frame = stored(lake, own)
                truth = line.simulator.candles(own, start, now)
                assert frame["open_time"].is_unique().all()
                assert frame.equals(truth.filter(truth["open_time"] <= frame["open_time"][-1]))
            rows = {(row.layer, row.series, row.period) for row in lake.store.journal_rows()}
        for layer, pair, timeframe, period in product(
            ("ohlcv", "filled", "indicators", "features"), PAIRS, TIMEFRAMES, periods
        ):
            assert (layer, series(pair, timeframe), period) in rows


def unfinished(line: SmallLine) -> Sequence[dg.DagsterRun]:
    waiting = [*AT_WORK, DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED]
    return line.instance.get_runs(dg.RunsFilter(statuses=waiting))
