"""`data-platform query`: one SELECT over the lake, as a table, CSV or JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from data_platform.cli.output import TABLE_ROWS, print_answer, print_csv, print_json
from data_platform.operations.lake import require_lake
from data_platform.settings import Settings, load_settings
from data_platform.storage.answers import select, select_json

if TYPE_CHECKING:
    import duckdb


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
    Views: candles, filled, indicators, features, gaps, verdicts,
    quality, partitions, runs.
    Macros: candles('binance', '1h', 'BTC-USDT') and one for each layer; with
    since := '2024-01-15', until := '2024-02-01' they open those months only.
    Times are UTC; a pair is BTC-USDT in every table.
    """
    settings = load_settings()
    with opened_catalog(settings) as door:
        if kind == "json":
            print_json(select_json(door, sql))
        elif kind == "csv":
            print_csv(select(door, sql))
        else:
            print_answer(select(door, sql))


@contextmanager
def opened_catalog(settings: Settings) -> "Iterator[duckdb.DuckDBPyConnection]":
    """Give a connection that reads the lake and nothing else.

    Raises:
        NotStoredError: there is no lake yet.
        StorageError: the lake's state or its views cannot be read.
    """
    from data_platform.storage.catalog import open_catalog
    from data_platform.storage.state import State

    require_lake(settings.data_root)
    state = State(settings.state_url)
    try:
        with open_catalog(settings.data_root, state) as connection:
            yield connection
    finally:
        state.close()
