"""`data-platform backup`: one more generation of the lake, its state and Dagster's storage."""

import sys
from pathlib import Path

import click

from data_platform.operations.backup import back_up, source_of
from data_platform.settings import dagster_home, load_settings

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("target", type=FOLDER)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="Drop all but the newest so many backups without faults.  [default: none is dropped]",
)
def backup(target: Path, keep: int | None) -> None:
    """Copy the lake, its state and Dagster's storage into TARGET, while writers go on.

    TARGET is a folder for the backups of this one lake, best on another disk. Each content is
    copied once, so the next backup takes only what is new; each can be restored by its time:
    data-platform restore TARGET --list.

    Exits 1 when a file was not what the journal tells of: the backup is made, and names it.
    """
    settings = load_settings()
    home = dagster_home()
    source = source_of(settings.data_root, settings.state_url, home)
    made = back_up(source, target.absolute(), keep=keep)
    for fault in made.generation.faults:
        click.echo(
            f"data-platform: {fault.path}: {fault.reason}. See data-platform doctor.", err=True
        )
    if source.home is None:
        click.echo(f"There is no Dagster instance at {home} (DAGSTER_HOME): left out.")
    elif not any(it.path.endswith(".db") for it in made.generation.in_area("dagster")):
        click.echo(f"Dagster keeps no SQLite file below {home}: back its database up by its tool.")
    click.echo(made.spelled())
    sys.exit(1 if made.generation.faults else 0)
