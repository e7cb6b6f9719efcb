"""The answer to one SELECT of a person, each value spelt as text.

DuckDB spells the values itself. On their way through Arrow and polars some become others or end the
program: whole numbers of 128 bits, bit strings, lengths of time, times of day with a zone, days
without end (duckdb 2.0.1, polars 2.1.0, 2026-11-25). Stays out: which files may be read
(`catalog.py`), and how rows are laid out on a page.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from data_platform.domain.errors import DamagedFileError, WrongUseError
from data_platform.storage.catalog_sql import one_line, text
from data_platform.storage.layout import CANDLES_FILE

if TYPE_CHECKING:
    import duckdb
    from duckdb.sqltypes import DuckDBPyType

_NUMBERS = re.compile(r"u?(tiny|small|big|huge)?int(eger)?|bignum|float|double|decimal")
_NESTED = frozenset({"list", "array", "struct", "tuple", "map", "variant"})

# What a macro was called with, as its glob spells it.
_ASKED = re.compile(
    r"/(?P<layer>\w+)(?:/set=(?P<feature_set>[^/]*))?/exchange=(?P<exchange>[^/]*)/timeframe=(?P<timeframe>[^/]*)"
    r"/pair=(?P<pair>[^/]*)/period="
)

# JSON knows neither, and DuckDB writes both; a text that says so is passed over whole.
_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)')


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of one SELECT as texts."""

    texts: pl.DataFrame
    """Every column a text, null where the value is; what is nested is spelt as JSON."""
    numbers: frozenset[str]
    """The columns that hold numbers."""


ALL_ROWS = "SELECT * FROM rows"
"""Asks `opened_frame` for everything."""


@contextmanager
def opened_frame(rows: pl.DataFrame) -> "Iterator[duckdb.DuckDBPyConnection]":
    """Give a connection that knows a frame as the table `rows`, and nothing else."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", rows)
        yield connection


def select(connection: "duckdb.DuckDBPyConnection", sql: str) -> Answer:
    """Return the answer to one SELECT.

    Times are ISO-8601, in UTC with a `Z` where they have a zone; binary is hexadecimal.

    Args:
        connection: from `open_catalog`.
        sql: one statement that only reads.

    Raises:
        WrongUseError: it is no single SELECT, does not parse, names two columns alike, or reads
            outside the lake.
        DamagedFileError: a stored file it reads is torn or not ours.
    """
    relation = _relation(connection, sql)
    spelled = [
        f"{_text_of(f'#{place}', kind)} AS c{place}" for place, kind in enumerate(relation.types, 1)
    ]
    frame = _rows(connection, relation, spelled)
    frame.columns = relation.columns
    kinds = {name: kind.id for name, kind in zip(relation.columns, relation.types, strict=True)}
    texts = frame.with_columns(
        pl.Series(name, [_to_json(cell) for cell in frame[name]], dtype=pl.String)
        for name, kind in kinds.items()
        if kind in _NESTED
    )
    return Answer(texts, frozenset(name for name, it in kinds.items() if _NUMBERS.fullmatch(it)))


def select_json(connection: "duckdb.DuckDBPyConnection", sql: str) -> list[str]:
    """Return the answer to one SELECT as a JSON object for each row.

    Numbers are exact, whatever their length; what is no number (NaN, infinite) is null.

    Args and errors as `select`.
    """
    relation = _relation(connection, sql)
    members: list[str] = []
    for place, (name, kind) in enumerate(zip(relation.columns, relation.types, strict=True), 1):
        value = f"#{place}" if kind.id in _NESTED else _exact(f"#{place}", kind)
        key = text(f"{', ' if members else ''}{json.dumps(name)}: ")
        members.append(f"{key}, coalesce(to_json({value})::VARCHAR, 'null')")
    rows = _rows(connection, relation, [f"concat('{{', {', '.join(members)}, '}}') AS row"])
    return [_to_json(row) or "" for row in rows["row"]]


def _relation(connection: "duckdb.DuckDBPyConnection", sql: str) -> "duckdb.DuckDBPyRelation":
    import duckdb

    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise WrongUseError(f"the query does not parse: {one_line(error)}") from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        found = " and ".join(kinds) or "nothing"
        raise WrongUseError(f"expected one SELECT, found {found}; this door only reads.")
    try:
        relation = connection.sql(statements[0])
    except duckdb.Error as error:
        raise _told(connection, error) from error
    twice = [name for name in relation.columns if relation.columns.count(name) > 1]
    if twice:
        raise WrongUseError(
            f"the answer has two columns called {twice[0]!r}; name one of them anew "
            f'({twice[0]} AS other), or leave it out ("* EXCLUDE", JOIN ... USING).'
        )
    return relation


def _rows(
    connection: "duckdb.DuckDBPyConnection",
    relation: "duckdb.DuckDBPyRelation",
    spelled: list[str],
) -> pl.DataFrame:
    import duckdb

    try:
        return pl.DataFrame(relation.project(", ".join(spelled)).to_arrow_table())
    except duckdb.Error as error:
        raise _told(connection, error) from error


def _text_of(value: str, kind: "DuckDBPyType") -> str:
    whole = f"to_json({value})" if kind.id in _NESTED else _exact(value, kind)
    return f"{whole}::VARCHAR"


def _exact(value: str, kind: "DuckDBPyType") -> str:
    """Return the SQL of a value that DuckDB spells as we do."""
    if kind.id == "blob":
        return f"lower(hex({value}))"
    if not kind.id.startswith("timestamp"):
        return value
    iso = rf"regexp_replace({value}::VARCHAR, ' (\d\d:)', 'T\1')"
    return rf"regexp_replace({iso}, '\+00$', 'Z')" if kind.id.endswith("zone") else iso


def _to_json(cell: str | None) -> str | None:
    if cell is None or not ("NaN" in cell or "Infinity" in cell):
        return cell
    return _NO_NUMBER.sub(lambda found: found[0] if found[0].startswith('"') else "null", cell)


def _told(
    connection: "duckdb.DuckDBPyConnection", error: Exception
) -> WrongUseError | DamagedFileError:
    message = one_line(error)
    if "No files found" in message:
        told = _not_stored(connection, message) or message
        return WrongUseError(f"nothing is stored that the query asks for: {told}")
    if CANDLES_FILE in message and "Permission" not in message:
        return DamagedFileError(
            f"{message}. Move the file away, then fetch or materialize that period again."
        )
    return WrongUseError(f"the query was refused: {message}")


def _not_stored(connection: "duckdb.DuckDBPyConnection", message: str) -> str | None:
    """Return the first word of a macro's call that names nothing stored, and what would."""
    asked = _ASKED.search(message)
    if not asked:
        return None
    known = connection.table("partitions").filter(f"layer = {text(asked['layer'])}")
    for name in ("feature_set", "exchange", "timeframe", "pair"):
        word = asked[name]
        if word in (None, "*"):
            continue
        stored = [value for (value,) in known.select(name).distinct().order(name).fetchall()]
        if word not in stored:
            return f"{name} {word!r}. Stored: {', '.join(stored) or 'nothing yet'}."
        known = known.filter(f"{name} = {text(word)}")
    return None
