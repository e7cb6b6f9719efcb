"""Feature sets as `configs/features/<name>.yaml` describe them.

Stays out: what a feature is (`features/`).
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from data_platform.config.models import FeatureSetFile, MarketEntry, read_model
from data_platform.config.strict_yaml import Document, ValuePath, read_yaml
from data_platform.domain.errors import ConfigError, WrongUseError
from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.features.fill_policy import to_honest_policy
from data_platform.features.markets import MarketColumns
from data_platform.indicators.columns import to_recipe


def read_feature_sets(
    folder: Path, pairs: Mapping[str, Collection[Pair]]
) -> tuple[FeatureSet, ...]:
    """Return every feature set of a folder, by name and version.

    Args:
        folder: one set a file.
        pairs: of each configured exchange, of which a set may join any.

    Raises:
        ConfigError: there is no set, one stands twice, or one is refused.
    """
    found: dict[str, FeatureSet] = {}
    for file in sorted(folder.glob("*.yaml")):
        document = read_yaml(file)
        one = read_feature_set(document)
        refuse_unknown_markets(document, one, pairs)
        if one.key in found:
            raise document.error(("version",), f"{one.key} stands in another file already.")
        found[one.key] = one
    if not found:
        raise ConfigError(f"{folder}: expected at least one feature set (<name>.yaml), found none.")
    return tuple(sorted(found.values(), key=lambda it: (it.name, it.version)))


def read_feature_set(document: Document) -> FeatureSet:
    """Return the feature set of one file.

    The file is called as the set is, or `<name>-v<version>`, so that two versions of one set can
    stand side by side.

    Raises:
        ConfigError: a key or value is refused; names file and line.
    """
    entries = read_model(document, FeatureSetFile)
    names = (entries.name, f"{entries.name}-v{entries.version}")
    if document.path.stem not in names:
        raise document.error(
            ("name",),
            f"expected the file's own name {document.path.stem!r}, found {entries.name!r}: a file "
            f"is called {' or '.join(f'{name}.yaml' for name in names)}.",
        )
    for key in ("returns", "volatility", "timeframes"):
        _refuse_twice(document, (key,), getattr(entries, key))
    _refuse_indicators(document, ("indicators",), entries.indicators)
    try:
        to_honest_policy(entries.fill)
    except WrongUseError as error:
        raise document.error(("fill",), str(error)) from error
    return FeatureSet(
        name=entries.name,
        version=entries.version,
        returns=tuple(entries.returns),
        volatility=tuple(entries.volatility),
        indicators=tuple(entries.indicators),
        joins=_joins(document, entries.joins),
        markets=_markets(document, entries.markets),
        fill=entries.fill,
        timeframes=tuple(entries.timeframes),
    )


def refuse_unknown_markets(
    document: Document, feature_set: FeatureSet, pairs: Mapping[str, Collection[Pair]]
) -> None:
    """Refuse a set that joins a market which is not configured: it would be null for ever.

    Args:
        document: the set's file.
        feature_set: what it holds.
        pairs: of each configured exchange.
    """
    for joined in feature_set.markets:
        where: ValuePath = ("markets", joined.alias)
        if joined.exchange is not None and joined.exchange not in pairs:
            named = ", ".join(sorted(pairs))
            raise document.error(
                (*where, "exchange"), f"{joined.exchange!r} is not configured. Accepted: {named}."
            )
        searched = [joined.exchange] if joined.exchange else list(pairs)
        if not any(joined.pair in pairs[exchange] for exchange in searched):
            raise document.error(
                (*where, "pair"),
                f"{joined.pair} is not among the pairs of {joined.exchange or 'any exchange'}; add "
                "it to the platform config.",
            )


def _markets(document: Document, entries: Mapping[str, MarketEntry]) -> tuple[MarketColumns, ...]:
    timeframes = {timeframe.name for timeframe in TIMEFRAMES}
    markets: list[MarketColumns] = []
    for alias, entry in entries.items():
        where: ValuePath = ("markets", alias)
        if alias in timeframes or alias in ("returns", "volatility", "indicators"):
            raise document.error(where, f"{alias!r} names other columns of the set already.")
        for key in ("returns", "volatility"):
            _refuse_twice(document, (*where, key), getattr(entry, key))
        _refuse_indicators(document, (*where, "indicators"), entry.indicators)
        windows = tuple(entry.returns), tuple(entry.volatility)
        joined = MarketColumns(alias, entry.pair, entry.exchange, *windows, tuple(entry.indicators))
        if not joined.columns:
            raise document.error(where, "names no column: give returns, volatility or indicators.")
        if any((it.pair, it.exchange) == (joined.pair, joined.exchange) for it in markets):
            raise document.error((*where, "pair"), f"{joined.pair} stands twice.")
        markets.append(joined)
    return tuple(markets)


def _joins(
    document: Document,
    entries: Mapping[str, Mapping[str, Sequence[str]]],
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
            _refuse_indicators(document, inner, names)
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


def _refuse_indicators(document: Document, place: ValuePath, names: Sequence[str]) -> None:
    _refuse_twice(document, place, names)
    for index, name in enumerate(names):
        try:
            to_recipe(name)
        except WrongUseError as error:
            raise document.error((*place, index), str(error)) from error
