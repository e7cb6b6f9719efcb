"""The process of one exchange in a download: reads its order, materializes, reports.

Started by `worker_pool.py` as `python -m data_platform.cli.download_worker`. Standard input holds
the order and then, or with its end, the wish to stop; standard output holds messages only.
"""

import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from data_platform.cli.messages import Outcome, Report, message_to_line, order_from_line
from data_platform.cli.orders import Order
from data_platform.cli.tally import Tally
from data_platform.domain.errors import DataPlatformError, TransientError
from data_platform.operations.lake import opened_lake
from data_platform.operations.stale import count_stale
from data_platform.operations.watch import Progress, StoppedError, Watch
from data_platform.settings import Settings, load_settings

if TYPE_CHECKING:
    from data_platform.runs import RunOutcome

STOPPED = StoppedError.__name__
"""How a step that ended because it was asked to is named in Dagster's words."""

_CLASS_NAME = re.compile(r"^(?:\w+\.)+(?:\w*Error|Failure): ")


def main() -> int:
    """Work on one order; return the exit code: 0 all done, 1 something failed."""
    messages = take_standard_output()
    order = order_from_line(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_await_stop, args=(stop,), daemon=True).start()

    def send(message: Report | Outcome) -> None:
        messages.write(message_to_line(message) + "\n")
        messages.flush()

    try:
        refuse_unanswering(order)
        outcome = work(order, send, stop.is_set)
    except DataPlatformError as error:
        outcome = Outcome(order.exchange, success=False, failures=(str(error),))
    send(outcome)
    return 0 if outcome.success else 1


def refuse_unanswering(order: Order) -> None:
    """Refuse an order for candles of an exchange that is left alone, before anything is begun.

    Raises:
        TransientError: it has stopped answering; names since when, why and until when.
    """
    if "ohlcv" not in order.layers:
        return
    settings = load_settings()
    with opened_lake(settings.data_root, settings.state_url) as lake:
        breaker = lake.breakers.read(order.exchange)
    if breaker.is_open(datetime.now(UTC)):
        raise TransientError(f"{breaker.spell(order.exchange)} Run the same again after that.")


def work(order: Order, send: Callable[[Report], None], should_stop: Callable[[], bool]) -> Outcome:
    """Materialize what is ordered through Dagster, on the persistent instance.

    `send` takes each report, `should_stop` is asked between commits.

    Raises:
        DataPlatformError: nothing could be started.
    """
    # Dagster takes seconds to import: only the process that needs it pays.
    from dagster import AssetExecutionContext, DagsterInstance

    from data_platform.definitions import build_definitions
    from data_platform.runs import Selection, materialize_selection

    settings = load_settings()
    tally = Tally(order.exchange, order.size)

    def report(progress: Progress) -> None:
        context = AssetExecutionContext.get()
        send(tally.add((context.run.run_id, context.asset_key.to_string()), progress))

    selection = Selection(
        order.exchange,
        order.pairs,
        order.timeframes,
        order.layers,
        *(order.periods[0], order.periods[-1]),
        full=order.full,
    )
    send(tally.report())
    with DagsterInstance.get() as instance:
        outcome = materialize_selection(
            build_definitions(settings, Watch(report, should_stop)),
            selection,
            settings.exchanges[order.exchange].pairs,
            instance,
        )
    send(tally.finished() if outcome.success else tally.report())
    return _to_outcome(settings, order, outcome)


def _to_outcome(settings: Settings, order: Order, ended: "RunOutcome") -> Outcome:
    scope = settings.scope_of(settings.exchanges[order.exchange])
    with opened_lake(settings.data_root, settings.state_url) as lake:
        stale = count_stale(lake, scope, datetime.now(UTC))
    return Outcome(
        exchange=order.exchange,
        success=ended.success,
        run_ids=ended.run_ids,
        failures=_plain_failures(ended.failures),
        refused=sum(ended.refused.values()),
        failed_checks=ended.failed_checks,
        stale=stale.total(),
    )


def take_standard_output() -> TextIO:
    """Return the standard output for messages alone; whatever else is printed goes to stderr."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w")


def _plain_failures(failures: Sequence[str]) -> tuple[str, ...]:
    """Return what failed, without Dagster's class names and without steps that were stopped."""
    return tuple(_CLASS_NAME.sub("", line) for line in failures if STOPPED not in line)


def _await_stop(stop: threading.Event) -> None:
    sys.stdin.readline()
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
