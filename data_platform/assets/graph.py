"""The whole graph of one exchange, built from the rows of layers, timeframes and converters."""

import dagster as dg

from data_platform.assets.candles import build_candles, update_rules
from data_platform.assets.exports import build_export
from data_platform.assets.features import build_features
from data_platform.assets.filled import build_filled
from data_platform.assets.indicators import build_indicators
from data_platform.assets.line import Line
from data_platform.converters import CONVERTERS
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.backlog import Scope
from data_platform.operations.coarser import coarser_recipe
from data_platform.operations.derive import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe


def build_line(line: Line) -> list[dg.AssetsDefinition]:
    """Return every asset of an exchange."""
    return [asset for each in line.exchange.timeframes for asset in _tables(line, each)]


def scope_of(line: Line) -> Scope:
    """Return what should be stored of an exchange, and how it is made."""
    exchange = line.exchange
    return Scope(
        exchange=exchange.name,
        starts=exchange.starts,
        fetched=[each for each in exchange.timeframes if each not in exchange.derive],
        grace=exchange.grace,
        recipes={each: _recipes(line, each) for each in exchange.timeframes},
        converters=CONVERTERS,
    )


def _tables(line: Line, timeframe: Timeframe) -> list[dg.AssetsDefinition]:
    return [
        build_candles(line, timeframe),
        build_filled(line, timeframe),
        build_indicators(line, timeframe),
        build_features(line, timeframe),
        *(build_export(line, timeframe, converter) for converter in CONVERTERS),
    ]


def _recipes(line: Line, timeframe: Timeframe) -> list[Recipe]:
    finer = line.exchange.derive.get(timeframe)
    return [
        *([coarser_recipe(finer, update_rules(line))] if finer else []),
        filled_recipe(),
        indicators_recipe(line.settings.indicators),
        *(features_recipe(one, timeframe) for one in line.settings.feature_sets),
    ]
