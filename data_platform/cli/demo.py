"""`data-platform demo`: the whole line on simulated exchanges, offline, in a lake of its own.

Stays out: anything the other commands do not do; it only calls them in a row.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import click

from data_platform.cli.download import is_success, run_orders
from data_platform.cli.line_table import has_failed, judge_line, to_line_table
from data_platform.cli.orders import Wish, to_orders
from data_platform.cli.output import open_console, to_table
from data_platform.cli.query import opened_catalog
from data_platform.cli.state import renew_state
from data_platform.cli.worker_pool import PoolResult
from data_platform.converters import CONVERTERS
from data_platform.domain.errors import DataPlatformError
from data_platform.settings import SIMULATOR_VARIABLE, Settings, demo_environment, load_settings
from data_platform.storage.answers import select

QUESTION = (
    "SELECT exchange, pair, count(*) AS days, min(low) AS low, max(high) AS high\n"
    "FROM candles WHERE timeframe = '1d' GROUP BY ALL ORDER BY ALL"
)


MODULE = ("-m", "data_platform.definitions")

UI_PORT = 3000

STOP_SECONDS = 30.0
"""How long what `dagster dev` has started may take to end by itself."""


@click.command()
@click.option("--ui", is_flag=True, help="Then open the Dagster UI with its sensors running.")
def demo(*, ui: bool) -> None:
    """Run the whole line on four simulated exchanges, without network.

    Starts a simulator on a free port, downloads configs/demo.yaml through Dagster into data/demo,
    and shows what is stored. A second run asks for nothing that is over.
    """
    os.environ.update(demo_environment())
    with _terminated_as_interrupted(), _simulator() as url:
        os.environ[SIMULATOR_VARIABLE] = url
        settings = load_settings()
        begun = datetime.now(UTC)
        result = run_orders(settings, to_orders(settings, Wish(), begun))
        if is_success(result):
            _build_catalog()
            renew_state(settings)
        is_good = _show(settings, result, begun) and is_success(result)
        if ui:
            _open_ui()
    sys.exit(0 if is_good else 1)


def _show(settings: Settings, result: PoolResult, begun: datetime) -> bool:
    console = open_console()
    past = sum(report.past_pages for report in result.reports.values())
    click.echo(f"\nRequests for months that are over: {past:,}")
    # Judged as of the beginning: how long the demo took does not make its candles late.
    rows = judge_line(settings, begun)
    console.print(to_line_table(rows))
    click.echo(f"\n{QUESTION}")
    with opened_catalog(settings) as door:
        console.print(to_table(select(door, QUESTION)))
    click.echo("\nExports:")
    for converter in CONVERTERS:
        folder = settings.data_root / "exports" / converter.name
        files = sum(1 for path in folder.rglob("*") if path.is_file())
        click.echo(f"  {converter.title}: {folder} ({files} files)")
    click.echo("\nTo look at it in the Dagster UI: make demo-ui")
    return not has_failed(rows)


@contextmanager
def _simulator() -> Iterator[str]:
    command = [sys.executable, "-m", "data_platform.cli.main", "simulate", "--port", "0"]
    # A session of its own: at Ctrl-C the download still needs it, to stop after its commit.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            if not line:
                raise DataPlatformError(
                    "the simulator did not start; run `make simulate` to see why."
                )
            yield line.split()[-1]
        finally:
            server.terminate()


def _build_catalog() -> None:
    done = _dagster("asset", "materialize", *MODULE, "--select", "catalog")
    if done.returncode:
        raise DataPlatformError(f"the catalogue could not be built: {done.stderr[-500:]}")


def _open_ui() -> None:
    address = ("--host", "127.0.0.1", "--port", str(UI_PORT))
    click.echo(
        f"\nhttp://127.0.0.1:{UI_PORT}, sensors running, a new candle every minute; Ctrl-C ends."
    )
    with suppress(KeyboardInterrupt):
        run_whole([sys.executable, "-m", "dagster", "dev", *address, *MODULE])


def run_whole(command: Sequence[str]) -> None:
    """Run a command until it ends, and leave nothing of what it started behind.

    It has a session of its own, so that a signal reaches it through here alone: `dagster dev` ends
    its services one after another, and what is still there afterwards is ended with its group.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with _signals_held():
            process = subprocess.Popen(list(command), start_new_session=True)
        process.wait()
    finally:
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            _end_group(process.pid, signal.SIGTERM)
            _end_group(process.pid, signal.SIGKILL)
            process.wait()


def _end_group(group: int, number: signal.Signals) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ProcessLookupError):
        os.killpg(group, number)
        while time.monotonic() < deadline:
            time.sleep(0.1)
            os.killpg(group, 0)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let a signal wait for the end of the block: what starts in it must be known, to be ended."""
    came: list[int] = []
    held = (signal.SIGTERM, signal.SIGINT)
    before = {it: signal.signal(it, lambda number, _frame: came.append(number)) for it in held}
    try:
        yield
    finally:
        for it, handler in before.items():
            signal.signal(it, handler)
    for number in came:
        signal.raise_signal(number)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, so that everything started here is ended on the way out."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _dagster(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dagster", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)
