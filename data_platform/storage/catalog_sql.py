"""The SQL of the catalogue: one macro per layer for one series, one view over all series.

Holds text only. The macros glob one series and are fast; the views are for convenience. Everything
derived shows `available_at`, the candle's close, so that people's own joins do not see the future.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, FILLED_SCHEMA
from data_platform.domain.timeframes import TIMEFRAMES

_TYPES = {"Float64": "DOUBLE", "Boolean": "BOOLEAN", "String": "VARCHAR"}


@dataclass(frozen=True, slots=True)
class Table:
    """How one layer is shown."""

    name: str
    """Of the macro and of the view."""
    layer: str
    columns: tuple[str, ...]
    """Of the empty view, while nothing is stored: name and type."""
    widens: bool
    """Whether later files may have further columns."""


def _of(schema: pl.Schema) -> tuple[str, ...]:
    return tuple(f"{name} {_TYPES.get(str(kind), 'TIMESTAMPTZ')}" for name, kind in schema.items())


_AVAILABLE = "available_at TIMESTAMPTZ"

TABLES: tuple[Table, ...] = (
    Table("candles", "ohlcv", _of(CANDLE_SCHEMA), widens=False),
    Table("filled", "filled", (*_of(FILLED_SCHEMA), _AVAILABLE), widens=False),
    Table("indicators", "indicators", (*_of(FILLED_SCHEMA), _AVAILABLE), widens=True),
    Table("features", "features", ("open_time TIMESTAMPTZ", _AVAILABLE), widens=True),
)

_LENGTH = "to_milliseconds(CASE timeframe {cases} END)".format(
    cases=" ".join(f"WHEN '{each.name}' THEN {each.ms}" for each in TIMEFRAMES)
)

_PART = "replace(replace(replace(url_encode({}), '.', '%2E'), '~', '%7E'), '-', '%2D')"


def _split(sign: str, part: str) -> str:
    base, quote = f"split_part(pair, '{sign}', 1)", f"pair[instr(pair, '{sign}') + 1:]"
    return f"{part.format(base)} || '-' || {part.format(quote)}"


# A pair as people write it, or its key, spelt as the folders do (`Pair.key`); what `*` or `..`
# stand for in a path is quoted away.
_DECODED = _PART.format("url_decode({})")
_PAIR = (
    f"CASE WHEN contains(pair, '/') THEN {_split('/', _PART)}"
    f" WHEN contains(pair, '-') THEN {_split('-', _DECODED)} ELSE url_encode(pair) END"
)
_SERIES = (
    "'/exchange=' || url_encode(exchange) || '/timeframe=' || url_encode(timeframe) || "
    f"'/pair=' || ({_PAIR}) || '/period=*/candles.parquet'"
)
_SET = "'/set=' || CASE feature_set WHEN '*' THEN '*' ELSE url_encode(feature_set) END || "


_BOUNDS = "since := NULL, until := NULL"
_SINCE, _UNTIL = "since::TIMESTAMPTZ", "until::TIMESTAMPTZ"
# The month in a file's own name, `.../period=2024-01/candles.parquet`: it tells DuckDB which files
# not to open, which no condition on `open_time` does.
_BETWEEN = (
    f"substr(filename, -23, 7) BETWEEN coalesce(strftime({_SINCE}, '%Y-%m'), '') "
    f"AND coalesce(strftime({_UNTIL}, '%Y-%m'), '9') "
    f"AND open_time >= coalesce({_SINCE}, '-infinity'::TIMESTAMPTZ) "
    f"AND open_time < coalesce({_UNTIL}, 'infinity'::TIMESTAMPTZ)"
)

Lists = Mapping[str, Sequence[str]]
"""The files to read instead of what a glob meets, by the glob: all but those to be left out."""


def macro_statement(table: Table, root: Path, lists: Lists) -> str:
    """Return the statement that makes the macro of one layer, for one series."""
    base = text(f"{pattern(root)}/{table.layer}")
    by_set = table.layer == "features"
    glob = f"{base} || {_SET if by_set else ''}{_SERIES}"
    options = ["hive_partitioning = false"] if not by_set else _HIVE
    source = _read(_files(glob, lists), [*options, *_UNION * table.widens])
    chosen = _chosen(table, by_set=by_set)
    named = "exchange, timeframe, pair" + (", feature_set := '*'" if by_set else "")
    return (
        f"CREATE MACRO {table.name}({named}, {_BOUNDS}) AS TABLE SELECT {chosen} "  # noqa: S608  # our names
        f"FROM {source} WHERE {_BETWEEN}"
    )


def view_statement(table: Table, root: Path, lists: Lists, *, stored: bool) -> str:
    """Return the statement that makes the view over all series of one layer.

    Args:
        table: which one.
        root: the lake's folder.
        lists: files to read instead of globs.
        stored: whether the layer has files; a view over none could not be made.
    """
    keys = ["exchange", "timeframe", "pair", "period"]
    by_set = table.layer == "features"
    if not stored:
        names = [*keys, *(["feature_set"] if by_set else [])]
        nulls = [f"NULL::VARCHAR AS {name}" for name in names]
        nulls += [f"NULL::{kind} AS {name}" for name, kind in (c.split() for c in table.columns)]
        return f"CREATE VIEW {table.name} AS SELECT {', '.join(nulls)} WHERE false"
    glob = view_glob(table, root)
    source = _read(
        _list(lists[glob]) if glob in lists else text(glob), [*_HIVE, *_UNION * table.widens]
    )
    rest = _chosen(table, by_set=by_set, exclude=keys)
    columns = f"{', '.join(keys)}, {rest}"
    return f"CREATE VIEW {table.name} AS SELECT {columns} FROM {source}"  # noqa: S608  # our names


def consensus_statement(root: Path, lists: Lists) -> str:
    """Return the statement that makes the macro of the median candle across exchanges."""
    base = text(f"{pattern(root)}/ohlcv/exchange=*/timeframe=")
    tail = f"'/pair=' || ({_PAIR}) || '/period=*/candles.parquet'"
    files = _files(f"{base} || url_encode(timeframe) || {tail}", lists)
    source = _read(files, ["hive_partitioning = false"])
    medians = ", ".join(f"median({name}) AS {name}" for name in CANDLE_SCHEMA.names()[1:])
    chosen = f"{medians}, count(*) AS exchanges, open_time + {_LENGTH} AS available_at"
    return (
        f"CREATE MACRO consensus(pair, timeframe, {_BOUNDS}) AS TABLE SELECT open_time, {chosen} "  # noqa: S608  # our names
        f"FROM {source} WHERE {_BETWEEN} GROUP BY open_time ORDER BY open_time"
    )


def view_glob(table: Table, root: Path) -> str:
    """Return the glob over all series of a layer."""
    depth = "/*" * (5 if table.layer == "features" else 4)
    return f"{pattern(root)}/{table.layer}{depth}/candles.parquet"


def globs_that_meet(path: str, root: Path) -> list[str]:
    """Return every glob of the macros and views, as they spell it, that a partition's file meets.

    Args:
        path: of the file, below the root.
        root: the lake's folder.
    """
    folders = path.split("/")
    table = next((it for it in TABLES if it.layer == folders[0]), None)
    if table is None:
        return []
    series = "/".join([*folders[:-2], "period=*", folders[-1]])
    globs = [series]
    if table.layer == "features":
        globs.append("/".join([folders[0], "set=*", *series.split("/")[2:]]))
    if table.layer == "ohlcv":
        globs.append("/".join([folders[0], "exchange=*", *series.split("/")[2:]]))
    return [*(f"{pattern(root)}/{glob}" for glob in globs), view_glob(table, root)]


def text(value: str) -> str:
    """Return a string as SQL spells it."""
    return "'" + value.replace("'", "''") + "'"


def one_line(error: Exception) -> str:
    """Return what DuckDB says of a query, in one line: without the place, which it draws below."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())


def pattern(root: Path) -> str:
    """Return a folder as a glob spells it: its own `*` and `[` are plain letters."""
    return re.sub(r"([*?\[])", r"[\1]", root.as_posix())


_HIVE = ["hive_partitioning = true", "hive_types_autocast = false"]
_UNION = ["union_by_name = true"]


def _files(glob: str, lists: Lists) -> str:
    """Return an expression for the files of a glob that is only known when the macro is called."""
    if not lists:
        return glob
    cases = " ".join(f"WHEN {text(known)} THEN {_list(files)}" for known, files in lists.items())
    return f"CASE {glob} {cases} ELSE [{glob}] END"


def _list(files: Sequence[str]) -> str:
    return f"[{', '.join(text(file) for file in files)}]"


def _read(glob: str, options: list[str]) -> str:
    return f"read_parquet({glob}, {', '.join(options)})"


def _chosen(table: Table, *, by_set: bool, exclude: list[str] | None = None) -> str:
    hidden = list(exclude or [])
    if by_set:
        hidden = [*dict.fromkeys([*hidden, "exchange", "timeframe", "pair", "period"]), '"set"']
    rest = f"* EXCLUDE ({', '.join(hidden)})" if hidden else "*"
    shown = ['"set" AS feature_set', rest] if by_set else [rest]
    if table.layer != "ohlcv":
        shown.append(f"open_time + {_LENGTH} AS available_at")
    return ", ".join(shown)
