"""Scores beside the candles: each candle asset tells how good its partitions are."""

from data_platform.assets.line import Line
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport
from data_platform.operations.score import add_scores


def score_candles(line: Line, lake: Lake, timeframe: Timeframe, report: LayerReport) -> None:
    """Bring the scores of a candle asset up to date and tell them in the report.

    Args:
        line: the exchange.
        lake: where its candles lie.
        timeframe: of the asset.
        report: what a step has just done to it.
    """
    exchange = line.exchange
    wanted = [series for series in exchange.series if series.timeframe == timeframe]
    add_scores(lake, report, wanted, line.settings.score_rules_of(exchange), line.clock())
