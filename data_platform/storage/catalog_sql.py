"""The SQL of the catalogue: one macro per layer for one series, one view over all series.

Holds text only. The macros glob one series and are fast; the views are for convenience. Everything
derived shows `available_at`, the candle's close, so that people's own joins do not see the future.
"""

import re
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

# A pair as people write it, spelt as the folders do (`Pair.key`); what `*` or `..` stand for in a
# path is quoted away.
_PAIR = "replace(replace(url_encode(url_decode(replace(pair, '/', '-'))), '.', '%2E'), '~', '%7E')"
_SERIES = (
    "'/exchange=' || url_encode(exchange) || '/timeframe=' || url_encode(timeframe) || "
    f"'/pair=' || {_PAIR} || '/period=*/candles.parquet'"
)
_SET = "'/set=' || CASE feature_set WHEN '*' THEN '*' ELSE url_encode(feature_set) END || "


def macro_statement(table: Table, root: Path) -> str:
    """Return the statement that makes the macro of one layer, for one series."""
    base = text(f"{pattern(root)}/{table.layer}")
    by_set = table.layer == "features"
    glob = f"{base} || {_SET if by_set else ''}{_SERIES}"
    options = ["hive_partitioning = false"] if not by_set else _HIVE
    source = _read(glob, [*options, *_UNION * table.widens])
    chosen = _chosen(table, by_set=by_set)
    named = "exchange, timeframe, pair" + (", feature_set := '*'" if by_set else "")
    return f"CREATE MACRO {table.name}({named}) AS TABLE SELECT {chosen} FROM {source}"  # noqa: S608  # our names


def view_statement(table: Table, root: Path, *, stored: bool) -> str:
    """Return the statement that makes the view over all series of one layer.

    Args:
        table: which one.
        root: the lake's folder.
        stored: whether the layer has files; a view over none could not be made.
    """
    keys = ["exchange", "timeframe", "pair", "period"]
    by_set = table.layer == "features"
    if not stored:
        names = [*keys, *(["feature_set"] if by_set else [])]
        nulls = [f"NULL::VARCHAR AS {name}" for name in names]
        nulls += [f"NULL::{kind} AS {name}" for name, kind in (c.split() for c in table.columns)]
        return f"CREATE VIEW {table.name} AS SELECT {', '.join(nulls)} WHERE false"
    depth = "/*" * (len(keys) + by_set)
    glob = text(f"{pattern(root)}/{table.layer}{depth}/candles.parquet")
    source = _read(glob, [*_HIVE, *_UNION * table.widens])
    rest = _chosen(table, by_set=by_set, exclude=keys)
    columns = f"{', '.join(keys)}, {rest}"
    return f"CREATE VIEW {table.name} AS SELECT {columns} FROM {source}"  # noqa: S608  # our names


def consensus_statement(root: Path) -> str:
    """Return the statement that makes the macro of the median candle across exchanges."""
    base = text(f"{pattern(root)}/ohlcv/exchange=*/timeframe=")
    tail = f"'/pair=' || {_PAIR} || '/period=*/candles.parquet'"
    source = _read(f"{base} || url_encode(timeframe) || {tail}", ["hive_partitioning = false"])
    medians = ", ".join(f"median({name}) AS {name}" for name in CANDLE_SCHEMA.names()[1:])
    chosen = f"{medians}, count(*) AS exchanges, open_time + {_LENGTH} AS available_at"
    return (
        f"CREATE MACRO consensus(pair, timeframe) AS TABLE SELECT open_time, {chosen} "  # noqa: S608  # our names
        f"FROM {source} GROUP BY open_time ORDER BY open_time"
    )


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
