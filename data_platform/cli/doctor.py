"""`data-platform doctor`: tell what is wrong and what would be done about it, then do it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from data_platform.cli.download import run_orders
from data_platform.cli.orders import Order
from data_platform.cli.output import print_document
from data_platform.domain.errors import StorageError, WrongUseError
from data_platform.domain.layers import LAYERS
from data_platform.domain.periods import periods_between
from data_platform.operations.doctor import Cells, Doctor, Treatment
from data_platform.settings import Settings, dagster_home, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

UNCHECKED = 2


@click.command()
@click.option("--dry-run", "is_dry", is_flag=True, help="Only tell what would be done.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do it without asking.")
@click.option("--json", "is_json", is_flag=True, help="One object; needs --yes or --dry-run.")
def doctor(*, is_dry: bool, is_agreed: bool, is_json: bool) -> None:
    r"""Bring the lake back to what it should be; no candle is deleted.

    Begins a lost or damaged state database anew from the files, takes over whole files that the
    journal does not tell of, deletes temporary files whose writer is gone, ends Dagster runs whose
    process is gone, moves damaged candles below damaged/ and restores them from history/ or asks
    the exchange again, and fetches and computes what should be stored and is not.

    Exits 0 when all is sound afterwards, 1 when something remains (it is named) or, with
    --dry-run, is to be done, 2 when it could not be checked.

    \b
    --json prints: steps (what would be done), done, remaining, error; one line each.
    """
    if is_json and not (is_agreed or is_dry):
        raise WrongUseError("--json asks nothing: give --yes or --dry-run as well.")
    try:
        steps, treatment = _visit(is_dry=is_dry, is_agreed=is_agreed, is_json=is_json)
    except StorageError as error:
        if is_json:
            _print_json([], Treatment(), str(error))
        else:
            click.echo(f"data-platform: {' '.join(str(error).split())}", err=True)
        sys.exit(UNCHECKED)
    if is_json:
        _print_json(steps, treatment)
    elif steps and not is_dry:
        _print_treatment(treatment)
    sys.exit(1 if treatment.remaining or (is_dry and steps) else 0)


def _visit(*, is_dry: bool, is_agreed: bool, is_json: bool) -> tuple[list[str], Treatment]:
    settings = load_settings()
    patient = to_doctor(settings)
    with _opened_instance() as instance:
        steps = [*_stuck_steps(instance), *patient.plan().steps]
        if not is_json:
            _print_steps(steps)
        if not steps or is_dry:
            return steps, Treatment()
        if not is_agreed:
            click.confirm("Do this?", abort=True)
        with redirect_stdout(sys.stderr if is_json else sys.stdout):
            return steps, _treat(settings, patient, instance)


def to_doctor(settings: Settings) -> Doctor:
    """Return the doctor of the configured lake."""
    scopes = [settings.scope_of(exchange) for exchange in settings.exchanges.values()]
    return Doctor(settings.data_root, settings.state_url, scopes, lambda: datetime.now(UTC))


def to_repair_orders(settings: Settings, cells: Cells) -> list[Order]:
    """Return one order per exchange that holds all pairs and months; what is sound costs little."""
    return [
        Order(
            exchange=name,
            pairs=tuple(sorted({pair for pair, _ in found})),
            timeframes=settings.exchanges[name].timeframes,
            layers=tuple(layer.name for layer in LAYERS),
            periods=tuple(
                periods_between(
                    min(period for _, period in found).start, max(period for _, period in found).end
                )
            ),
        )
        for name, found in cells.items()
    ]


def _treat(settings: Settings, patient: Doctor, instance: "DagsterInstance | None") -> Treatment:
    freed = _free_runs(instance)

    def relaunch(cells: Cells) -> Sequence[str]:
        result = run_orders(settings, to_repair_orders(settings, cells))
        return [line for outcome in result.outcomes.values() for line in outcome.failures]

    treatment = patient.treat(relaunch)
    treatment.done[:0] = freed
    return treatment


@contextmanager
def _opened_instance() -> "Iterator[DagsterInstance | None]":
    home = dagster_home()
    if not ((home / "dagster.yaml").exists() and (home / "history" / "runs.db").exists()):
        # Dagster takes seconds to import: not where it has never run.
        yield None
        return
    from dagster import DagsterInstance

    with DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _stuck_steps(instance: "DagsterInstance | None") -> list[str]:
    if instance is None:
        return []
    from data_platform.stuck_runs import find_stuck_runs

    return [
        f"end the run {it.run_id[:8]}: {it.status} since {it.since:%Y-%m-%d %H:%M}, its process is "
        "gone"
        for it in find_stuck_runs(instance, datetime.now(UTC))
    ]


def _free_runs(instance: "DagsterInstance | None") -> list[str]:
    if instance is None:
        return []
    from data_platform.stuck_runs import find_stuck_runs, free_run

    stuck = find_stuck_runs(instance, datetime.now(UTC))
    for each in stuck:
        free_run(instance, each)
    return [f"ended the run {each.run_id[:8]}, whose process is gone" for each in stuck]


def _print_steps(steps: Sequence[str]) -> None:
    if not steps:
        click.echo("Nothing to do: every file is as written, nothing is missing, no run is stuck.")
        return
    click.echo("To do:")
    for step in steps:
        click.echo(f"  {step}")


def _print_json(steps: Sequence[str], treatment: Treatment, error: str = "") -> None:
    told = {"steps": steps, "done": treatment.done, "remaining": treatment.remaining}
    print_document({**told, "error": error})


def _print_treatment(treatment: Treatment) -> None:
    click.echo("Done:")
    for line in treatment.done:
        click.echo(f"  {line}")
    if not treatment.remaining:
        click.echo("All is sound.")
        return
    click.echo("What remains:")
    for line in treatment.remaining:
        click.echo(f"  {line}")
