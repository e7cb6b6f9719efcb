"""Verdicts that rest on several series, beside the candles: judged where they are written.

What came in another run, of a finer timeframe or of another exchange, is judged by the step of the
checks and by the nightly job of each exchange.
"""

from datetime import timedelta

from data_platform.assets.line import Line
from data_platform.config.scope import to_neighbourhood
from data_platform.domain.periods import period_of
from data_platform.operations.agreement import Renewal, judge_written, renew_verdicts
from data_platform.operations.lake import Lake
from data_platform.operations.neighbours import Neighbourhood
from data_platform.operations.report import LayerReport

RUN_BUDGET = timedelta(milliseconds=200)
"""How long a run may judge months again that it was not asked for. A tick is asked for none: all
pairs anew for one candle more would cost it seconds."""


def neighbours_of(line: Line) -> Neighbourhood:
    """Return which series of an exchange are held against which others."""
    settings = line.settings
    return to_neighbourhood(line.exchange, settings.exchanges.values(), settings.thresholds.limits)


def judge_beside_others(line: Line, lake: Lake, report: LayerReport, *, is_tick: bool) -> None:
    """Hold the months that a step has just written against what is stored beside them.

    Args:
        line: the exchange.
        lake: where its candles lie.
        report: what the step did.
        is_tick: whether the step is one of a tick, which leaves it to the step of the checks.

    Raises:
        StorageError: the state database refuses.
    """
    if not is_tick:
        judge_written(lake, neighbours_of(line), [it.partition for it in report.partitions])


def renew_beside_others(
    line: Line, lake: Lake, budget: timedelta | None, *, is_tick: bool
) -> Renewal:
    """Judge again what has moved since, in whatever run it did.

    Args:
        line: the exchange.
        lake: where its candles lie.
        budget: how long it may take; None: as long as it takes.
        is_tick: whether only the running month and the one before are looked at.

    Raises:
        StorageError: the state database refuses.
    """
    since = period_of(line.clock()).previous if is_tick else None
    return renew_verdicts(lake, neighbours_of(line), budget, since)
