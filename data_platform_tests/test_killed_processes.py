"""What becomes of a line when one of Dagster's processes dies, each in turn."""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.storage.tags import RUN_KEY_TAG

from data_platform.domain.periods import periods_between
from data_platform.operations.verify import verify_lake
from data_platform.storage.inventory import Chosen
from data_platform_tests.factories import stored
from data_platform_tests.small_line import BTC, SmallLine, open_small_line, series
from data_platform_tests.test_daemon import (
    LOCATION,
    START_SENSOR,
    free_port,
    processes,
    start_daemon,
    start_processes,
    wait_for,
)
from data_platform_tests.test_power_cut import (
    CONFIG,
    PAIRS,
    TIMEFRAMES,
    files_of,
    launch,
    runs_at_work,
    unfinished,
)

__all__ = ["free_port"]

pytestmark = pytest.mark.slow

DAYS = 100
ENOUGH_FILES = 6


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def spells(pid: int, words: str) -> bool:
    return words in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def find_victim(daemon: int, name: str) -> int:
    """Return the process of that name: steps run in the worker of their run, not beside it."""
    # The daemon puts a new code server beside one that still has a run.
    servers = [it for it in children(daemon) if spells(it, "api grpc")]
    (worker, code_server), *_ = [
        (child, it) for it in servers for child in children(it) if spells(child, "spawn_main")
    ]
    return {"daemon": daemon, "code server": code_server, "run worker": worker}[name]


def restart_daemon(line: SmallLine, started: "list[subprocess.Popen[bytes]]") -> None:
    """Kill the daemon, if it lives, and start another; what its code server runs goes on."""
    started[0].kill()
    started[0].wait()
    started[0] = start_daemon(line)


@pytest.mark.parametrize("name", ["run worker", "code server", "daemon"])
def test_r12_a_process_that_dies_in_a_backfill_costs_no_candle(
    tmp_path: Path, free_port: int, name: str
) -> None:
    now = datetime.now(UTC)
    periods = list(periods_between(now - timedelta(days=DAYS), now))
    with open_small_line(tmp_path, CONFIG.format(start=f"{periods[0].start:%Y-%m-%d}")) as line:
        line.clock[0] = now
        started = start_processes(line, free_port)
        with processes(line, free_port, started) as ask:
            launch(ask, periods)
            wait_for(lambda: files_of(line) >= ENOUGH_FILES and bool(runs_at_work(line)), 300)
            os.kill(find_victim(started[0].pid, name), signal.SIGKILL)
            assert unfinished(line), "it was killed too late"
            if name != "run worker":
                # What watches over services starts them again; the daemon brings its own server.
                restart_daemon(line, started)
            wait_for(lambda: not unfinished(line) and len(succeeded(line)) >= len(PAIRS), 400)
        settings = line.settings
        assert verify_lake(settings.data_root, settings.state_url, Chosen()).verdict == "sound"
        with line.lake() as lake:
            for pair, timeframe in product(PAIRS, TIMEFRAMES):
                own = series(pair, timeframe)
                frame = stored(lake, own)
                truth = line.simulator.candles(own, periods[0].start, now)
                assert frame.equals(truth.filter(truth["open_time"] <= frame["open_time"][-1]))
                assert truth.height - frame.height <= 2
            rows = {(row.layer, row.series, row.period) for row in lake.store.journal_rows()}
        for layer, pair, timeframe, period in product(
            ("ohlcv", "filled", "indicators", "features"), PAIRS, TIMEFRAMES, periods
        ):
            assert (layer, series(pair, timeframe), period) in rows
        if name == "run worker":
            assert any(run.parent_run_id for run in succeeded(line)), "it was not tried again"


def succeeded(line: SmallLine) -> list[dg.DagsterRun]:
    runs = line.instance.get_runs(dg.RunsFilter(statuses=[DagsterRunStatus.SUCCESS]))
    return list(runs)


MINUTES = """\
exchanges:
  binance:
    start: {start}
    pairs: [BTC/USDT]
    timeframes: [1m]
    rate_limit: 60000
refresh: {{candles: 1m, derived: 1d, exports: 1d}}
"""
RESTARTS = 10


@contextmanager
def running_clock(line: SmallLine) -> Iterator[None]:
    """Let the exchange's clock go with the machine's."""
    ended = threading.Event()

    def turn() -> None:
        while not ended.wait(0.2):
            line.clock[0] = datetime.now(UTC)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def ticks_of(line: SmallLine) -> int:
    return sum(
        len(line.instance.get_ticks(state.instigator_origin_id, state.selector_id))
        for state in line.instance.all_instigator_state()
    )


def grown(line: SmallLine, than: int) -> Callable[[], bool]:
    return lambda: ticks_of(line) > than


def test_r13_ten_restarts_of_the_daemon_double_no_run_and_skip_no_candle(
    tmp_path: Path, free_port: int
) -> None:
    dice = random.Random(13)
    start = datetime.now(UTC) - timedelta(hours=12)
    with open_small_line(tmp_path, MINUTES.format(start=f"{start:%Y-%m-%d}")) as line:
        line.clock[0] = datetime.now(UTC)
        started = start_processes(line, free_port)
        selector = {**LOCATION, "sensorName": "binance_new_candle_sensor"}
        with running_clock(line), processes(line, free_port, started) as ask:
            ask(START_SENSOR, {"selector": selector})
            for _ in range(RESTARTS):
                wait_for(grown(line, ticks_of(line)), 120)
                time.sleep(dice.uniform(0, 6))
                restart_daemon(line, started)
            after = datetime.now(UTC)
            wait_for(lambda: newest(line) >= after, 240)
            wait_for(lambda: not unfinished(line), 120)
        keys = Counter(run.tags.get(RUN_KEY_TAG) for run in line.instance.get_runs())
        assert None not in keys
        assert len(keys) >= 3
        assert set(keys.values()) == {1}, keys
        with line.lake() as lake:
            own = series(BTC, "1m")
            frame = stored(lake, own)
            first = datetime(start.year, start.month, start.day, tzinfo=UTC)
            truth = line.simulator.candles(own, first, datetime.now(UTC))
            assert frame.equals(truth.filter(truth["open_time"] <= frame["open_time"][-1]))


def newest(line: SmallLine) -> datetime:
    with line.lake() as lake:
        frame = stored(lake, series(BTC, "1m"))
    found: datetime = frame["open_time"][-1] if frame.height else datetime(2000, 1, 1, tzinfo=UTC)
    return found
