"""`data-platform export`: any part of the lake as files of one's own."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click

from data_platform.cli.options import TIME, TIMEFRAME, WORD
from data_platform.converters import FORMATS_BY_NAME
from data_platform.domain.errors import DataPlatformError, WrongUseError
from data_platform.domain.markets import Series, to_exchange, to_pair
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.extract import KINDS, Cut, read_cut, write_cut
from data_platform.operations.lake import opened_lake, require_lake
from data_platform.settings import Settings, load_settings


@click.command()
@click.option("--exchange", "exchanges", multiple=True, type=WORD, help="Repeat for several.")
@click.option("--pair", "pairs", multiple=True, type=WORD, help="BTC/USDT or BTCUSDT.")
@click.option("--timeframe", "timeframes", multiple=True, type=TIMEFRAME)
@click.option(
    "--layer",
    type=click.Choice(["ohlcv", "indicators", "features"], case_sensitive=False),
    default="ohlcv",
    show_default=True,
)
@click.option("--start", type=TIME, required=True, help="First opening time, UTC.")
@click.option("--end", type=TIME, required=True, help="End, exclusive, UTC.")
@click.option(
    "--format",
    "kind",
    type=click.Choice((*KINDS, *FORMATS_BY_NAME)),
    default="parquet",
    show_default=True,
    help="The last two hold candles as another program reads them, at the place it looks for.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to write to; made when missing.  [default: here]",
)
@click.option("--allow-missing", is_flag=True, help="Leave out months that are not stored.")
def export(  # noqa: PLR0913  # one for each option, all by name
    *,
    exchanges: Sequence[str],
    pairs: Sequence[str],
    timeframes: Sequence[Timeframe],
    layer: str,
    start: datetime,
    end: datetime,
    kind: str,
    out: Path,
    allow_missing: bool,
) -> None:
    """Write one file for each chosen series: okx/BTCUSDT_1h_20240101_20250130.parquet.

    Without --exchange, --pair and --timeframe all that is configured is chosen. The days in the
    name are the first and the last, inclusive. A series that cannot be written whole is named, the
    others are written, and the exit code is 1.
    """
    if kind in FORMATS_BY_NAME and layer != "ohlcv":
        raise click.UsageError(f"--format {kind} holds candles: leave --layer {layer} out.")
    settings = load_settings()
    require_lake(settings.data_root)
    chosen = list(_choose(settings, exchanges, pairs, timeframes))
    if not chosen:
        raise WrongUseError("no configured series is of these exchanges, pairs and timeframes.")
    failed = False
    with opened_lake(settings.data_root, settings.state_url) as lake:
        for series in chosen:
            cut = Cut(series, layer, start, end, kind)
            try:
                rows = read_cut(lake, settings.known, cut, allow_missing=allow_missing)
                path = write_cut(rows, cut, out)
            except DataPlatformError as error:
                click.echo(f"{series}: FAILED: {error}", err=True)
                failed = True
                continue
            click.echo(f"{path}: {rows.height:,} rows")
    sys.exit(1 if failed else 0)


def _choose(
    settings: Settings,
    exchanges: Sequence[str],
    pairs: Sequence[str],
    timeframes: Sequence[Timeframe],
) -> Iterator[Series]:
    names = list(settings.exchanges)
    wished = [to_exchange(text, names) for text in exchanges] or names
    known = {pair for name in wished for pair in settings.exchanges[name].pairs}
    chosen = {to_pair(text, known) for text in pairs} or known
    for name in wished:
        exchange = settings.exchanges[name]
        for pair in exchange.pairs:
            for timeframe in exchange.timeframes:
                if pair in chosen and (not timeframes or timeframe in timeframes):
                    yield Series(name, pair, timeframe)
