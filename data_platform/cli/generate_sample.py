"""`data-platform generate-sample`: synthetic candles in a file, their labels beside it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import polars as pl

from data_platform.cli.options import DAY, PAIR, TIMEFRAME
from data_platform.domain.errors import WrongUseError
from data_platform.domain.exchanges import EXCHANGES
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import Defects, generate_candles
from data_platform.domain.timeframes import Timeframe
from data_platform.settings import load_settings
from data_platform.storage.atomic import publish_file

DEFAULT_SPAN = timedelta(days=30)
MAX_CANDLES = 5_300_000
"""Ten years of minutes, about 1 GB while they are made."""


@dataclass(frozen=True, slots=True)
class SampleOrder:
    """What was typed."""

    exchange: str
    pair: Pair
    timeframe: Timeframe
    start: datetime
    end: datetime | None
    seed: int
    gaps: int
    spikes: int
    flats: int
    kind: str
    out: Path | None


@click.command("generate-sample")
@click.option(
    "--exchange",
    type=click.Choice([exchange.name for exchange in EXCHANGES], case_sensitive=False),
    default="binance",
    show_default=True,
    help="Whose habits the candles have.",
)
@click.option("--pair", type=PAIR, default="BTC/USDT", show_default=True)
@click.option("--timeframe", type=TIMEFRAME, default="1m", show_default=True)
@click.option("--start", type=DAY, default="2024-01-01", show_default=True, help="First day, UTC.")
@click.option("--end", type=DAY, help="Day after the last one, UTC.  [default: 30 days later]")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another past.")
@click.option("--gaps", type=click.IntRange(min=0), default=3, show_default=True)
@click.option("--spikes", type=click.IntRange(min=0), default=3, show_default=True)
@click.option("--flats", type=click.IntRange(min=0), default=3, show_default=True)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the two files.  [default: samples/ in the lake's root]",
)
def generate_sample(**typed: Any) -> None:  # noqa: ANN401
    """Write synthetic candles with planted defects, and beside them what was planted where.

    The same options give the same candles. The labels' times are half-open ranges.
    """
    order = SampleOrder(**typed)
    end = order.end or order.start + DEFAULT_SPAN
    _refuse_odd_range(order.start, end, order.timeframe)
    sample = generate_candles(
        order.seed,
        Market(order.exchange, order.pair),
        order.timeframe,
        order.start,
        end,
        defects=Defects(gaps=order.gaps, spikes=order.spikes, flats=order.flats),
    )
    folder = order.out or load_settings().data_root / "samples"
    stem = f"{order.exchange}_{order.pair.key}_{order.timeframe}_seed{order.seed}"
    for name, frame, what in (
        (f"{stem}.{order.kind}", sample.candles, "candles"),
        (f"{stem}.labels.{order.kind}", sample.labels, "labels"),
    ):
        path = (folder / name).absolute()
        write_frame(frame, path)
        click.echo(f"{path}  {frame.height:,} {what}")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as the file's suffix says, whole or not at all; CSV has ISO-8601 times."""

    def write(temporary: Path) -> None:
        if path.suffix == ".csv":
            frame.write_csv(temporary, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        else:
            frame.write_parquet(temporary)

    publish_file(write, path)


def _refuse_odd_range(start: datetime, end: datetime, timeframe: Timeframe) -> None:
    if end <= start:
        raise WrongUseError(f"--end {end:%Y-%m-%d} must lie after --start {start:%Y-%m-%d}.")
    count = timeframe.count(start, end)
    if count > MAX_CANDLES:
        raise WrongUseError(
            f"{count:,} candles asked for, at most {MAX_CANDLES:,} at once; shorten the range or "
            "take a coarser timeframe."
        )
