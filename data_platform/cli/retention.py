"""`data-platform retention`: which old months would leave the tables, and their move."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import click
from rich.table import Table

from data_platform.cli.history import find_series
from data_platform.cli.output import open_console
from data_platform.domain.errors import WrongUseError
from data_platform.operations.lake import Lake, opened_lake, require_lake
from data_platform.operations.retention import (
    Leaving,
    apply_retention,
    find_leaving,
    undo_retention,
)
from data_platform.settings import Settings, load_settings


@click.command()
@click.option("--apply", "is_applied", is_flag=True, help="Move them; without, nothing is changed.")
@click.option("--restore", "series", help="Move all that is archived of okx/BTC-USDT/1h back.")
def retention(*, is_applied: bool, series: str | None) -> None:
    """List the months that `retention` in thresholds.yaml no longer keeps among the tables.

    With --apply they move to archive/ below the lake's root, in every layer, byte for byte. They
    can still be read, and are not fetched or computed again; queries over all series do not see
    them. What a snapshot pins stays, exports too. Without `retention` in the config nothing goes.
    """
    if is_applied and series:
        raise click.UsageError("--apply and --restore exclude each other.")
    settings = load_settings()
    require_lake(settings.data_root)
    with opened_lake(settings.data_root, settings.state_url) as lake:
        if series:
            _undo(lake, settings, series)
        elif not settings.thresholds.retention:
            click.echo("No timeframe has a `retention` in thresholds.yaml: everything stays.")
        else:
            _list_or_apply(lake, settings, is_applied=is_applied)


def _list_or_apply(lake: Lake, settings: Settings, *, is_applied: bool) -> None:
    leaving = find_leaving(lake, settings.thresholds.retention, datetime.now(UTC))
    going = [it for it in leaving if not it.is_pinned]
    if going:
        open_console().print(_to_table(going))
    if len(leaving) > len(going):
        click.echo(f"{len(leaving) - len(going):,} partitions stay: a snapshot pins them.")
    failures = apply_retention(lake, going) if is_applied else []
    _print_failures(failures)
    done = "moved to archive/" if is_applied else "would move to archive/ by --apply"
    size = sum(it.size for it in going) / 1e6
    click.echo(f"{len(going) - len(failures):,} partitions, {size:,.1f} MB {done}")
    sys.exit(1 if failures else 0)


def _undo(lake: Lake, settings: Settings, series: str) -> None:
    try:
        meant = find_series(lake, settings, series)
    except WrongUseError as error:
        raise click.UsageError(str(error)) from error
    count, failures = undo_retention(lake, meant)
    _print_failures(failures)
    click.echo(f"{count:,} partitions of {meant} moved back among the tables")
    sys.exit(1 if failures else 0)


def _print_failures(failures: Sequence[str]) -> None:
    for line in failures:
        click.echo(f"data-platform: {line}", err=True)


def _to_table(going: Sequence[Leaving]) -> Table:
    table = Table("series", "layer", "from", "to", "months", "rows", "MB")
    for (series, layer), group in groupby(going, _names):
        months = list(group)
        periods = sorted(it.partition.period.key for it in months)
        counts = (len(months), sum(it.rows for it in months))
        size = f"{sum(it.size for it in months) / 1e6:,.2f}"
        table.add_row(series, layer, periods[0], periods[-1], *map("{:,}".format, counts), size)
    return table


def _names(leaving: Leaving) -> tuple[str, str]:
    partition = leaving.partition
    layer = partition.layer
    return str(
        partition.series
    ), f"{layer}[{partition.feature_set}]" if partition.feature_set else layer
