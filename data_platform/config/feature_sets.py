"""Feature sets as `configs/features/<name>.yaml` describe them.

Stays out: what a feature is (`features/`).
"""

from collections.abc import Mapping, Sequence

from data_platform.config.models import FeatureSetFile, read_model
from data_platform.config.strict_yaml import Document, ValuePath
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.indicators.columns import to_recipe


def read_feature_set(document: Document, stored: Sequence[str]) -> FeatureSet:
    """Return the feature set of one file; its name is the file's.

    Args:
        document: the file.
        stored: the indicators that the config stores, of which the set may use any.

    Raises:
        ConfigError: a key or value is refused, or an indicator is not stored; names file and line.
    """
    entries = read_model(document, FeatureSetFile)
    if entries.name != document.path.stem:
        raise document.error(
            ("name",),
            f"expected the file's own name {document.path.stem!r}, found {entries.name!r}.",
        )
    for key, windows in (("returns", entries.returns), ("volatility", entries.volatility)):
        _refuse_twice(document, (key,), windows)
    _refuse_indicators(document, ("indicators",), entries.indicators, stored)
    return FeatureSet(
        name=entries.name,
        version=entries.version,
        returns=tuple(entries.returns),
        volatility=tuple(entries.volatility),
        indicators=tuple(entries.indicators),
        joins=_joins(document, entries.joins, stored),
    )


def _joins(
    document: Document,
    entries: Mapping[str, Mapping[str, Sequence[str]]],
    stored: Sequence[str],
) -> dict[Timeframe, dict[Timeframe, tuple[str, ...]]]:
    joins: dict[Timeframe, dict[Timeframe, tuple[str, ...]]] = {}
    for text, coarser in entries.items():
        place: ValuePath = ("joins", text)
        timeframe = _timeframe(document, place, joins)
        joins[timeframe] = {}
        for coarse_text, names in coarser.items():
            inner = (*place, coarse_text)
            coarse = _timeframe(document, inner, joins[timeframe])
            if coarse.seconds <= timeframe.seconds:
                raise document.error(inner, f"{coarse} is not coarser than {timeframe}.")
            _refuse_indicators(document, inner, names, stored)
            joins[timeframe][coarse] = tuple(names)
    return joins


def _timeframe(
    document: Document, place: ValuePath, known: Mapping[Timeframe, object]
) -> Timeframe:
    try:
        timeframe = to_timeframe(str(place[-1]))
    except WrongUseError as error:
        raise document.error(place, str(error)) from error
    if timeframe in known:
        raise document.error(place, f"{timeframe} stands twice.")
    return timeframe


def _refuse_twice(document: Document, place: ValuePath, values: Sequence[object]) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise document.error((*place, index), f"{value!r} stands twice.")


def _refuse_indicators(
    document: Document, place: ValuePath, names: Sequence[str], stored: Sequence[str]
) -> None:
    _refuse_twice(document, place, names)
    for index, name in enumerate(names):
        try:
            to_recipe(name)
        except WrongUseError as error:
            raise document.error((*place, index), str(error)) from error
        if name not in stored:
            raise document.error(
                (*place, index),
                f"{name!r} is not among the `indicators` of the platform config; add it there, or "
                "put a folder features/ with sets of your own beside that config.",
            )
