"""The derived line of one series, small enough for tests, and what it makes from scratch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.operations.derive import derive_layer
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.operations.report import LayerReport
from data_platform.operations.watch import nobody_watches
from data_platform_tests.factories import content, gap_of, lake_at, plant_gaps, store_candles

INDICATORS = ("sma_5", "rsi_14")
SMALL = FeatureSet("small", 1, returns=(1, 3), volatility=(4,), indicators=INDICATORS)


def recipes_of(
    series: Series,
    indicators: tuple[str, ...] = INDICATORS,
    feature_set: FeatureSet = SMALL,
) -> list[Recipe]:
    """The recipes of the line in its order."""
    return [
        filled_recipe(),
        indicators_recipe(indicators),
        features_recipe(feature_set, series.timeframe),
    ]


def derive_line(
    lake: Lake,
    series: Series,
    periods: Iterable[Period],
    recipes: Sequence[Recipe] | None = None,
) -> dict[str, LayerReport]:
    """Bring the line up to date and return each layer's report."""
    months = list(periods)
    return {
        recipe.layer: derive_layer(
            lake,
            [Partition(recipe.layer, series, month) for month in months],
            [recipe],
            nobody_watches(),
        )
        for recipe in recipes or recipes_of(series)
    }


def contents(
    lake: Lake,
    series: Series,
    periods: Iterable[Period],
    recipes: Sequence[Recipe] | None = None,
) -> dict[str, str | None]:
    """The content hash of every derived file of a series."""
    line = recipes or recipes_of(series)
    return {
        f"{it.layer} {month}": content(lake, Partition(it.layer, series, month, it.feature_set))
        for it in line
        for month in periods
    }


def from_scratch(
    root: Path,
    series: Series,
    candles: pl.DataFrame,
    periods: Sequence[Period],
    quiet: Sequence[tuple[str, str]] = (),
) -> dict[str, str | None]:
    """What the line makes of candles in a lake of its own, computed once and as a whole."""
    root.mkdir()
    lake = lake_at(root)
    store_candles(lake, series, candles)
    plant_gaps(
        lake, *(gap_of(series, start, end, "no_trades", confirmed=True) for start, end in quiet)
    )
    derive_line(lake, series, periods)
    found = contents(lake, series, periods)
    lake.state.close()
    return found


def written(reports: dict[str, LayerReport]) -> set[str]:
    """Layer and month of every partition whose file was written."""
    return {
        f"{layer} {part.partition.period}"
        for layer, report in reports.items()
        for part in report.partitions
        if part.outcome == "written"
    }


MINUTE = to_timeframe("1m")
