"""`data-platform report`: one page that tells how good everything is."""

from datetime import UTC, datetime
from pathlib import Path

import click

from data_platform.config.scope import to_report_rules
from data_platform.operations.health_report import write_report
from data_platform.operations.lake import opened_lake, require_lake
from data_platform.settings import load_settings


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file.  [default: state/report.html in the lake]",
)
def report(out: Path | None) -> None:
    """Write one HTML page: coverage of every series by day, scores, findings, sources, freshness.

    The page needs nothing but itself: no network, no script, no other file. It can be mailed,
    archived and read on a phone.
    """
    settings = load_settings()
    require_lake(settings.data_root)
    with opened_lake(settings.data_root, settings.state_url) as lake:
        exchanges = settings.exchanges.values()
        rules = to_report_rules(exchanges, settings.refresh.candles, settings.thresholds)
        path = write_report(lake, rules, datetime.now(UTC), out)
    click.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
