"""What the settings of an exchange mean to the operations: rules, recipes and neighbours.

Belongs here: values of the config put into the operations' own objects. Stays out: files, the
environment (`settings.py`) and Dagster.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from data_platform.config.exchanges import ExchangeSettings
from data_platform.config.thresholds import Thresholds
from data_platform.converters import CONVERTERS
from data_platform.domain.timeframes import Timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.operations.backlog import Scope
from data_platform.operations.coarser import coarser_recipe
from data_platform.operations.computed_store import Lines
from data_platform.operations.due import FreshnessLimits
from data_platform.operations.health_report import ReportRules, Watched
from data_platform.operations.missing import History
from data_platform.operations.neighbours import Neighbourhood
from data_platform.operations.plan import UpdateRules
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.operations.score import ScoreRules
from data_platform.quality.standards import Standards


def to_rules(exchange: ExchangeSettings, limits: Standards) -> UpdateRules:
    """Return how candles of an exchange are planned and judged.

    Args:
        exchange: as it is configured.
        limits: what the config says of each rule.
    """
    return UpdateRules(
        exchange=exchange.row,
        grace=exchange.grace,
        starts=exchange.starts,
        limits=limits,
    )


def to_score_rules(
    exchange: ExchangeSettings, refresh: timedelta, thresholds: Thresholds
) -> ScoreRules:
    """Return how candles of an exchange are scored.

    Args:
        exchange: as it is configured.
        refresh: how seldom candles are fetched on purpose.
        thresholds: limits and weights of the config.
    """
    return ScoreRules(
        History(exchange.row.quiet_candle, exchange.starts),
        FreshnessLimits(exchange.grace, refresh, thresholds.limits),
        thresholds.profiles,
    )


def to_scope(
    exchange: ExchangeSettings,
    lines: Lines,
    indicators: tuple[str, ...],
    feature_sets: Sequence[FeatureSet],
) -> Scope:
    """Return what should be stored of an exchange, and how it is made.

    Args:
        exchange: as it is configured.
        lines: of `to_lines`: its own, and those of the exchanges that feature sets name.
        indicators: names of what the indicators layer stores.
        feature_sets: what the features layer stores.
    """

    def recipes(timeframe: Timeframe) -> list[Recipe]:
        own = lines[exchange.name][timeframe]
        return [*own, *set_recipes(feature_sets, timeframe, indicators, lines)]

    return Scope(
        exchange=exchange.name,
        starts=exchange.starts,
        fetched=exchange.fetched,
        grace=exchange.grace,
        recipes={each: recipes(each) for each in exchange.timeframes},
        converters=CONVERTERS,
    )


def to_lines(
    exchanges: Iterable[ExchangeSettings], limits: Standards, indicators: tuple[str, ...]
) -> Lines:
    """Return how each layer below the features is made, of some exchanges.

    Args:
        exchanges: as they are configured.
        limits: what the config says of each rule.
        indicators: names of what the indicators layer stores.
    """

    def line(exchange: ExchangeSettings, timeframe: Timeframe) -> list[Recipe]:
        finer = exchange.derive.get(timeframe)
        return [
            *([coarser_recipe(finer, to_rules(exchange, limits))] if finer else []),
            filled_recipe(exchange.backup),
            indicators_recipe(indicators),
        ]

    return {it.name: {each: line(it, each) for each in it.timeframes} for it in exchanges}


def to_report_rules(
    exchanges: Iterable[ExchangeSettings], refresh: timedelta, thresholds: Thresholds
) -> ReportRules:
    """Return what a report tells of, and by which measure.

    Args:
        exchanges: as they are configured.
        refresh: how seldom candles are fetched on purpose.
        thresholds: limits of the checks, and how scores are weighed.
    """
    watched = []
    for exchange in exchanges:
        rules = to_score_rules(exchange, refresh, thresholds)
        watched.append(Watched(exchange.name, rules.history, exchange.series, rules.fresh))
    return ReportRules(watched, thresholds.profiles.default_column)


def set_recipes(
    feature_sets: Sequence[FeatureSet],
    timeframe: Timeframe,
    indicators: Sequence[str],
    lines: Lines,
) -> list[Recipe]:
    """Return how the feature sets of a timeframe are made.

    Args:
        feature_sets: every one that is configured.
        timeframe: of their rows; sets that are not made for it are left out.
        indicators: names of what the indicators layer stores.
        lines: of `to_lines`.
    """
    made = [each for each in feature_sets if each.holds(timeframe)]
    return [features_recipe(each, timeframe, indicators, lines) for each in made]


def to_neighbourhood(
    exchange: ExchangeSettings,
    exchanges: Iterable[ExchangeSettings],
    standards: Standards,
) -> Neighbourhood:
    """Return which series of an exchange are held against which others.

    Args:
        exchange: whose series are judged.
        exchanges: all that are configured.
        standards: what the config says of every rule.
    """
    others = [each for each in exchanges if each.name != exchange.name]
    return Neighbourhood(
        own=tuple(exchange.series),
        derived=frozenset(exchange.derive),
        others=tuple(series for other in others for series in other.series),
        standards=standards,
    )
