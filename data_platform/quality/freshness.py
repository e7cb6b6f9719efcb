"""How late the candles of a series are, and how late they may be.

Lateness is the time since the close of the oldest closed candle that is neither stored nor
answered as empty; 0 if there is none. So it grows while a line is stopped, it does not grow while
an exchange honestly has no trades, and one lost candle in the middle is as late as it is old.
Stays out: the clock, which the caller reads.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe
from data_platform.quality.rule import FreshnessRule, Limits

_HOUR = 3600.0
_DAY = 86_400.0


def lateness(unanswered: Sequence[TimeRange], timeframe: Timeframe, now: datetime) -> timedelta:
    """Return how late a series is.

    Args:
        unanswered: ranges of grid times of closed candles that are neither stored nor answered
            as empty, in any order.
        timeframe: the candles' length.
        now: the exchange's clock.

    Returns:
        Time since the close of the oldest of those candles, zero when there is none.
    """
    if not unanswered:
        return timedelta(0)
    oldest = min(part.start for part in unanswered)
    return max(timedelta(0), now - oldest - timeframe.duration)


def find_late_series(
    series: pl.DataFrame,
    timeframe: Timeframe,
    limits: Limits,
    allowance: timedelta = timedelta(0),
) -> pl.DataFrame:
    """Return the pairs that are later than allowed.

    Args:
        series: one row a pair of one exchange and timeframe: pair, late_seconds.
        timeframe: the candles' length.
        limits: seconds of lateness allowed, by timeframe.
        allowance: added to the limit: how seldom the layer is refreshed on purpose.

    Returns:
        The rows above the limit, with `limit_seconds` added; the latest first.
    """
    limit = limits[timeframe.name] + allowance.total_seconds()
    late = series.filter(pl.col("late_seconds") > limit)
    return late.with_columns(limit_seconds=pl.lit(limit)).sort("late_seconds", descending=True)


def _default_seconds(timeframe: Timeframe) -> float:
    # One candle's length, but an hour at most for what trades within a day.
    return _DAY if timeframe.seconds >= _DAY else min(float(timeframe.seconds), _HOUR)


FRESHNESS_RULES: tuple[FreshnessRule, ...] = (
    FreshnessRule(
        name="candles_fresh",
        severity="error",
        description="No closed candle is waited for longer than the timeframe allows.",
        limits={row.name: _default_seconds(row) for row in TIMEFRAMES},
        find=find_late_series,
    ),
)
