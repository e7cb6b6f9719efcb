"""Scores beside the candles: each candle asset tells how good its partitions are."""

from collections.abc import Sequence

from data_platform.assets.line import Line
from data_platform.domain.periods import period_of
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.due import SeriesStatus
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport
from data_platform.operations.score import add_scores, note_scores
from data_platform.operations.score_view import mean_scores


def score_candles(
    line: Line, lake: Lake, timeframe: Timeframe, report: LayerReport, *, is_tick: bool
) -> None:
    """Bring the scores of a candle asset up to date and tell them in the report.

    Args:
        line: the exchange.
        lake: where its candles lie.
        timeframe: of the asset.
        report: what a step has just done to it.
        is_tick: as `score_again`.
    """
    exchange = line.exchange
    wanted = [series for series in exchange.series if series.timeframe == timeframe]
    now, rules = line.clock(), line.settings.score_rules_of(exchange)
    add_scores(lake, report, wanted, rules, now, period_of(now).previous if is_tick else None)


def score_again(line: Line, lake: Lake, statuses: Sequence[SeriesStatus], *, is_tick: bool) -> int:
    """Bring scores up to date by the clock, and by months that were held against one another.

    So a line that has stopped scores worse although nothing is written.

    Args:
        line: the exchange.
        lake: where its candles lie.
        statuses: how far its series are now.
        is_tick: look at the running month and the one before alone; every other run looks at all.

    Returns:
        How many scores have moved.

    Raises:
        StorageError: the state database refuses.
    """
    now, rules = line.clock(), line.settings.score_rules_of(line.exchange)
    return note_scores(lake, statuses, rules, now, period_of(now).previous if is_tick else None)


def asset_scores(line: Line, lake: Lake) -> dict[str, float]:
    """Return the score of each candle asset of an exchange, by its timeframe's name."""
    rules, since = line.settings.score_rules_of(line.exchange), period_of(line.clock()).previous
    return mean_scores(lake, line.exchange.name, rules, since)
