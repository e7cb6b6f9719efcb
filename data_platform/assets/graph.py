"""The whole graph of one exchange, built from the rows of layers, timeframes and converters."""

import dagster as dg

from data_platform.assets.candles import build_candles
from data_platform.assets.exports import build_export
from data_platform.assets.features import build_features
from data_platform.assets.filled import build_filled
from data_platform.assets.indicators import build_indicators
from data_platform.assets.line import Line
from data_platform.assets.market_state import build_market_state
from data_platform.converters import CONVERTERS
from data_platform.domain.timeframes import Timeframe


def build_line(line: Line) -> list[dg.AssetsDefinition]:
    """Return every asset of an exchange."""
    tables = [asset for each in line.exchange.timeframes for asset in _tables(line, each)]
    return [*tables, build_market_state(line)]


def _tables(line: Line, timeframe: Timeframe) -> list[dg.AssetsDefinition]:
    return [
        build_candles(line, timeframe),
        build_filled(line, timeframe),
        build_indicators(line, timeframe),
        build_features(line, timeframe),
        *(build_export(line, timeframe, converter) for converter in CONVERTERS),
    ]
