"""`data-platform restore`: a lake brought back from a backup, and the proof of it."""

import sys
from datetime import datetime
from pathlib import Path

import click
from rich.table import Table

from data_platform.cli.backup import FOLDER
from data_platform.cli.options import TIME
from data_platform.cli.output import open_console
from data_platform.cli.verify import print_findings
from data_platform.domain.errors import StorageError
from data_platform.operations.restore import Places, prove
from data_platform.operations.restore import restore as bring_back
from data_platform.operations.verify import EXIT_CODES
from data_platform.settings import DATA_VARIABLE, HOME_VARIABLE, STATE_VARIABLE
from data_platform.storage.backup_store import BackupStore
from data_platform.storage.generation import Generation


@click.command()
@click.argument("backup", type=FOLDER)
@click.option("--to", "lake", type=FOLDER, help="Root of the restored lake: empty or not there.")
@click.option("--home", type=FOLDER, help="Bring Dagster's storage back as well, to this folder.")
@click.option(
    "--at", type=TIME, help="The newest backup made by this time, UTC.  [default: the newest]"
)
@click.option("--verify", is_flag=True, help="Then read everything again, against the journal.")
@click.option("--list", "is_list", is_flag=True, help="Only list the backups.")
def restore(  # one for each option, all by name
    *,
    backup: Path,
    lake: Path | None,
    home: Path | None,
    at: datetime | None,
    verify: bool,
    is_list: bool,
) -> None:
    """Bring the lake back that BACKUP holds. What is there already is never touched.

    Every content is hashed on its way. Exits 0 when all is there (and, with --verify, sound), 1
    when something of it is damaged or lacking, 2 when it could not be checked or was wrong use.
    """
    if is_list:
        _print_list(BackupStore(backup.absolute()))
        return
    if lake is None:
        raise click.UsageError("name the root of the restored lake: --to FOLDER, or --list.")
    places = Places(lake.absolute(), home.absolute() if home else None)
    generation = bring_back(backup.absolute(), places, at)
    for fault in generation.faults:
        click.echo(f"data-platform: the backup lacks {fault.path}: {fault.reason}", err=True)
    _print_restored(generation, places)
    code = 1 if generation.faults else 0
    sys.exit((verify and _prove(places)) or code)


def _prove(places: Places) -> int:
    try:
        proof = prove(places)
    except StorageError as error:
        click.echo(f"data-platform: {' '.join(str(error).split())}", err=True)
        return EXIT_CODES["unchecked"]
    print_findings(proof.lake)
    for line in proof.faults:
        click.echo(f"data-platform: {line}", err=True)
    return proof.exit_code


def _print_list(store: BackupStore) -> None:
    table = Table("made", "files", "MB", "faults", "program", "lake")
    lists = [store.load(path) for path in store.names()]
    for it in lists:
        counts = (f"{len(it.files):,}", f"{it.size / 1e6:,.1f}", str(len(it.faults)))
        table.add_row(f"{it.created_at:%Y-%m-%dT%H:%M:%S.%fZ}", *counts, it.program, it.lake)
    if lists:
        open_console().print(table)
    click.echo(f"{len(lists)} backup{'' if len(lists) == 1 else 's'}")


def _print_restored(generation: Generation, places: Places) -> None:
    made = f"{generation.created_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    files = generation.in_area("lake")
    size = sum(it.size for it in files) / 1e6
    click.echo(f"{made}: {len(files):,} files, {size:,.1f} MB restored to {places.lake}")
    steps = [f"export {DATA_VARIABLE}={places.lake}", f"unset {STATE_VARIABLE}"]
    if places.home:
        steps.append(f"export {HOME_VARIABLE}={places.home}")
    elif generation.in_area("dagster"):
        click.echo("Dagster's storage was left out: --home FOLDER brings it back.")
    click.echo(f"To use it: {'; '.join(steps)}")
