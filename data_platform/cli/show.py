"""`data-platform show`: the rows of one series, as they are, as they were, or as pinned."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import polars as pl

from data_platform.api import load_features, load_indicators, load_ohlcv
from data_platform.cli.options import TIME
from data_platform.cli.output import TABLE_ROWS, print_frame

Loader = Callable[..., pl.DataFrame]

LOADERS: dict[str, Loader] = {
    "ohlcv": load_ohlcv,
    "indicators": load_indicators,
    "features": load_features,
}


@click.command()
@click.argument("market")
@click.argument("timeframe")
@click.option("--start", type=TIME, required=True, help="First opening time, UTC.")
@click.option("--end", type=TIME, help="End, exclusive.  [default: now]")
@click.option(
    "--layer",
    type=click.Choice(list(LOADERS), case_sensitive=False),
    default="ohlcv",
    show_default=True,
)
@click.option("--as-of", type=TIME, help="Show what was known at this time, UTC.")
@click.option("--snapshot", help="Show what the snapshot of this name holds.")
@click.option("--allow-missing", is_flag=True, help="Leave out months that are not stored.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help=f"`table` shows {TABLE_ROWS} rows at most, the others all.",
)
def show(market: str, timeframe: str, kind: str, layer: str, **asked: Any) -> None:  # noqa: ANN401
    """Print the rows of one series, such as `binance/BTC-USDT 1h`.

    A month that is not stored or damaged is an error, unless --allow-missing is given.
    """
    start, end = asked.pop("start"), asked.pop("end") or datetime.now(UTC)
    rows = LOADERS[layer](market, timeframe, start, end, **asked)
    print_frame(rows, kind)
