"""`data-platform download`: materialize a selection through Dagster, one process per exchange."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from data_platform.cli.forecast import EXPLANATION, foretell, spell_unread, to_table
from data_platform.cli.instance_home import prepare_home
from data_platform.cli.messages import Outcome, Report
from data_platform.cli.options import DAY, TIMEFRAME, WORD
from data_platform.cli.orders import Order, Wish, to_orders
from data_platform.cli.output import open_console
from data_platform.cli.progress import DownloadProgress
from data_platform.cli.state import renew_state
from data_platform.cli.worker_pool import PoolResult, WorkerPlan, run_workers
from data_platform.domain.layers import LAYERS
from data_platform.settings import Settings, load_settings, worker_environment

WORKER = (sys.executable, "-m", "data_platform.cli.download_worker")


STALE = (
    "Stale: derived partitions whose inputs have changed since, outside of what was selected here. "
    "The same command without --layer, --pair, --timeframe, --start and --end computes them anew."
)


@click.command()
@click.option(
    "--exchange", "exchanges", multiple=True, type=WORD, help="Repeat for several.  [default: all]"
)
@click.option("--pair", "pairs", multiple=True, type=WORD, help="BTC/USDT or BTCUSDT; repeatable.")
@click.option("--timeframe", "timeframes", multiple=True, type=TIMEFRAME, help="Repeatable.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    type=click.Choice([layer.name for layer in LAYERS], case_sensitive=False),
    help="Repeatable.  [default: all]",
)
@click.option("--start", type=DAY, help="First day, UTC; its whole month is taken.")
@click.option("--end", type=DAY, help="Day after the last one, UTC.  [default: now]")
@click.option(
    "--full",
    is_flag=True,
    help="Ask for every candle again and store what the exchange has changed since.",
)
@click.option(
    "--dry-run",
    "is_dry",
    is_flag=True,
    help="Only tell what it would cost: requests, minutes, bytes; ask and write nothing.",
)
def download(*, is_dry: bool, **typed: Any) -> None:  # noqa: ANN401
    """Fetch what is missing of a selection and compute everything that follows from it.

    What is stored and complete is not asked for again, unless --full is given. Ctrl-C ends after
    the current commit; the same command continues. Exits 1 when a series failed; the others are
    done all the same.
    """
    settings = load_settings()
    now = datetime.now(UTC)
    orders = to_orders(settings, Wish(**typed), now)
    if is_dry:
        sys.exit(0 if tell_costs(settings, orders, now) else 1)
    result = run_orders(settings, orders)
    renew_state(settings)
    sys.exit(0 if is_success(result) else 1)


def tell_costs(settings: Settings, orders: Sequence[Order], now: datetime) -> bool:
    """Print what orders would cost; return whether all of it could be told."""
    costs = foretell(settings, orders, now)
    open_console().print(to_table(settings, orders, costs))
    click.echo(EXPLANATION)
    unread = spell_unread(costs)
    for line in unread:
        click.echo(f"data-platform: {' '.join(line.split())}", err=True)
    return not unread


def run_orders(
    settings: Settings, orders: Sequence[Order], command: Sequence[str] = WORKER
) -> PoolResult:
    """Run orders side by side with a live bar each; print a table and each failure at the end.

    Args:
        settings: what the workers shall work with.
        orders: one per exchange.
        command: starts a worker.
    """
    home = prepare_home()
    plan = WorkerPlan(command, worker_environment(settings), home / "download")
    console = open_console()
    reports = {order.exchange: Report(order.exchange) for order in orders}
    with DownloadProgress(list(reports), console) as progress:

        def show(report: Report) -> None:
            reports[report.exchange] = report
            progress.show(report)

        result = run_workers(
            orders,
            plan,
            show,
            lambda: progress.say("Stopping after the current commit; Ctrl-C again ends at once."),
        )
    result.reports.update(reports)
    console.print(_summary(reports, result))
    if any(outcome.stale for outcome in result.outcomes.values()):
        click.echo(STALE)
    for line in _failures(result):
        click.echo(f"data-platform: {' '.join(line.split())}", err=True)
    if result.is_stopped:
        click.echo("Stopped. What was committed stays; the same command continues.", err=True)
    return result


def is_success(result: PoolResult) -> bool:
    """Tell whether everything that was ordered is done."""
    return not result.is_stopped and all(it.success for it in result.outcomes.values())


def _summary(reports: dict[str, Report], result: PoolResult) -> Table:
    outcomes = [result.outcomes[exchange] for exchange in reports]
    counts = {
        "partitions": [
            f"{it.done_partitions:,}/{it.total_partitions:,}" for it in reports.values()
        ],
        "candles fetched": [f"{it.candles:,}" for it in reports.values()],
        "requests": [f"{it.requests:,}" for it in reports.values()],
        "for past months": [f"{it.past_pages:,}" for it in reports.values()],
    }
    # Nothing to tell of most runs, and then no columns for it.
    if any(it.refused for it in outcomes):
        counts["rows refused"] = [f"{it.refused:,}" for it in outcomes]
    if any(it.failed_checks for it in outcomes):
        counts["checks failed"] = [_spell_checks(it.failed_checks) for it in outcomes]
    if any(it.stale for it in outcomes):
        counts["stale"] = [f"{it.stale:,}" for it in outcomes]
    table = Table("exchange", "result")
    for title in counts:
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("run")
    for outcome, *cells in zip(outcomes, *counts.values(), strict=True):
        word = _word(outcome, is_stopped=result.is_stopped)
        runs = ", ".join(run_id[:8] for run_id in outcome.run_ids)
        table.add_row(outcome.exchange, word, *cells, runs)
    return table


def _spell_checks(failed: Sequence[str]) -> str:
    names = dict.fromkeys(check.rpartition(" ")[2] for check in failed)
    return f"{len(failed)}: {', '.join(names)}" if failed else "0"


def _word(outcome: Outcome, *, is_stopped: bool) -> Text:
    if outcome.success:
        return Text("done", "green")
    return Text("stopped", "yellow") if is_stopped else Text("failed", "red")


def _failures(result: PoolResult) -> list[str]:
    return [line for outcome in result.outcomes.values() for line in outcome.failures]
