"""`data-platform import`: candles of foreign files, through the same audit as fetched ones."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click

from data_platform.cli.options import TIME, TIMEFRAME, WORD
from data_platform.converters.binance_archive import read_archive
from data_platform.converters.foreign import READERS, ForeignFormat, Unit
from data_platform.domain.errors import DataPlatformError, WrongUseError
from data_platform.domain.markets import Series, to_exchange, to_pair
from data_platform.operations.import_candles import Import, ImportReport, import_candles
from data_platform.operations.lake import Lake, opened_lake
from data_platform.settings import Settings, load_settings

ARCHIVE = "binance-archive"
GUESSED = {".csv": "csv", ".parquet": "parquet", ".feather": "freqtrade", ".zip": ARCHIVE}


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--exchange", required=True, type=WORD, help="Whose candles they are.")
@click.option("--pair", required=True, type=WORD, help="BTC/USDT or BTCUSDT.")
@click.option("--timeframe", required=True, type=TIMEFRAME)
@click.option(
    "--format",
    "kind",
    type=click.Choice([*READERS, ARCHIVE]),
    help="What the files are.  [default: by their ending]",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    help="Ours=theirs, where the name does not tell: volume=Vol",
)
@click.option(
    "--stamp",
    type=click.Choice(["open", "close"]),
    default="open",
    show_default=True,
    help="Which end of the candle its time tells.",
)
@click.option(
    "--unit",
    type=click.Choice(["s", "ms", "us", "ns"]),
    help="Of times that are whole numbers.  [default: by their size]",
)
@click.option("--start", type=TIME, help="Leave out what opens before, UTC.")
@click.option("--end", type=TIME, help="Leave out what opens at or after, UTC.")
@click.option(
    "--replace", "replaces", is_flag=True, help="Let them take the place of stored candles."
)
def import_command(files: Sequence[Path], **options: Any) -> None:  # noqa: ANN401
    r"""Store the candles of FILES: CSV, Parquet, Freqtrade's files, Binance's monthly zips.

    They pass the audit of fetched candles; what cannot be true goes to quarantine. A stored candle
    stays unless --replace is given. The journal keeps the file's name, `data-platform history`
    tells it. What is computed from them follows by `data-platform download` or the schedules.

    Exits 1 when a row was refused, differs from a stored one that stayed, or a file could not be
    read; the other files are stored all the same.

    \b
    data-platform import BTCUSDT-1m-2024-0*.zip --exchange binance --pair BTCUSDT --timeframe 1m
    data-platform import btc.csv --exchange kraken --pair BTC/USD --timeframe 1h \\
        --column open_time=unix --stamp close
    """
    settings = load_settings()
    exchange = settings.exchanges[to_exchange(options["exchange"], list(settings.exchanges))]
    pair = to_pair(options["pair"], exchange.pairs)
    series = Series(exchange.name, pair, options["timeframe"])
    exchange.require_fetched(options["timeframe"])
    is_whole = True
    with opened_lake(settings.data_root, settings.state_url) as lake:
        for path in files:
            try:
                report = _import(lake, settings, path, series, **options)
            except DataPlatformError as error:
                click.echo(f"{path}: FAILED: {error}", err=True)
                is_whole = False
                continue
            click.echo(f"{path}: {spell_report(report)}")
            is_whole = is_whole and not (report.refused or report.kept)
    sys.exit(0 if is_whole else 1)


def spell_report(report: ImportReport) -> str:
    """Return what became of a file's rows, in one line."""
    parts = [
        f"{report.rows:,} candles: {report.added:,} added",
        f"{report.equal:,} stored already",
        f"{report.changed:,} changed",
    ]
    if report.kept:
        parts.append(
            f"{report.kept:,} differ from stored ones, which stayed (--replace takes them)"
        )
    if report.refused:
        parts.append(f"{report.refused:,} REFUSED (see `data-platform quarantine list`)")
    return ", ".join(parts)


def _import(  # noqa: PLR0913  # all that was typed
    lake: Lake,
    settings: Settings,
    path: Path,
    series: Series,
    *,
    kind: str | None,
    columns: Sequence[str],
    stamp: Literal["open", "close"],
    unit: Unit | None,
    start: datetime | None,
    end: datetime | None,
    replaces: bool,
    **_: object,
) -> ImportReport:
    name = kind or GUESSED.get(path.suffix.lower())
    if name is None:
        raise WrongUseError(f"{path}: its ending does not tell what it is; say it by --format.")
    if name == ARCHIVE:
        rows = read_archive(path, series)
    else:
        spelled = ForeignFormat(_to_columns(columns), stamp, unit)
        rows = READERS[name](path, spelled, series)
    rules = settings.rules_of(settings.exchanges[series.exchange])
    order = Import(path, series, rows, start, end, replaces)
    return import_candles(lake, order, rules, datetime.now(UTC))


def _to_columns(texts: Sequence[str]) -> dict[str, str]:
    columns = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not (ours and equals and theirs):
            raise WrongUseError(f"--column {text!r}: expected ours=theirs, such as volume=Vol.")
        columns[ours.strip()] = theirs
    return columns
