"""The regular grid: the only place that fills."""

import dagster as dg

from data_platform.assets.line import Line, build_derived, line_asset
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.dictionary import filled_columns
from data_platform.operations.recipes import filled_recipe


def build_filled(line: Line, timeframe: Timeframe) -> dg.AssetsDefinition:
    """Return the grid asset of one timeframe."""
    backup = line.exchange.backup
    before = f"Over open gaps it takes {backup}'s candles of the same pair. " if backup else ""
    decorate = line_asset(
        line,
        "filled",
        timeframe,
        description=(
            f"The regular {timeframe} grid. {before}The first 10 candles of a gap are carried "
            "forward and flagged, then rows stay missing and a new segment begins; times known to "
            "be without trades are carried at any length."
        ),
        columns=filled_columns(),
        reads=[("ohlcv", timeframe)],
    )
    return build_derived(line, "filled", timeframe, [filled_recipe(backup)], decorate)
