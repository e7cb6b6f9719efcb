"""`data-platform query`: one SELECT over the lake, as a table, CSV or JSON."""

import click
import polars as pl

from data_platform.cli.output import TABLE_ROWS, print_frame
from data_platform.domain.errors import NotStoredError
from data_platform.settings import Settings, load_settings


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help=f"`table` shows {TABLE_ROWS} rows at most, the others all.",
)
def query(sql: str, kind: str) -> None:
    r"""Run one SELECT and print its rows.

    \b
    Views: candles, filled, indicators, features, gaps, quality, partitions.
    Macros: candles('binance', '1h', 'BTC-USDT') and one for each layer.
    Times are UTC.
    """
    print_frame(select_rows(load_settings(), sql), kind)


def select_rows(settings: Settings, sql: str) -> pl.DataFrame:
    """Return the rows of one SELECT over the lake.

    Raises:
        WrongUseError: it is not one SELECT, or DuckDB refuses it.
        NotStoredError: there is no lake yet.
    """
    from data_platform.storage.catalog import open_catalog, select
    from data_platform.storage.state import State

    if not settings.data_root.is_dir():
        raise NotStoredError(
            f"there is no lake at {settings.data_root} yet; `data-platform download` makes one."
        )
    state = State(settings.state_url)
    try:
        with open_catalog(settings.data_root, state) as connection:
            return select(connection, sql)
    finally:
        state.close()
