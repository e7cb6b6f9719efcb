"""A feature set: which columns a model gets, under a name and a version; and how it is built.

A set never changes its meaning under one version: whoever changes a file raises its `version`,
and the older one stays readable beside it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache

import polars as pl

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe
from data_platform.features.fill_policy import CARRY_10, to_honest_policy
from data_platform.features.markets import MarketColumns, add_market
from data_platform.features.returns import add_moves, return_columns, volatility_columns
from data_platform.features.timeframes import add_coarser, joined_name
from data_platform.indicators.columns import output_columns, to_columns
from data_platform.indicators.indicator import MAX_ROWS, Column

KEPT = ("open_time", "close", "is_filled", "segment")
"""Columns of the indicators layer that every feature set carries."""

MASK = "true or false"


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What one set of features holds, for every timeframe.

    Raises `WrongUseError` when windows repeat or are impossible, or a join is not to a coarser
    timeframe.
    """

    name: str
    """Letters, digits and `_`."""
    version: int
    """From 1; raised whenever anything below changes."""
    returns: tuple[int, ...] = ()
    """Windows of `return_N` and `log_return_N`, in candles."""
    volatility: tuple[int, ...] = ()
    """Windows of `volatility_N`, in candles."""
    indicators: tuple[str, ...] = ()
    """Indicators of the candle's own timeframe: `rsi_14`."""
    joins: Mapping[Timeframe, Mapping[Timeframe, tuple[str, ...]]] = field(default_factory=dict)
    """Timeframe -> coarser timeframe -> the coarser one's indicators that are joined."""
    markets: tuple[MarketColumns, ...] = ()
    """Other markets whose columns are joined, of the candle that closes at the same time."""
    fill: str = CARRY_10.name
    """The name of a fill policy that does not see the future."""
    timeframes: tuple[Timeframe, ...] = ()
    """For which it is made; empty: for every one."""

    def __post_init__(self) -> None:
        to_honest_policy(self.fill)
        _check_windows("returns", self.returns, 1)
        _check_windows("volatility", self.volatility, 2)
        for timeframe, coarser in self.joins.items():
            for coarse in coarser:
                if coarse.seconds <= timeframe.seconds:
                    raise WrongUseError(
                        f"`joins` of a feature set: {coarse} is not coarser than {timeframe}."
                    )

    @property
    def key(self) -> str:
        """Return the spelling in paths: `base-v1`."""
        return f"{self.name}-v{self.version}"

    @property
    def parameters(self) -> str:
        """Return what it holds, but for its name and version, in one spelling."""
        # What a later version of the program adds must not change sets that do not use it.
        told = {
            it.name: spelled
            for it in fields(self)
            if it.name not in ("name", "version") and (spelled := _spelled(getattr(self, it.name)))
        }
        if self.fill == CARRY_10.name:
            told.pop("fill")
        return json.dumps(told, sort_keys=True)

    def __hash__(self) -> int:
        # A mapping has no hash of its own.
        return hash(self.key)

    def holds(self, timeframe: Timeframe) -> bool:
        """Return whether it is made for a timeframe."""
        return not self.timeframes or timeframe in self.timeframes

    def __str__(self) -> str:
        return self.key


def history_rows(feature_set: FeatureSet) -> int:
    """Return how many rows `build_features` needs before the first row that is wanted."""
    return max((*feature_set.returns, *feature_set.volatility), default=0)


@cache
def feature_columns(feature_set: FeatureSet, timeframe: Timeframe) -> tuple[Column, ...]:
    """Return the features and masks that a set adds at a timeframe, in order, for the UI."""
    groups = _groups(feature_set, timeframe)
    masks = (
        Column(f"has_{group}", MASK, f"All {group} columns of the row are known.")
        for group in groups
    )
    complete = Column(
        "is_complete",
        MASK,
        "Every feature of the row is known; false while windows fill, as after a gap of more than "
        "10 candles: exclude such rows.",
    )
    features = (column for columns in groups.values() for column in columns)
    return (*features, *masks, complete)


@cache
def feature_schema(feature_set: FeatureSet, timeframe: Timeframe) -> pl.Schema:
    """Return the schema of `build_features`' result."""
    columns = feature_columns(feature_set, timeframe)
    kept = {name: FILLED_SCHEMA[name] for name in KEPT}
    added = {row.name: pl.Boolean() if row.unit == MASK else pl.Float64() for row in columns}
    return pl.Schema({**kept, **added})


@dataclass(frozen=True, slots=True)
class Beside:
    """What is joined to the rows of a series: the indicators layer of others."""

    coarse: Mapping[Timeframe, pl.DataFrame] = field(default_factory=dict)
    """By coarser timeframe, at least `coarse_range` as far as it is stored; one that is left out
    is unknown throughout."""
    markets: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """By the alias of the other market, with its `history`; as above."""


def build_features(
    feature_set: FeatureSet, frame: pl.DataFrame, beside: Beside, timeframe: Timeframe
) -> pl.DataFrame:
    """Return the features of one series.

    Row t uses what is known at its close: rows <= t of its own segment, coarser candles and other
    markets' that have closed by then. What is not known is null, and false in the masks.

    Many pairs or months are built in one pass where they stand one below the other as blocks
    (`blocks.py`), each with its rows before: the bits are those of each alone.

    Args:
        feature_set: what to build.
        frame: the indicators layer, sorted: the wanted rows and up to `history_rows` before. Of
            several blocks: sorted by `BLOCK`, then by time.
        beside: the indicators layer of what is joined; with `BLOCK` if `frame` has it, rows of
            the same number being those beside them. A block may be absent: it is unknown.
        timeframe: the frame's timeframe.

    Returns:
        Same rows; the columns of `feature_schema`, thus without `BLOCK`.

    Raises:
        StorageError: rows that are joined are not sorted, or stand there twice.
        WrongUseError: a frame lacks a column that the set names, or `BLOCK` where another has it.
    """
    _check_columns(feature_set, frame, output_columns(feature_set.indicators), timeframe)
    work = add_moves(frame, feature_set.returns, feature_set.volatility)
    work = _with_coarser(feature_set, work, beside, timeframe)
    work = _with_markets(feature_set, work, beside, timeframe)
    schema = feature_schema(feature_set, timeframe)
    features = [name for name, dtype in schema.items() if dtype == pl.Float64 and name not in KEPT]
    # A ratio of extreme prices overflows; what is no number is not known.
    odd = [name for name in features if not math.isfinite(work[name].sum())]
    if odd:
        work = work.with_columns(pl.when(pl.col(odd).is_finite()).then(pl.col(odd)))
    return work.with_columns(_masks(feature_set, timeframe)).select(schema.names())


@cache
def _masks(feature_set: FeatureSet, timeframe: Timeframe) -> tuple[pl.Expr, ...]:
    known = {
        group: [pl.col(column.name).is_not_null() for column in columns]
        for group, columns in _groups(feature_set, timeframe).items()
    }
    groups = (pl.all_horizontal(each).alias(f"has_{group}") for group, each in known.items())
    everything = (expression for each in known.values() for expression in each)
    return (*groups, pl.all_horizontal(pl.lit(value=True), *everything).alias("is_complete"))


def _with_coarser(
    feature_set: FeatureSet, frame: pl.DataFrame, beside: Beside, timeframe: Timeframe
) -> pl.DataFrame:
    for coarser, names in feature_set.joins.get(timeframe, {}).items():
        columns = output_columns(names)
        known = coarser in beside.coarse
        coarse_frame = beside.coarse[coarser] if known else _unknown(columns)
        _check_columns(feature_set, coarse_frame, columns, coarser)
        frame = add_coarser(frame, coarse_frame, timeframe, coarser, columns)
    return frame


def _with_markets(
    feature_set: FeatureSet, frame: pl.DataFrame, beside: Beside, timeframe: Timeframe
) -> pl.DataFrame:
    for joined in feature_set.markets:
        columns = output_columns(joined.indicators)
        known = joined.alias in beside.markets
        other = beside.markets[joined.alias] if known else _unknown(columns)
        _check_columns(feature_set, other, columns, timeframe)
        frame = add_market(frame, other, joined)
    return frame


def _unknown(columns: Sequence[str]) -> pl.DataFrame:
    kept = {name: FILLED_SCHEMA[name] for name in KEPT}
    return pl.DataFrame(schema={**kept, **dict.fromkeys(columns, pl.Float64())})


@cache
def _groups(feature_set: FeatureSet, timeframe: Timeframe) -> dict[str, tuple[Column, ...]]:
    groups = {
        "returns": return_columns(feature_set.returns),
        "volatility": volatility_columns(feature_set.volatility),
        "indicators": to_columns(feature_set.indicators),
    }
    for coarse, names in feature_set.joins.get(timeframe, {}).items():
        groups[str(coarse)] = tuple(
            Column(
                joined_name(column.name, coarse),
                column.unit,
                f"{column.description[:-1]}; of the newest {coarse} candle closed by then.",
            )
            for column in to_columns(names)
        )
    groups |= {joined.alias: joined.columns for joined in feature_set.markets}
    return {group: columns for group, columns in groups.items() if columns}


def _spelled(value: object) -> object:
    """Return a value of a set as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _spelled(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_spelled(each) for each in value]
    if isinstance(value, MarketColumns):
        return {it.name: _spelled(getattr(value, it.name)) for it in fields(value)}
    return value if isinstance(value, int | str | None) else str(value)


def _check_columns(
    feature_set: FeatureSet, frame: pl.DataFrame, columns: tuple[str, ...], timeframe: Timeframe
) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise WrongUseError(
            f"feature set {feature_set.key} needs {', '.join(missing)} of {timeframe}, which the "
            "indicators layer does not hold; add them to `indicators` in the config and "
            "materialize that layer again."
        )


def _check_windows(key: str, windows: Sequence[int], smallest: int) -> None:
    wrong = [rows for rows in windows if not smallest <= rows <= MAX_ROWS]
    if wrong or len(set(windows)) < len(windows):
        raise WrongUseError(
            f"`{key}` of a feature set must be different whole numbers from {smallest} to "
            f"{MAX_ROWS}, found {list(windows)}."
        )
