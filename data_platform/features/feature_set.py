"""A feature set: which columns a model gets, under a name and a version; and how it is built.

A set never changes its meaning under one version: whoever changes a file raises its `version`,
and the older one stays readable beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from data_platform.domain.candles import FILLED_SCHEMA, TIME
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe
from data_platform.features.returns import (
    add_returns,
    add_volatility,
    return_columns,
    volatility_columns,
)
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

    def __post_init__(self) -> None:
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


def history_rows(feature_set: FeatureSet) -> int:
    """Return how many rows `build_features` needs before the first row that is wanted."""
    return max((*feature_set.returns, *feature_set.volatility), default=0)


def feature_columns(feature_set: FeatureSet, timeframe: Timeframe) -> tuple[Column, ...]:
    """Return the features and masks that a set adds at a timeframe, in order, for the UI."""
    groups = _groups(feature_set, timeframe)
    masks = (
        Column(f"has_{group}", MASK, f"All {group} columns of the row are known.")
        for group in groups
    )
    complete = Column("is_complete", MASK, "Every feature of the row is known.")
    features = (column for columns in groups.values() for column in columns)
    return (*features, *masks, complete)


def feature_schema(feature_set: FeatureSet, timeframe: Timeframe) -> pl.Schema:
    """Return the schema of `build_features`' result."""
    columns = feature_columns(feature_set, timeframe)
    kept = {name: FILLED_SCHEMA[name] for name in KEPT}
    added = {row.name: pl.Boolean() if row.unit == MASK else pl.Float64() for row in columns}
    return pl.Schema({**kept, **added})


def build_features(
    feature_set: FeatureSet,
    frame: pl.DataFrame,
    coarse: Mapping[Timeframe, pl.DataFrame],
    timeframe: Timeframe,
) -> pl.DataFrame:
    """Return the features of one series.

    Row t uses what is known at its close: rows <= t of its own segment, coarser candles that
    have closed by then. What is not known is null, and false in the masks.

    Args:
        feature_set: what to build.
        frame: the indicators layer, sorted: the wanted rows and up to `history_rows` before.
        coarse: the indicators layer of coarser timeframes, at least `coarse_range` of the frame
            as far as it is stored; a timeframe that is left out is unknown throughout.
        timeframe: the frame's timeframe.

    Returns:
        Same rows; the columns of `feature_schema`.

    Raises:
        WrongUseError: the indicators layer lacks a column that the set names.
    """
    _check_columns(feature_set, frame, output_columns(feature_set.indicators), timeframe)
    work = add_volatility(add_returns(frame, feature_set.returns), feature_set.volatility)
    work = _with_coarser(feature_set, work, coarse, timeframe)
    groups = _groups(feature_set, timeframe)
    names = [column.name for columns in groups.values() for column in columns]
    # A ratio of extreme prices overflows; what is no number is not known.
    finite = (pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in names)
    masked = work.with_columns(finite).with_columns(
        *(_known(columns).alias(f"has_{group}") for group, columns in groups.items()),
        pl.all_horizontal(pl.lit(value=True), pl.col(names).is_not_null()).alias("is_complete"),
    )
    return masked.select(feature_schema(feature_set, timeframe).names())


def _with_coarser(
    feature_set: FeatureSet,
    frame: pl.DataFrame,
    coarse: Mapping[Timeframe, pl.DataFrame],
    timeframe: Timeframe,
) -> pl.DataFrame:
    for coarser, names in feature_set.joins.get(timeframe, {}).items():
        columns = output_columns(names)
        schema = {
            "open_time": TIME,
            "is_filled": pl.Boolean(),
            **dict.fromkeys(columns, pl.Float64()),
        }
        coarse_frame = coarse.get(coarser, pl.DataFrame(schema=schema))
        _check_columns(feature_set, coarse_frame, columns, coarser)
        # Whether a missing candle is carried shows once a later one has come: live it is unknown.
        came = coarse_frame.filter(~pl.col("is_filled"))
        frame = add_coarser(frame, came, timeframe, coarser, columns)
    return frame


def _known(columns: Sequence[Column]) -> pl.Expr:
    return pl.all_horizontal(pl.col(column.name).is_not_null() for column in columns)


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
    return {group: columns for group, columns in groups.items() if columns}


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
