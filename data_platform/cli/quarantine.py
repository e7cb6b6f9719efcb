"""`data-platform quarantine`: rows that an audit refused; list them, look at them, try again."""

import sys
from datetime import UTC, datetime

import click
from rich.table import Table

from data_platform.cli.output import open_console, print_frame
from data_platform.domain.errors import WrongUseError
from data_platform.operations.lake import opened_lake, require_lake
from data_platform.operations.replay import find_refused, store_refused
from data_platform.settings import load_settings
from data_platform.storage.quarantine import RefusedFile, list_refused


@click.group()
def quarantine() -> None:
    """Rows that came and cannot be true: kept with their reason, never published."""


@quarantine.command("list")
def list_command() -> None:
    """List the files of refused rows, the newest last."""
    files = _files()
    table = Table("file", "partition", "rows", "first", "last", "refused at", "reasons")
    for file in files:
        times = file.rows["open_time"].drop_nulls().sort().to_list() or [None]
        first, last = (
            (f"{it:%Y-%m-%d %H:%M}" for it in (times[0], times[-1])) if times else ("", "")
        )
        reasons = ", ".join(sorted(set(file.rows["reason"])))
        rows, at = f"{file.rows.height:,}", f"{file.kept_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(file.name, str(file.partition), rows, first, last, at, reasons)
    if files:
        open_console().print(table)
    click.echo(f"{len(files)} file{'' if len(files) == 1 else 's'} of refused rows")


@quarantine.command()
@click.argument("file")
def show(file: str) -> None:
    """Print the rows of one file; FILE is the beginning of its name."""
    print_frame(find_refused(_files(), file).rows)


@quarantine.command()
@click.argument("file")
def replay(file: str) -> None:
    """Audit the rows of one file again and store those that pass; FILE as `show`.

    What a later fetch has brought wins. The file stays as it is. Exits 1 when a row was refused
    again.
    """
    settings = load_settings()
    found = find_refused(_files(), file)
    exchange = settings.exchanges.get(found.partition.series.exchange)
    if exchange is None:
        raise WrongUseError(
            f"{found.partition}: its exchange is not in {settings.config_path}; add it there, "
            "since its row tells when a candle has closed."
        )
    with opened_lake(settings.data_root, settings.state_url) as lake:
        result = store_refused(lake, found, settings.rules_of(exchange), datetime.now(UTC))
    click.echo(
        f"{found.partition}: {result.added} candles added, {result.changed} changed, "
        f"{result.outdated} outdone by a later fetch, {result.refused} refused again"
    )
    sys.exit(1 if result.refused else 0)


def _files() -> list[RefusedFile]:
    settings = load_settings()
    require_lake(settings.data_root)
    with opened_lake(settings.data_root, settings.state_url) as lake:
        return list_refused(lake.store.layout)
