"""Indicators beside the filled candles."""

import dagster as dg

from data_platform.assets.line import Line, build_derived, line_asset
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.dictionary import filled_columns, indicator_columns
from data_platform.operations.recipes import indicators_recipe


def build_indicators(line: Line, timeframe: Timeframe) -> dg.AssetsDefinition:
    """Return the indicator asset of one timeframe, with the columns of the config."""
    names = line.settings.indicators
    decorate = line_asset(
        line,
        "indicators",
        timeframe,
        description=(
            f"Indicators of {timeframe} candles: row t uses candles closed at or before t, never "
            "across an unfilled gap; null while a window is not full."
        ),
        columns=[*filled_columns(), *indicator_columns(names)],
        reads=[("filled", timeframe)],
    )
    return build_derived(line, "indicators", timeframe, [indicators_recipe(names)], decorate)
