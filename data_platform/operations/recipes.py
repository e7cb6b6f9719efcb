"""What each derived layer reads and how it is computed: one recipe a layer.

Reads the rows before the month from the lake, so that the result does not depend on how history
is cut into months; the formulas stand in `features` and `indicators`.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.timeframes import Timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.indicators.columns import add_indicators, warm_up
from data_platform.indicators.indicator import ALL
from data_platform.operations.computed_store import Lines
from data_platform.operations.elsewhere import Elsewhere
from data_platform.operations.feature_line import FeatureLine
from data_platform.operations.grid import backup_of, gather_filled
from data_platform.operations.journal_book import LEDGER, QUIET, Read, to_input
from data_platform.operations.lake import Lake
from data_platform.operations.past_rows import from_start, since, with_history
from data_platform.operations.recipe import Gathered, Ingredients, Recipe, gathered
from data_platform.operations.stack import in_one_pass

_Rows = tuple[pl.DataFrame, datetime]
"""Rows with those before them, and the first time that is wanted."""


def filled_recipe(backup: str | None = None) -> Recipe:
    """Return how the regular grid is made from stored candles.

    Args:
        backup: the exchange whose candles may cover open gaps; None: none may.
    """
    own = _reads_own("ohlcv", "filled")
    if backup is None:
        return Recipe("filled", layer_version("filled"), own, gather_filled, ledger=QUIET)

    def reads(partition: Partition) -> tuple[Read, ...]:
        return (*own(partition), ("ohlcv", backup_of(partition.series, backup)))

    def gather(lake: Lake, partitions: Sequence[Partition]) -> Gathered:
        return gather_filled(lake, partitions, backup)

    # Whether a gap is open is said by every status, not only by times without trades.
    return Recipe("filled", layer_version("filled", backup), reads, gather, ledger=LEDGER)


def indicators_recipe(names: tuple[str, ...]) -> Recipe:
    """Return how the configured indicator columns are made from the grid.

    Args:
        names: `sma_20`, `rsi_14`, ...
    """
    rows = warm_up(names)

    def gather(lake: Lake, partitions: Sequence[Partition]) -> Gathered:
        wanted = [(it.series, TimeRange(it.period.start, it.period.end)) for it in partitions]
        found = {}
        frames = with_history(lake, "filled", wanted, rows)
        for partition, frame in zip(partitions, frames, strict=True):
            read, start = ("filled", partition.series), partition.period.start
            noted = since(read, frame, start, rows)
            ingredients = Ingredients((to_input(*read, frame),), since=noted)
            found[partition] = (ingredients, (frame, start))
        return gathered(found, compute)

    def compute(found: Sequence[_Rows]) -> list[pl.DataFrame]:
        made = in_one_pass(partial(add_indicators, names=names), [frame for frame, _ in found])
        return [from_start(each, start) for each, (_, start) in zip(made, found, strict=True)]

    return Recipe(
        "indicators",
        layer_version("indicators", names),
        _reads_own("filled"),
        gather,
        is_endless=rows == ALL,
    )


def features_recipe(
    feature_set: FeatureSet,
    timeframe: Timeframe,
    stored: Collection[str] | None = None,
    lines: Lines | None = None,
) -> Recipe:
    """Return how a feature set is made from indicators of its own and coarser timeframes.

    Args:
        feature_set: what to make.
        timeframe: of its rows.
        stored: the indicators that the layer holds; others are computed from its candles. None:
            it holds every one.
        lines: how the layers of the other exchanges that the set names are made, so that what is
            corrected there is known here before it is made again there.
    """
    line = FeatureLine(feature_set, timeframe, stored, Elsewhere(lines or {}))
    version = layer_version("features", feature_set.parameters)
    return Recipe(
        "features",
        version,
        line.reads,
        line.gather,
        feature_set.key,
        is_endless=line.is_endless,
        pending=line.pending,
    )


def layer_version(layer: str, parameters: object = None) -> str:
    """Return a layer's code version, with the hash of its parameters if it has any."""
    version = str(LAYERS_BY_NAME[layer].code_version)
    if parameters is None:
        return version
    return f"{version}-{hashlib.sha256(repr(parameters).encode()).hexdigest()[:12]}"


def _reads_own(*layers: str) -> Callable[[Partition], tuple[Read, ...]]:
    def reads(partition: Partition) -> tuple[Read, ...]:
        return tuple((layer, partition.series) for layer in layers)

    return reads
