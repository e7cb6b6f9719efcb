"""Who can reach the user interface, and what it lets them do: the commands of `make`, run."""

import json
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

from data_platform.settings import PROJECT_ROOT
from data_platform_tests.small_line import SmallLine
from data_platform_tests.test_daemon import LAUNCH, LOCATION, START_SENSOR, free_port

__all__ = ["free_port"]

BIN = Path(sys.executable).parent
LISTENING = "0A"
LOOPBACK = "0100007F"

BACKFILL = {
    "assetSelection": [{"path": ["binance", "ohlcv_1h"]}],
    "partitionNames": ["BTC-USDT|2024-02"],
    "fromFailure": False,
}
ASSET = [{"assetKey": {"path": ["binance", "ohlcv_1h"]}}]
SENSOR = {**LOCATION, "sensorName": "binance_new_candle_sensor"}
WIPE = """
mutation($ranges: [PartitionsByAssetSelector!]!) {
  wipeAssets(assetPartitionRanges: $ranges) { __typename }
}
"""
DELETE = "mutation($run: String!) { deletePipelineRun(runId: $run) { __typename } }"
SHUT = """
mutation($name: String!) {
  shutdownRepositoryLocation(repositoryLocationName: $name) { __typename }
}
"""
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "launch a backfill": (LAUNCH, {"parameters": BACKFILL}),
    "start a sensor": (START_SENSOR, {"selector": SENSOR}),
    "wipe an asset": (WIPE, {"ranges": ASSET}),
    "delete a run": (DELETE, {"run": ""}),
    "stop the code": (SHUT, {"name": "data_platform.definitions"}),
}


def command_of(target: str, port: int) -> list[str]:
    """Return what `make` would run for a target, on another port."""
    told = subprocess.run(
        ["make", "-n", target], cwd=PROJECT_ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    program, *words = shlex.split(next(line for line in told if line.startswith("dagster")))
    assert words[words.index("--port") + 1] == "3000"
    words[words.index("--port") + 1] = str(port)
    return [str(BIN / program), *words]


def listening(port: int) -> set[str]:
    """Return the addresses at which this machine listens to a port, as the kernel says."""
    lines = []
    for table in ("tcp", "tcp6"):
        lines += Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {
        row[1].split(":")[0]
        for row in rows
        if row[3] == LISTENING and int(row[1].split(":")[1], 16) == port
    }


@contextmanager
def serving(line: SmallLine, target: str, port: int) -> Iterator[None]:
    """Run a target's command on a line until it answers; end it with all it has started."""
    with (line.root / f"{target}.log").open("w") as log:
        process = subprocess.Popen(
            command_of(target, port),
            env=line.environment,
            cwd=PROJECT_ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 120
            while not is_up(port):
                assert process.poll() is None, (line.root / f"{target}.log").read_text()[-2000:]
                assert time.monotonic() < deadline, "it did not come up"
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def is_up(port: int) -> bool:
    try:
        return bool(ask(port, "{ version }", {}).get("data"))
    except (URLError, ConnectionError):
        return False


def ask(port: int, query: str, variables: dict[str, Any], **headers: str) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


def state_of(line: SmallLine) -> tuple[object, ...]:
    """Return what a change would move: runs, backfills, sensors, what is materialized."""
    instance = line.instance
    return (
        [(run.run_id, run.status) for run in instance.get_runs()],
        instance.get_backfills(),
        instance.all_instigator_state(),
        line.materialized("ohlcv", "1h"),
    )


def test_r30_the_readonly_interface_refuses_every_change_and_listens_to_this_machine_alone(
    stored_line: SmallLine, free_port: int
) -> None:
    before = state_of(stored_line)
    assert before[0]
    run_id = stored_line.instance.get_runs()[0].run_id
    with serving(stored_line, "ui-readonly", free_port):
        assert listening(free_port) == {LOOPBACK}
        for what, (query, named) in CHANGES.items():
            variables = {**named, "run": run_id} if "run" in named else named
            told = [
                ask(free_port, query, variables),
                ask(free_port, query, variables, Origin="https://elsewhere.example"),
                ask_by_address(free_port, query, variables),
            ]
            assert [kinds_of(each) for each in told] == [{"UnauthorizedError"}] * 3, (what, told)
    assert state_of(stored_line) == before


def test_r30_the_interface_listens_to_this_machine_alone(
    empty_line: SmallLine, free_port: int
) -> None:
    with serving(empty_line, "ui", free_port):
        assert listening(free_port) == {LOOPBACK}


def test_r30_the_risk_of_a_machine_with_other_users_is_told() -> None:
    readme = " ".join((PROJECT_ROOT / "README.md").read_text().split())
    assert "user of the machine" in readme
    assert "`make ui-readonly` refuses every change" in readme


def kinds_of(answer: dict[str, Any]) -> set[str]:
    return {each["__typename"] for each in answer["data"].values()}


def ask_by_address(port: int, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Ask as a link on a foreign page does: everything in the address."""
    words = urlencode({"query": query, "variables": json.dumps(variables)})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/graphql?{words}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found
