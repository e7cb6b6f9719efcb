import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from data_platform.cli.messages import Outcome, Report
from data_platform.cli.orders import Order
from data_platform.cli.worker_pool import PoolResult, WorkerPlan, run_workers
from data_platform.domain.errors import StorageError
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe

SPEAK = """
import json, sys
order = json.loads(sys.stdin.readline())
name = order["exchange"]
def say(**message):
    print(json.dumps(message), flush=True)
"""


def order_of(exchange: str) -> Order:
    return Order(exchange, (Pair("A/B"),), (to_timeframe("1h"),), ("ohlcv",), (Period(2026, 1),))


def run(folder: Path, script: str, *exchanges: str) -> tuple[PoolResult, list[Report]]:
    reports: list[Report] = []
    command = (sys.executable, "-c", SPEAK + script)
    plan = WorkerPlan(command, {"PATH": os.environ["PATH"]}, folder / "logs")
    orders = [order_of(exchange) for exchange in exchanges]
    return run_workers(orders, plan, reports.append, lambda: None), reports


def interrupt_after(seconds: float, number: int = signal.SIGINT, times: int = 1) -> None:
    def press() -> None:
        for _ in range(times):
            time.sleep(seconds)
            os.kill(os.getpid(), number)

    threading.Thread(target=press, daemon=True).start()


def test_workers_run_side_by_side_and_are_heard(tmp_path: Path) -> None:
    script = """
print("noise of a library")
for done in (1, 2):
    say(kind="report", exchange=name, done_partitions=done, total_partitions=2)
say(kind="outcome", exchange=name, success=name == "okx", run_ids=["run"], failures=["x"])
"""
    result, reports = run(tmp_path, script, "binance", "okx")
    assert result.outcomes["okx"] == Outcome("okx", success=True, run_ids=("run",), failures=("x",))
    assert not result.outcomes["binance"].success
    assert not result.is_stopped
    assert [it.done_partitions for it in reports if it.exchange == "okx"] == [1, 2]


DYING = """
import os
os.write(2, {text!r})
say(kind="report", exchange=str(os.getpid()))
{end}
"""


def death_of(folder: Path, text: bytes, end: str) -> tuple[str, str]:
    """Return what is told of a worker that writes a log and dies, and its process number."""
    result, reports = run(folder, DYING.format(text=text, end=end), "okx")
    assert not result.outcomes["okx"].success
    (line,) = result.outcomes["okx"].failures
    return line, reports[0].exchange


def test_a_worker_that_ends_by_an_error_is_told_with_it(tmp_path: Path) -> None:
    line, process = death_of(
        tmp_path, b"Traceback\n  a line\nMemoryError: too much.\n", "os._exit(3)"
    )
    assert line == (
        f"okx: its process {process} ended with exit code 3: MemoryError: too much. Every commit "
        f"before is stored; the same command goes on from there. Log: {tmp_path}/logs/okx.log"
    )


def test_a_worker_that_is_killed_is_told_by_its_signal(tmp_path: Path) -> None:
    stray = b"warning: x\n  warnings.warn(message)\n"
    for end, told in (
        ("os.kill(os.getpid(), 9)", "SIGKILL (by somebody, or by the system when memory ran out"),
        ("os.kill(os.getpid(), 15)", "SIGTERM (not by this program)"),
        ("os.abort()", "SIGABRT (not by this program)"),
    ):
        line, process = death_of(tmp_path, stray, end)
        assert line.startswith(f"okx: its process {process} was ended by {told}")
        assert "warnings.warn" not in line


def test_the_death_of_one_leaves_the_others(tmp_path: Path) -> None:
    script = """
if name == "okx":
    sys.exit(3)
say(kind="outcome", exchange=name, success=True, run_ids=[], failures=[])
"""
    result, _ = run(tmp_path, script, "binance", "okx")
    assert result.outcomes["binance"].success
    assert "ended with exit code 3. Every commit" in result.outcomes["okx"].failures[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_asks_every_worker_to_stop_and_waits(tmp_path: Path, number: int) -> None:
    script = """
say(kind="report", exchange=name)
word = sys.stdin.readline()
say(kind="outcome", exchange=name, success=False, run_ids=[], failures=[word.strip()])
"""
    interrupt_after(0.5, number)
    result, _ = run(tmp_path, script, "binance", "okx")
    assert result.is_stopped
    assert {it.failures for it in result.outcomes.values()} == {("stop",)}


def test_the_interrupt_reaches_no_worker_itself(tmp_path: Path) -> None:
    script = """
import os
say(kind="outcome", exchange=name, success=os.getsid(0) == os.getpid(), run_ids=[], failures=[])
"""
    result, _ = run(tmp_path, script, "okx")
    assert result.outcomes["okx"].success


def test_a_second_interrupt_kills(tmp_path: Path) -> None:
    started = time.monotonic()
    interrupt_after(0.5, times=2)
    result, _ = run(tmp_path, "import time; time.sleep(60)", "okx")
    assert time.monotonic() - started < 10
    assert "was ended by SIGKILL (the second Ctrl-C)" in result.outcomes["okx"].failures[0]


def test_a_worker_sees_the_end_of_its_parent(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from data_platform_tests.cli import test_worker_pool as here
import threading
threading.Timer(1.0, os._exit, (0,)).start()
here.run(Path({str(tmp_path)!r}), '''
word = sys.stdin.readline()
open({str(tmp_path / "word")!r}, "w").write(repr(word))
''', "okx")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    deadline = time.monotonic() + 5
    word = tmp_path / "word"
    while not (word.exists() and word.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert word.read_text() == "''"


def test_handlers_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    run(tmp_path, "", "okx")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(
        StorageError, match=r"okx: cannot start its process with the log .*okx\.log"
    ):
        run(tmp_path, "", "okx")
