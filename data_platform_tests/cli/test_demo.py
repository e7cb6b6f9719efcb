import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from data_platform_tests.test_daemon import free_port, wait_for

__all__ = ["free_port"]

COMMAND = [sys.executable, "-m", "data_platform.cli.main", "demo"]


@pytest.mark.slow
def test_the_demo_runs_twice_and_the_second_time_asks_for_nothing_that_is_over(
    tmp_path: Path,
) -> None:
    first, second = run_demo(tmp_path), run_demo(tmp_path)
    assert past_requests(first) > 100
    assert past_requests(second) == 0
    for text in (first, second):
        assert len(re.findall(r"│ (?:binance|coinbase|kraken|okx) +│ \d+[mhd] ", text)) == 24
        assert "NautilusTrader: " in text


UI = """
import sys
from data_platform.cli import demo
demo.UI_PORT = int(sys.argv[1])
demo.demo(["--ui"])
"""

# Ends at once when told to, and leaves two behind that it has started; one does not listen.
CARELESS = "sleep 1000 & (trap '' TERM; sleep 1000) & echo up; trap 'exit 0' TERM; wait"

WHOLE = """
import sys
from data_platform.cli import demo
demo.STOP_SECONDS = 1.0
with demo._terminated_as_interrupted():
    demo.run_whole(["sh", "-c", sys.argv[1]])
"""


# The signal comes while the command has started and nobody knows its number yet.
HASTY = """
import os, signal, subprocess
from contextlib import suppress
real = subprocess.Popen
def hasty(*words, **options):
    process = real(*words, **options)
    os.kill(os.getpid(), signal.SIGTERM)
    return process
subprocess.Popen = hasty
with suppress(KeyboardInterrupt):
"""


def test_sigterm_that_comes_while_a_command_starts_leaves_nothing_behind() -> None:
    lines = WHOLE.strip().splitlines()
    whole = "\n".join([*lines[:3], HASTY.strip(), *(f"    {line}" for line in lines[3:])])
    with marked(sys.executable, "-c", whole, CARELESS) as (process, mark):
        process.wait(timeout=20)
        assert process.returncode == 0
        assert processes_with(mark) == []


def test_sigterm_leaves_nothing_of_a_command_behind() -> None:
    with marked(sys.executable, "-c", WHOLE, CARELESS) as (process, mark):
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        wait_for(lambda: len(processes_with(mark)) >= 4, 10)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        assert processes_with(mark) == []


@pytest.mark.slow
def test_sigterm_to_the_demos_interface_leaves_no_process_behind(
    tmp_path: Path, free_port: int
) -> None:
    with marked(sys.executable, "-c", UI, str(free_port), cwd=tmp_path) as (process, mark):
        wait_for(lambda: is_served(free_port), 300)
        names = " ".join(processes_with(mark))
        assert all(name in names for name in ("simulate", "dagster dev", "dagster_webserver"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 0
        assert processes_with(mark) == []


@contextmanager
def marked(*command: str, cwd: Path | None = None) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run a command whose every descendant can be found by its environment; end all of them."""
    mark = f"MARK={uuid4()}"
    name, value = mark.split("=")
    process = subprocess.Popen(
        command, cwd=cwd, env={**os.environ, name: value}, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process, mark
    finally:
        for folder in found_by(mark):
            with suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)
        process.communicate()


def found_by(mark: str) -> list[Path]:
    """Return the folders in /proc of the processes that live and carry a mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(folder)
    return found


def processes_with(mark: str) -> list[str]:
    names = []
    for folder in found_by(mark):
        with suppress(OSError):
            names.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return names


def is_served(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run_demo(folder: Path) -> str:
    done = subprocess.run(
        COMMAND, cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def past_requests(text: str) -> int:
    found = re.search(r"Requests for months that are over: ([\d,]+)", text)
    assert found
    return int(found[1].replace(",", ""))
