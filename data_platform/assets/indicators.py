"""Indicators beside the filled candles."""

import dagster as dg

from data_platform.assets.line import Line, TableColumn, build_derived, filled_columns, line_asset
from data_platform.domain.timeframes import Timeframe
from data_platform.indicators.columns import to_columns
from data_platform.operations.recipes import indicators_recipe


def build_indicators(line: Line, timeframe: Timeframe) -> dg.AssetsDefinition:
    """Return the indicator asset of one timeframe, with the columns of the config."""
    names = line.settings.indicators
    added = [
        TableColumn(column.name, "Float64", f"{column.description} Unit: {column.unit}.")
        for column in to_columns(names)
    ]
    decorate = line_asset(
        line,
        "indicators",
        timeframe,
        description=(
            f"Indicators of {timeframe} candles: row t uses candles closed at or before t, never "
            "across an unfilled gap; null while a window is not full."
        ),
        columns=[*filled_columns(), *added],
        reads=[("filled", timeframe)],
    )
    return build_derived(line, timeframe, [indicators_recipe(names)], decorate)
