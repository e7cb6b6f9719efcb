"""`data-platform dictionary`: what every column of the configured lake means, as Markdown."""

import click

from data_platform.converters import CONVERTERS
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.dictionary import spell_dictionary
from data_platform.operations.indicator_list import spell_indicators
from data_platform.settings import load_settings


@click.command()
@click.option("--timeframe", default="1h", show_default=True, help="Whose features are shown.")
@click.option("--indicators", is_flag=True, help="Print every indicator that there is instead.")
def dictionary(timeframe: str, *, indicators: bool) -> None:
    """Print every table of the lake, its columns, their types and meanings."""
    if indicators:
        click.echo(spell_indicators(), nl=False)
        return
    settings = load_settings()
    text = spell_dictionary(
        settings.indicators, settings.feature_sets, to_timeframe(timeframe), CONVERTERS
    )
    click.echo(text, nl=False)
