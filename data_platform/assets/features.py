"""Feature sets: returns, volatility and coarser timeframes, joined by availability."""

import dagster as dg

from data_platform.assets.line import Line, build_derived, line_asset
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.dictionary import set_columns


def build_features(line: Line, timeframe: Timeframe) -> dg.AssetsDefinition:
    """Return the feature asset of one timeframe."""
    sets = [one for one in line.settings.feature_sets if one.holds(timeframe)]
    coarser = {each for one in sets for each in one.joins.get(timeframe, {})}
    decorate = line_asset(
        line,
        "features",
        timeframe,
        description=(
            f"Feature sets of {timeframe} candles: {', '.join(one.key for one in sets) or 'none'}. "
            "Coarser timeframes and other markets join by their close, so a row never sees a "
            "candle that was still open; what is not known is null."
        ),
        columns=list(
            {column.name: column for one in sets for column in set_columns(one, timeframe)}.values()
        ),
        reads=[
            ("indicators", each)
            for each in line.exchange.timeframes
            if each == timeframe or each in coarser
        ],
    )
    made = line.settings.scope_of(line.exchange).recipes[timeframe]
    recipes = [recipe for recipe in made if recipe.layer == "features"]
    return build_derived(line, "features", timeframe, recipes, decorate)
