"""The line under Dagster's own daemon and webserver, in processes of their own; minutes long."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from data_platform.settings import PROJECT_ROOT
from data_platform_tests.small_line import ALL_LAYERS, SmallLine, open_small_line

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
PAIRS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
TIMEFRAMES = ("1h", "1d")
MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04")
LOCATION = {
    "repositoryLocationName": "data_platform.definitions",
    "repositoryName": "__repository__",
}

CONFIG = """\
exchanges:
  binance:
    start: {start}
    pairs: [BTC/USDT, ETH/USDT, SOL/USDT]
    timeframes: [1h, 1d]
    rate_limit: 60000
refresh: {{candles: 1m, derived: 1m, exports: 1m}}
"""

LAUNCH = """
mutation($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""

START_SENSOR = """
mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) { __typename } }
"""


def start_process(line: SmallLine, *words: str) -> "subprocess.Popen[bytes]":
    """Start one of Dagster's programs on a line, in a group of its own with all it starts."""
    with (line.root / "processes.log").open("a") as log:
        return subprocess.Popen(
            [str(BIN / words[0]), *words[1:], "-m", "data_platform.definitions"],
            env=line.environment,
            cwd=PROJECT_ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def start_daemon(line: SmallLine) -> "subprocess.Popen[bytes]":
    return start_process(line, "dagster-daemon", "run")


def start_processes(line: SmallLine, port: int) -> list["subprocess.Popen[bytes]"]:
    """Start daemon and webserver on a line."""
    webserver = start_process(line, "dagster-webserver", "-h", "127.0.0.1", "-p", str(port))
    return [start_daemon(line), webserver]


@contextmanager
def processes(
    line: SmallLine, port: int, started: list["subprocess.Popen[bytes]"] | None = None
) -> Iterator[Callable[[str, dict[str, Any]], Any]]:
    """Run webserver and daemon on a line; give a function that asks the webserver's GraphQL."""
    started = started or start_processes(line, port)

    def ask(query: str, variables: dict[str, Any]) -> Any:  # noqa: ANN401  (GraphQL is JSON)
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def is_up() -> bool:
        try:
            return bool(ask("{ version }", {}))
        except OSError:
            return False

    try:
        wait_for(is_up, 90)
        yield ask
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=60)


def wait_for(is_done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(1)


def finished_runs(line: SmallLine) -> list[dg.DagsterRun]:
    return [run for run in line.instance.get_runs() if run.is_finished]


def test_backfill_of_the_whole_line_is_one_run_per_pair(tmp_path: Path, free_port: int) -> None:
    keys = [f"{pair}|{month}" for pair, month in product(PAIRS, MONTHS)]
    tables = [["binance", f"{layer}_{each}"] for layer in ALL_LAYERS for each in TIMEFRAMES]
    parameters = {
        "assetSelection": [{"path": path} for path in tables],
        "partitionNames": keys,
        "fromFailure": False,
    }
    with open_small_line(tmp_path, CONFIG.format(start="2024-01-01")) as line:
        line.clock[0] = datetime(2024, 5, 1, 0, 0, 7, tzinfo=UTC)
        with processes(line, free_port) as ask:
            launched = ask(LAUNCH, {"parameters": parameters})["launchPartitionBackfill"]
            assert launched["__typename"] == "LaunchBackfillSuccess", launched
            wait_for(lambda: len(finished_runs(line)) >= len(PAIRS), 300)
            backfill = line.instance.get_backfill(launched["backfillId"])
            assert backfill is not None
            wait_for(
                lambda: (
                    not line.instance.get_runs(
                        dg.RunsFilter(statuses=[DagsterRunStatus.QUEUED, DagsterRunStatus.STARTED])
                    )
                ),
                120,
            )
        runs = line.instance.get_runs()
        assert [run.status for run in runs] == [DagsterRunStatus.SUCCESS] * len(PAIRS)
        for layer, each in product(ALL_LAYERS, TIMEFRAMES):
            assert line.materialized(layer, each) == set(keys)
        with line.lake() as lake:
            stored = {row.series.pair.key: 0 for row in lake.store.journal_rows("ohlcv")}
            for row in lake.store.journal_rows("ohlcv"):
                stored[row.series.pair.key] += row.rows
        assert stored == dict.fromkeys(PAIRS, 121 * 24 + 121)


def test_daemon_runs_what_the_sensor_asks_for_with_its_checks(
    tmp_path: Path, free_port: int
) -> None:
    now = datetime.now(tz=UTC)
    with open_small_line(tmp_path, CONFIG.format(start=f"{now:%Y-%m}-01")) as line:
        line.clock[0] = now
        selector = {**LOCATION, "sensorName": "binance_new_candle_sensor"}
        with processes(line, free_port) as ask:
            ask(START_SENSOR, {"selector": selector})
            wait_for(lambda: len(finished_runs(line)) >= 1, 120)
        (run,) = finished_runs(line)
        assert run.status == DagsterRunStatus.SUCCESS
        assert run.tags["tick"] == "binance"
        records = line.instance.get_records_for_run(run.run_id).records
        events = [it.event_log_entry.dagster_event for it in records]
        judged = {
            event.asset_check_evaluation_data.asset_key.path[-1]
            for event in events
            if event and event.event_type_value == "ASSET_CHECK_EVALUATION"
        }
        assert judged == {f"{layer}_{each}" for layer in ALL_LAYERS for each in TIMEFRAMES}
        # The files for other programs, behind them in the same run.
        written = {event.asset_key.path[-1] for event in events if event and event.asset_key}
        assert "market_state" in written
        status = json.loads((line.root / "data/state/data_status.json").read_text())
        assert len(status["markets"]) == len(PAIRS)
        # What has not ended would be run again at the next start.
        assert len(line.instance.get_runs()) == 1


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
