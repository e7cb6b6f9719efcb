"""How rows are laid out: as a table for people, as CSV or JSON for programs.

Stays out: where rows come from and how a value is spelt (`storage/answers.py`).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_platform.storage.answers import ALL_ROWS, Answer, opened_frame, select, select_json

if TYPE_CHECKING:
    import polars as pl

TABLE_ROWS = 50
UNBOUNDED_WIDTH = 1000


def open_console(*, is_error: bool = False) -> Console:
    """Return a console; where no person watches, lines are as long as their content."""
    console = Console(stderr=is_error, highlight=False)
    if console.is_terminal:
        return console
    return Console(stderr=is_error, highlight=False, width=UNBOUNDED_WIDTH)


def print_answer(answer: Answer) -> None:
    """Print the first rows of an answer as a table, and how many there are."""
    open_console().print(to_table(answer))
    rows = answer.texts.height
    if rows > TABLE_ROWS:
        click.echo(f"{TABLE_ROWS} of {rows:,} rows; --format csv prints all.")
    else:
        click.echo(f"{rows:,} row{'' if rows == 1 else 's'}")


def print_csv(answer: Answer) -> None:
    """Print all rows of an answer as CSV with a header; nothing between commas is null."""
    click.echo(answer.texts.write_csv(), nl=False)


def print_json(objects: Iterable[str | Mapping[str, object]]) -> None:
    """Print objects as a JSON array, one a line; those that are texts are JSON already."""
    spelled = (it if isinstance(it, str) else json.dumps(it, default=_iso_text) for it in objects)
    lines = ",\n ".join(spelled)
    click.echo(f"[{lines}]")


def print_frame(rows: "pl.DataFrame", kind: str = "table") -> None:
    """Print a frame as a `table`, `csv` or `json`, spelt as answers to queries are."""
    with opened_frame(rows) as connection:
        if kind == "json":
            print_json(select_json(connection, ALL_ROWS))
        elif kind == "csv":
            print_csv(select(connection, ALL_ROWS))
        else:
            print_answer(select(connection, ALL_ROWS))


def print_document(document: Mapping[str, object]) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(document, indent=1, default=_iso_text))


def to_table(answer: Answer) -> Table:
    """Return the first rows of an answer as a table for the terminal, numbers to the right."""
    table = Table()
    for name in answer.texts.columns:
        is_number = name in answer.numbers
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in answer.texts.head(TABLE_ROWS).iter_rows():
        table.add_row(*(Text(cell or "") for cell in row))
    return table


def _iso_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)
