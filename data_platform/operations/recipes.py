"""What each derived layer reads and how it is computed: one recipe a layer.

Reads the rows before the month from the lake, so that the result does not depend on how history
is cut into months; the formulas stand in `features` and `indicators`.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.features.feature_set import (
    FeatureSet,
    build_features,
    feature_schema,
    history_rows,
)
from data_platform.features.timeframes import coarse_range
from data_platform.indicators.columns import add_indicators, warm_up
from data_platform.indicators.indicator import ALL, WarmUp
from data_platform.operations.derive import Ingredients, Recipe
from data_platform.operations.grid import backup_of, gather_filled
from data_platform.operations.journal_book import LEDGER, QUIET, Read, to_input
from data_platform.operations.lake import Lake


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

    def gather(lake: Lake, partition: Partition) -> Ingredients:
        return gather_filled(lake, partition, backup)

    # Whether a gap is open is said by every status, not only by times without trades.
    return Recipe("filled", layer_version("filled", backup), reads, gather, ledger=LEDGER)


def indicators_recipe(names: tuple[str, ...]) -> Recipe:
    """Return how the configured indicator columns are made from the grid.

    Args:
        names: `sma_20`, `rsi_14`, ...
    """

    def gather(lake: Lake, partition: Partition) -> Ingredients:
        period, rows = partition.period, warm_up(names)
        frame = _with_history(lake, "filled", partition, rows)
        return Ingredients(
            (to_input("filled", partition.series, frame),),
            lambda: _from(add_indicators(frame, names), period.start),
            since=_since(("filled", partition.series), frame, period.start, rows),
        )

    return Recipe("indicators", layer_version("indicators", names), _reads_own("filled"), gather)


def features_recipe(feature_set: FeatureSet, timeframe: Timeframe) -> Recipe:
    """Return how a feature set is made from indicators of its own and coarser timeframes."""
    coarser = tuple(feature_set.joins.get(timeframe, {}))

    def reads(partition: Partition) -> tuple[Read, ...]:
        return tuple(("indicators", partition.series.at(each)) for each in (timeframe, *coarser))

    def gather(lake: Lake, partition: Partition) -> Ingredients:
        series, period = partition.series, partition.period
        rows = history_rows(feature_set)
        frame = _with_history(lake, "indicators", partition, rows)
        joined = {each: _coarse_rows(lake, frame, series, each) for each in coarser}
        inputs = [to_input("indicators", series, frame)]
        inputs += [to_input("indicators", series.at(each), it) for each, it in joined.items()]
        known = {each: rows for each, rows in joined.items() if rows.height}

        def compute() -> pl.DataFrame:
            if frame.is_empty():
                return feature_schema(feature_set, timeframe).to_frame()
            return _from(build_features(feature_set, frame, known, timeframe), period.start)

        since = _since(("indicators", series), frame, period.start, rows)
        for each in coarser if frame.height else ():
            since["indicators", series.at(each)] = _coarse_range(frame, series, each).start
        return Ingredients(tuple(inputs), compute, since=since)

    version = layer_version("features", feature_set)
    return Recipe("features", version, reads, gather, feature_set.key)


def layer_version(layer: str, parameters: object = None) -> str:
    """Return a layer's code version, with the hash of its parameters if it has any."""
    version = str(LAYERS_BY_NAME[layer].code_version)
    if parameters is None:
        return version
    return f"{version}-{hashlib.sha256(repr(parameters).encode()).hexdigest()[:12]}"


def _with_history(lake: Lake, layer: str, partition: Partition, rows: WarmUp) -> pl.DataFrame:
    series, period = partition.series, partition.period
    own = lake.store.read_range(layer, series, period.start, period.end)
    if rows == ALL:
        first = own["segment"][0] if own.height else period.start
        before = lake.store.read_range(layer, series, first, period.start)
    else:
        before = lake.store.read_before(layer, series, period.start, rows)
    if before.is_empty() or own.is_empty():
        # An empty frame may lack the layer's columns: nothing is stored that could tell them.
        return before if own.is_empty() else own
    # Earlier months may still hold the columns of another configuration.
    return pl.concat([before, own], how="diagonal")


def _coarse_rows(
    lake: Lake, frame: pl.DataFrame, series: Series, coarse: Timeframe
) -> pl.DataFrame:
    if frame.is_empty():
        return frame
    needed = _coarse_range(frame, series, coarse)
    return lake.store.read_range("indicators", series.at(coarse), needed.start, needed.end)


def _coarse_range(frame: pl.DataFrame, series: Series, coarse: Timeframe) -> TimeRange:
    times, own = frame["open_time"], series.timeframe
    return coarse_range(times[0], times[-1] + own.duration, own, coarse)


def _since(read: Read, frame: pl.DataFrame, start: datetime, rows: WarmUp) -> dict[Read, datetime]:
    """Return from when on a read matters: nothing before as many rows as were wanted does.

    Where all rows are wanted, these are the ones of the segment: what was before its start does
    not matter, and where that start moves, so does the month's own content.
    """
    if rows == ALL:
        return {read: frame["open_time"][0]} if frame.height else {}
    before = frame.filter(pl.col("open_time") < start).height if frame.height else 0
    if before < rows:
        return {}
    return {read: frame["open_time"][0] if frame.height else start}


def _from(frame: pl.DataFrame, start: datetime) -> pl.DataFrame:
    return frame.filter(pl.col("open_time") >= start)


def _reads_own(*layers: str) -> Callable[[Partition], tuple[Read, ...]]:
    def reads(partition: Partition) -> tuple[Read, ...]:
        return tuple((layer, partition.series) for layer in layers)

    return reads
