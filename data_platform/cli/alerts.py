"""`data-platform alerts`: what is wrong now and was lately, and whether the channels work."""

import sys
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from data_platform.cli.output import open_console, print_json
from data_platform.domain.alerts import spell_time
from data_platform.domain.errors import WrongUseError
from data_platform.operations.alerts import try_channels
from data_platform.operations.lake import opened_lake, require_lake
from data_platform.settings import load_settings
from data_platform.storage.alert_book import Ringing

NEWEST = 20


@click.group(invoke_without_command=True)
@click.option("--all", "is_all", is_flag=True, help=f"Also the newest {NEWEST} that are over.")
@click.option("--json", "is_json", is_flag=True, help="An array of objects, for programs.")
@click.pass_context
def alerts(ctx: click.Context, *, is_all: bool, is_json: bool) -> None:
    """Show what is wrong now; exit 1 when anything is.

    The sensor `alert_sensor` looks every 30 seconds and writes each change as a line of
    data/state/alerts/<month>.jsonl; DATA_PLATFORM_ALERTS names Apprise URLs, parted by spaces,
    that get it too.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = load_settings()
    require_lake(settings.data_root)
    with opened_lake(settings.data_root, settings.state_url) as lake:
        ringing = lake.alerts.ringing()
        shown = lake.alerts.newest(NEWEST) if is_all else ringing
    if is_json:
        print_json([_to_object(it) for it in shown])
    else:
        if shown:
            open_console().print(_to_table(shown))
        click.echo(f"{len(ringing)} alarm{'' if len(ringing) == 1 else 's'} ringing")
    sys.exit(1 if ringing else 0)


@alerts.command("test")
def test_command() -> None:
    """Send one message to every channel of DATA_PLATFORM_ALERTS; exit 1 when one fails."""
    settings = load_settings()
    if not settings.channels:
        raise WrongUseError(
            "DATA_PLATFORM_ALERTS names no channel; set it to Apprise URLs, parted by spaces."
        )
    failed = try_channels(settings.channels, datetime.now(UTC))
    for channel in settings.channels:
        word = "FAILED" if channel in failed else "sent"
        click.echo(f"{channel.spelled}: {word}")
    sys.exit(1 if failed else 0)


def _to_table(shown: list[Ringing]) -> Table:
    table = Table("since", "until", "severity", "type", "message", "done")
    for it in shown:
        alarm = it.alarm
        until = f"{it.ended_at:%Y-%m-%d %H:%M}" if it.ended_at else "rings"
        words = (alarm.severity, alarm.type, alarm.message, alarm.action_taken)
        table.add_row(f"{it.began_at:%Y-%m-%d %H:%M}", until, *words)
    return table


def _to_object(it: Ringing) -> dict[str, Any]:
    return {
        "alert_id": it.alert_id,
        "began_at": spell_time(it.began_at),
        "ended_at": spell_time(it.ended_at) if it.ended_at else None,
        **it.alarm.to_object(),
    }
