"""How rows are printed: as a table for people, as CSV or JSON for programs.

Times are ISO-8601 in UTC with a `Z`, numbers unrounded. Stays out: where rows come from.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click
import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

TABLE_ROWS = 50
UNBOUNDED_WIDTH = 1000

_UTC_TIME = "%Y-%m-%dT%H:%M:%S%.fZ"
_LOCAL_TIME = "%Y-%m-%dT%H:%M:%S%.f"


def open_console(*, is_error: bool = False) -> Console:
    """Return a console; where no person watches, lines are as long as their content."""
    console = Console(stderr=is_error, highlight=False)
    if console.is_terminal:
        return console
    return Console(stderr=is_error, highlight=False, width=UNBOUNDED_WIDTH)


def print_frame(frame: pl.DataFrame, kind: str) -> None:
    """Print rows on stdout.

    Args:
        frame: any columns.
        kind: `table` (the first 50 rows), `csv` or `json` (an array of objects).
    """
    if kind == "csv":
        click.echo(_printable(frame, is_flat=True).write_csv(), nl=False)
    elif kind == "json":
        click.echo(_exact_numbers(_printable(frame, is_flat=False)).write_json())
    else:
        open_console().print(to_table(frame))
        click.echo(_count(frame.height))


def print_json(objects: Sequence[Mapping[str, object]]) -> None:
    """Print objects on stdout as an array, one a line; times as in `print_frame`."""
    lines = ",\n ".join(json.dumps(each, default=_iso_text) for each in objects)
    click.echo(f"[{lines}]")


def to_table(frame: pl.DataFrame) -> Table:
    """Return the first rows of a frame as a table for the terminal, numbers to the right."""
    table = Table()
    for name, dtype in frame.schema.items():
        table.add_column(
            Text(name), justify="right" if dtype.is_numeric() else "left", overflow="fold"
        )
    for row in _printable(frame.head(TABLE_ROWS), is_flat=True).iter_rows():
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    return table


def _iso_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _count(rows: int) -> str:
    if rows > TABLE_ROWS:
        return f"{TABLE_ROWS} of {rows:,} rows; --format csv prints all."
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _printable(frame: pl.DataFrame, *, is_flat: bool) -> pl.DataFrame:
    return frame.select(_text_of(column, is_flat=is_flat) for column in frame.get_columns())


def _text_of(column: pl.Series, *, is_flat: bool) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return column.dt.strftime(_LOCAL_TIME)
        return column.dt.convert_time_zone("UTC").dt.strftime(_UTC_TIME)
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if is_flat and dtype.is_nested():
        texts = [None if row is None else json.dumps(row, default=str) for row in column.to_list()]
        return pl.Series(column.name, texts, dtype=pl.String)
    return column


def _exact_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    # DuckDB's sum() of whole numbers is a decimal of 38 digits, which JSON would show as a text.
    return frame.with_columns(
        column.cast(pl.Float64 if column.dtype.scale else pl.Int64, strict=False)
        for column in frame.get_columns()
        if isinstance(column.dtype, pl.Decimal)
    )
