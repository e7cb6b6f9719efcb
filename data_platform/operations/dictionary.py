"""The columns of every table of the lake, each with its type and its meaning.

One source for the UI and for the data dictionary; the words come from the schemas themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from data_platform.converters.converter import Converter
from data_platform.domain.candles import CANDLE_SCHEMA, COLUMN_DESCRIPTIONS, FILLED_SCHEMA
from data_platform.domain.timeframes import Timeframe
from data_platform.features.feature_set import FeatureSet, feature_columns, feature_schema
from data_platform.indicators.columns import to_columns
from data_platform.storage.footer import SCHEMA_VERSION
from data_platform.storage.state_frames import STATE_COLUMNS, STATE_SCHEMAS, STATE_TABLES


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column."""

    name: str
    type: str
    description: str


def candle_columns() -> list[TableColumn]:
    """Return the columns of candles."""
    return _described(CANDLE_SCHEMA)


def filled_columns() -> list[TableColumn]:
    """Return the columns of the regular grid."""
    return _described(FILLED_SCHEMA)


def consensus_columns() -> list[TableColumn]:
    """Return the columns of the macro `consensus`."""
    prices = [
        TableColumn(name, "Float64", f"Median over the exchanges. {COLUMN_DESCRIPTIONS[name]}")
        for name in CANDLE_SCHEMA.names()[1:]
    ]
    time = CANDLE_SCHEMA["open_time"]
    return [
        TableColumn("open_time", str(time), COLUMN_DESCRIPTIONS["open_time"]),
        *prices,
        TableColumn("exchanges", "Int64", "Exchanges that have a candle of this time."),
        TableColumn("available_at", str(time), "The candle's close, UTC."),
    ]


def indicator_columns(names: Sequence[str]) -> list[TableColumn]:
    """Return the columns that the named indicators add."""
    return [
        TableColumn(column.name, "Float64", f"{column.description} Unit: {column.unit}.")
        for column in to_columns(names)
    ]


def set_columns(feature_set: FeatureSet, timeframe: Timeframe) -> list[TableColumn]:
    """Return the columns of a feature set at a timeframe."""
    described = {
        column.name: f"{column.description} Unit: {column.unit}."
        for column in feature_columns(feature_set, timeframe)
    }
    words = {**COLUMN_DESCRIPTIONS, **described}
    schema = feature_schema(feature_set, timeframe)
    return [TableColumn(name, str(dtype), words[name]) for name, dtype in schema.items()]


def spell_dictionary(
    indicators: Sequence[str],
    feature_sets: Sequence[FeatureSet],
    timeframe: Timeframe,
    converters: Sequence[Converter],
) -> str:
    """Return the data dictionary as Markdown.

    Args:
        indicators: names of what the indicators layer stores.
        feature_sets: what the features layer stores.
        timeframe: whose features are shown; coarser ones join fewer columns.
        converters: whose files are shown.
    """
    return "\n".join(_lines(indicators, feature_sets, timeframe, converters)) + "\n"


def _lines(
    indicators: Sequence[str],
    feature_sets: Sequence[FeatureSet],
    timeframe: Timeframe,
    converters: Sequence[Converter],
) -> Iterator[str]:
    yield "# Data dictionary"
    yield ""
    yield "Made by `data-platform dictionary`; `make docs` writes it anew."
    yield (
        f"Files of the lake carry schema version {SCHEMA_VERSION} in their footer. Times are "
        "opening times in UTC, milliseconds. In DuckDB `filled`, `indicators` and `features` also "
        "show `available_at`, the candle's close: nobody can know the row before."
    )
    filled = filled_columns()
    yield from _table("ohlcv", "What the exchange sent: closed, audited, sparse.", candle_columns())
    yield from _table("filled", "The regular grid; the only layer that fills.", filled)
    what = (
        "In DuckDB the macro `consensus(pair, timeframe)`: the median candle of the exchanges that "
        "list the pair. USD and USDT are different pairs."
    )
    yield from _table("consensus", what, consensus_columns())
    what = "The columns of `filled`, and these. Row t uses rows up to t."
    yield from _table("indicators", what, indicator_columns(indicators))
    for one in feature_sets:
        what = f"Feature set `{one.key}`, at {timeframe}."
        yield from _table(f"features[{one.key}]", what, set_columns(one, timeframe))
    for each in converters:
        columns = [TableColumn(it.name, it.type, it.description) for it in each.columns]
        yield from _table(each.name, f"Files for {each.title}.", columns)
    for name, schema in STATE_SCHEMAS.items():
        columns = [TableColumn(it, str(dtype), STATE_COLUMNS[it]) for it, dtype in schema.items()]
        yield from _table(name, STATE_TABLES[name], columns)


def _table(name: str, what: str, columns: Sequence[TableColumn]) -> Iterator[str]:
    yield from ("", f"## {name}", "", what, "", "| column | type | meaning |", "|---|---|---|")
    for column in columns:
        meaning = column.description.replace("|", "\\|")
        yield f"| {column.name} | {column.type} | {meaning} |"


def _described(schema: pl.Schema) -> list[TableColumn]:
    return [
        TableColumn(name, str(dtype), COLUMN_DESCRIPTIONS[name]) for name, dtype in schema.items()
    ]
