"""One process per exchange: starts them, hears them, stops them after their current commit.

Stays out: what a worker does (`download_worker.py`) and how progress looks (`progress.py`).
"""

import queue
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from data_platform.cli.messages import (
    Outcome,
    Report,
    message_from_line,
    order_to_line,
)
from data_platform.cli.orders import Order
from data_platform.domain.errors import StorageError

TICK_SECONDS = 0.2
KILL_AT = 2
"""The second Ctrl-C no longer waits for commits; they are atomic all the same."""

# The last line of a traceback; any other last line of a log is chance.
_ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt|Exit)\b")


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How workers are started."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log_folder: Path
    """Each worker's own log (`<exchange>.log`): Dagster's events and whatever else is printed."""


@dataclass(slots=True)
class PoolResult:
    """How all of them ended."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    is_stopped: bool = False
    """Somebody pressed Ctrl-C."""
    reports: dict[str, Report] = field(default_factory=dict)
    """The last report of each worker."""


def run_workers(
    orders: Sequence[Order],
    plan: WorkerPlan,
    on_report: Callable[[Report], None],
    on_stop: Callable[[], None],
) -> PoolResult:
    """Run one worker per order, all at the same time, and wait for all of them.

    SIGINT or SIGTERM asks each to stop after its current commit, a second one kills them. A
    worker whose parent dies stops by itself: the end of its input tells it.

    Args:
        orders: one per exchange.
        plan: how to start a worker.
        on_report: called for each report, in this thread.
        on_stop: called once when a stop was asked for.

    Raises:
        StorageError: a log cannot be written.
    """
    result = PoolResult()
    heard: queue.Queue[tuple[str, Report | Outcome | None]] = queue.Queue()
    with _counted_interrupts() as interrupts:
        running = {order.exchange: _Worker(order, plan, heard) for order in orders}
        while running:
            if interrupts and not result.is_stopped:
                result.is_stopped = True
                on_stop()
                for worker in running.values():
                    worker.ask_to_stop()
            if len(interrupts) >= KILL_AT:
                for worker in running.values():
                    worker.kill()
            _hear(heard, running, result, on_report)
    return result


def _hear(
    heard: "queue.Queue[tuple[str, Report | Outcome | None]]",
    running: "dict[str, _Worker]",
    result: PoolResult,
    on_report: Callable[[Report], None],
) -> None:
    try:
        exchange, message = heard.get(timeout=TICK_SECONDS)
    except queue.Empty:
        return
    if isinstance(message, Report):
        on_report(message)
    elif isinstance(message, Outcome):
        result.outcomes[exchange] = message
    else:
        lost = running.pop(exchange).wait()
        result.outcomes.setdefault(exchange, lost)


class _Worker:
    """One process and the thread that hears it."""

    def __init__(
        self,
        order: Order,
        plan: WorkerPlan,
        heard: "queue.Queue[tuple[str, Report | Outcome | None]]",
    ) -> None:
        self._exchange = order.exchange
        self._heard = heard
        self._is_killed = False
        self._log = plan.log_folder / f"{order.exchange}.log"
        try:
            plan.log_folder.mkdir(parents=True, exist_ok=True)
            with self._log.open("wb") as log:
                # Its own session: the terminal's Ctrl-C must reach the parent only.
                self._process = subprocess.Popen(
                    list(plan.command),
                    env=dict(plan.environment),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
        except OSError as error:
            raise StorageError(
                f"{order.exchange}: cannot start its process with the log {self._log}: "
                f"{error.strerror}."
            ) from error
        self._tell(order_to_line(order))
        threading.Thread(target=self._listen, name=order.exchange, daemon=True).start()

    def ask_to_stop(self) -> None:
        self._tell("stop")

    def kill(self) -> None:
        self._is_killed = True
        self._process.kill()

    def wait(self) -> Outcome:
        """Return the outcome of a worker that ended without telling one."""
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        reason = (
            f"{self._exchange}: its process {self._process.pid} {self._spell_end(code)}. Every "
            f"commit before is stored; the same command goes on from there. Log: {self._log}"
        )
        return Outcome(self._exchange, success=False, failures=(reason,))

    def _spell_end(self, code: int) -> str:
        if code < 0:
            name = signal.Signals(-code).name
            return f"was ended by {name} ({self._killer(-code)})"
        last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        error = next((line for line in last if _ERROR.match(line)), "")
        return f"ended with exit code {code}" + (f": {error.rstrip('.')}" if error else "")

    def _killer(self, number: int) -> str:
        if self._is_killed:
            return "the second Ctrl-C"
        if number == signal.SIGKILL:
            return "by somebody, or by the system when memory ran out: see `dmesg`"
        return "not by this program"

    def _tell(self, line: str) -> None:
        if self._process.stdin:
            try:
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                return  # It has ended; its outcome or its exit code says how.

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            message = message_from_line(line)
            if message:
                self._heard.put((self._exchange, message))
        self._heard.put((self._exchange, None))


@contextmanager
def _counted_interrupts() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of ending in the middle of something."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
