"""`data-platform state`: write the files that tell other programs how things stand."""

import sys
from datetime import UTC, datetime

import click

from data_platform.config.scope import to_report_rules
from data_platform.operations.lake import opened_lake, require_lake
from data_platform.operations.state_files import StateReport, write_state_files
from data_platform.settings import Settings, load_settings


@click.command()
def state() -> None:
    """Write the state files below the lake's `state/` anew, from what is stored now.

    data_status.json and quality_report.json tell of all exchanges; latest_ohlcv/ and
    market_context/ hold one file a market. Dagster writes them after each tick, `download` at its
    end; where neither runs, a program that reads them needs this. Exits 1 when a value could not be
    read, which is null then.
    """
    settings = load_settings()
    require_lake(settings.data_root)
    report = renew_state(settings)
    status = report.status
    click.echo(f"{len(report.files)} files in {report.folder}")
    for path in report.removed:
        click.echo(f"removed {path}: its market is not configured any more")
    halted = "halt trading" if status.halt_trading else "trading may go on"
    click.echo(f"{len(status.markets)} markets: {status.overall_health}, {halted}")
    sys.exit(1 if report.unread else 0)


def renew_state(settings: Settings) -> StateReport:
    """Write every state file, and tell on stderr what could not be read.

    Raises:
        StorageError: a file cannot be written, or the state database not be read.
    """
    rules = to_report_rules(
        settings.exchanges.values(), settings.refresh.candles, settings.thresholds
    )
    with opened_lake(settings.data_root, settings.state_url) as lake:
        report = write_state_files(lake, rules, lambda: datetime.now(UTC))
    for reason in report.unread:
        click.echo(f"data-platform: {reason}", err=True)
    return report
