"""`data-platform snapshot`: pin what is stored under a name, and read it later as it was."""

import hashlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import click
from rich.table import Table

from data_platform.cli.options import DAY, TIMEFRAME, WORD
from data_platform.cli.orders import Order, Wish, to_orders
from data_platform.cli.output import open_console
from data_platform.operations.lake import opened_lake, require_lake
from data_platform.operations.snapshot import PINNED_LAYERS, create_snapshot, find_differences
from data_platform.settings import Settings, load_settings
from data_platform.storage.journal import JournalRow
from data_platform.storage.manifest import Manifest
from data_platform.storage.snapshots import Snapshots


@click.group()
def snapshot() -> None:
    """Partitions pinned under a name: the same bytes whatever is corrected or dropped later."""


@snapshot.command()
@click.argument("name")
@click.option("--exchange", "exchanges", multiple=True, type=WORD, help="Repeat for several.")
@click.option("--pair", "pairs", multiple=True, type=WORD, help="BTC/USDT or BTCUSDT; repeatable.")
@click.option("--timeframe", "timeframes", multiple=True, type=TIMEFRAME, help="Repeatable.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    type=click.Choice(PINNED_LAYERS, case_sensitive=False),
    help="Repeatable.  [default: all]",
)
@click.option("--start", type=DAY, help="First day, UTC; its whole month is taken.")
@click.option("--end", type=DAY, help="Day after the last one, UTC.  [default: now]")
def create(name: str, **typed: Any) -> None:  # noqa: ANN401
    """Pin what is stored of a selection; without one, everything that is configured.

    Costs no space until the lake replaces or drops what is pinned. Exports are not pinned: they can
    be made again.
    """
    settings, now = load_settings(), datetime.now(UTC)
    require_lake(settings.data_root)
    orders = to_orders(settings, Wish(**typed), now)
    config = hashlib.sha256(settings.config_path.read_bytes()).hexdigest()
    manifest = Manifest(name, now, version("data-platform"), config, ())
    with opened_lake(settings.data_root, settings.state_url) as lake:
        made = create_snapshot(lake, manifest, lambda row: _is_ordered(orders, row))
    rows = sum(it.rows for it in made.partitions)
    click.echo(f"{name}: {len(made.partitions):,} partitions, {rows:,} rows pinned")


@snapshot.command("list")
def list_command() -> None:
    """List every snapshot."""
    snapshots = _snapshots(load_settings())
    table = Table("name", "made", "partitions", "rows", "program", "config")
    names = snapshots.names()
    for name in names:
        found = snapshots.load(name)
        counts = (f"{len(found.partitions):,}", f"{sum(it.rows for it in found.partitions):,}")
        made = f"{found.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(name, made, *counts, found.program, found.config_sha256[:12])
    if names:
        open_console().print(table)
    click.echo(f"{len(names)} snapshot{'' if len(names) == 1 else 's'}")


@snapshot.command()
@click.argument("name")
def verify(name: str) -> None:
    """Hash every file that a snapshot pins; exit 1 when one is not what was pinned."""
    snapshots = _snapshots(load_settings())
    manifest = snapshots.load(name)
    faults = [f"{it.partition}: {fault}" for it, fault in snapshots.damaged(manifest)]
    for line in faults:
        click.echo(f"data-platform: {line}. Put it back from a backup.", err=True)
    click.echo(f"{name}: {len(manifest.partitions):,} partitions, {len(faults)} damaged")
    sys.exit(1 if faults else 0)


@snapshot.command()
@click.argument("first")
@click.argument("second")
def diff(first: str, second: str) -> None:
    """Tell which partitions two snapshots do not hold alike, and how many rows differ."""
    snapshots = _snapshots(load_settings())
    one, other = snapshots.load(first), snapshots.load(second)
    found = list(find_differences(snapshots, one, other))
    table = Table("partition", "what", "added", "changed", "removed")
    for it in found:
        table.add_row(str(it.partition), it.kind, str(it.added), str(it.changed), str(it.removed))
    if found:
        open_console().print(table)
    for what, before, after in (
        ("config", one.config_sha256[:12], other.config_sha256[:12]),
        ("program", one.program, other.program),
    ):
        if before != after:
            click.echo(f"{what}: {before} -> {after}")
    click.echo(f"{len(found)} partitions differ")


@snapshot.command()
@click.argument("name")
def delete(name: str) -> None:
    """Remove a snapshot and what it alone pins; the lake is not touched."""
    freed = _snapshots(load_settings()).delete(name)
    click.echo(f"{name}: removed; {freed} files are not pinned any more")


def _snapshots(settings: Settings) -> Snapshots:
    require_lake(settings.data_root)
    return Snapshots(settings.data_root)


def _is_ordered(orders: Sequence[Order], row: JournalRow) -> bool:
    return any(
        row.series.exchange == order.exchange
        and row.series.pair in order.pairs
        and row.series.timeframe in order.timeframes
        and row.layer in order.layers
        and row.period in order.periods
        for order in orders
    )
