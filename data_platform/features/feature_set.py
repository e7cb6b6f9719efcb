"""A feature set: which columns a model gets, under a name and a version; and how it is built.

A set never changes its meaning under one version: whoever changes a file raises its `version`,
and the older one stays readable beside it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import polars as pl

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.domain.errors import ConfigError, WrongUseError
from data_platform.domain.timeframes import Timeframe, to_timeframe
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
    """What one set of features holds, for every timeframe."""

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

    @property
    def key(self) -> str:
        """Return the spelling in paths: `base-v1`."""
        return f"{self.name}-v{self.version}"


def to_feature_set(values: Mapping[str, object]) -> FeatureSet:
    """Return the feature set that a configuration file's values describe.

    Args:
        values: the keys of `FeatureSet`; only `name` and `version` are required.

    Raises:
        ConfigError: a key is unknown or missing, or a value impossible; names the key.
    """
    accepted = [part.name for part in fields(FeatureSet)]
    unknown = [key for key in values if key not in accepted]
    if unknown:
        raise ConfigError(
            f"unknown key {unknown[0]!r} in a feature set. Accepted: {', '.join(accepted)}."
        )
    name, version = values.get("name"), values.get("version")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise _refused("name", "a word of small letters, digits and `_`", name)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _refused("version", "a whole number from 1", version)
    joins = {
        _timeframe("joins", text): _joined(text, coarser)
        for text, coarser in _mapping("joins", values.get("joins", {})).items()
    }
    return FeatureSet(
        name=name,
        version=version,
        returns=_windows("returns", values.get("returns", ()), 1),
        volatility=_windows("volatility", values.get("volatility", ()), 2),
        indicators=_indicators("indicators", values.get("indicators", ())),
        joins=joins,
    )


def indicators_needed(feature_set: FeatureSet) -> tuple[str, ...]:
    """Return the indicators that the indicators layer has to hold for this set, each once."""
    joined = (
        name
        for coarser in feature_set.joins.values()
        for names in coarser.values()
        for name in names
    )
    return tuple(dict.fromkeys((*feature_set.indicators, *joined)))


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
    for coarser, joined in feature_set.joins.get(timeframe, {}).items():
        columns = output_columns(joined)
        empty = pl.DataFrame(
            schema={"open_time": FILLED_SCHEMA["open_time"], **dict.fromkeys(columns, pl.Float64)}
        )
        coarse_frame = coarse.get(coarser, empty)
        _check_columns(feature_set, coarse_frame, columns, coarser)
        work = add_coarser(work, coarse_frame, timeframe, coarser, columns)
    groups = _groups(feature_set, timeframe)
    names = [column.name for columns in groups.values() for column in columns]
    # A ratio of extreme prices overflows; what is no number is not known.
    finite = (pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in names)
    masked = work.with_columns(finite).with_columns(
        pl.all_horizontal(pl.col(column.name).is_not_null() for column in columns).alias(
            f"has_{group}"
        )
        for group, columns in groups.items()
    )
    complete = [pl.col(f"has_{group}") for group in groups] or [pl.lit(value=True)]
    return masked.with_columns(is_complete=pl.all_horizontal(complete)).select(
        feature_schema(feature_set, timeframe).names()
    )


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


def _joined(text: str, coarser: object) -> dict[Timeframe, tuple[str, ...]]:
    fine, key = _timeframe("joins", text), f"joins.{text}"
    joined = {}
    for coarse_text, names in _mapping(key, coarser).items():
        coarse = _timeframe(key, coarse_text)
        if coarse.seconds <= fine.seconds:
            raise _refused(key, f"timeframes coarser than {fine}", coarse_text)
        joined[coarse] = _indicators(f"{key}.{coarse_text}", names)
    return joined


def _timeframe(key: str, text: object) -> Timeframe:
    try:
        return to_timeframe(str(text))
    except WrongUseError as error:
        raise ConfigError(f"feature set key `{key}`: {error}") from error


def _mapping(key: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _refused(key, "a mapping from timeframes", value)
    return value


def _windows(key: str, value: object, smallest: int) -> tuple[int, ...]:
    wanted = f"a list of different whole numbers from {smallest} to {MAX_ROWS}"
    numbers = tuple(_list(key, value, wanted))
    good = [row for row in numbers if isinstance(row, int) and not isinstance(row, bool)]
    if len(set(good)) < len(numbers) or not all(smallest <= row <= MAX_ROWS for row in good):
        raise _refused(key, wanted, value)
    return tuple(good)


def _indicators(key: str, value: object) -> tuple[str, ...]:
    names = tuple(str(name) for name in _list(key, value, "a list of indicators"))
    if len(set(names)) < len(names):
        raise _refused(key, "each indicator once", value)
    try:
        output_columns(names)
    except WrongUseError as error:
        raise ConfigError(f"feature set key `{key}`: {error}") from error
    return names


def _list(key: str, value: object, wanted: str) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise _refused(key, wanted, value)
    return value


def _refused(key: str, wanted: str, found: object) -> ConfigError:
    return ConfigError(f"feature set key `{key}` must be {wanted}, found {found!r}.")
