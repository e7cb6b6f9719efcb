"""Scores as people read them: how good each series is now, its worst month, and how it went.

Reads what was noted, and works out what has moved since; writes nothing. The score of a series is
that of its newest month: an old fault that nobody can mend must not hide a new one, nor may years
of sound months. The worst month is told beside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, period_of
from data_platform.operations.due import SeriesStatus
from data_platform.operations.lake import Lake
from data_platform.operations.score import ScoreRules, find_moved
from data_platform.quality.score import COMPONENTS

TREND_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "day": pl.String(),
        "period": pl.String(),
        "score_five": pl.Float64(),
        "score_four": pl.Float64(),
    }
)


_SHOWN = (*COMPONENTS, "score_five", "score_four", "absent")


@dataclass(frozen=True, slots=True)
class MonthScore:
    """How good one month of a series is."""

    period: str
    """Key of the month."""
    value: float
    """From 0 to 1."""
    components: Mapping[str, float]
    """Those of which something is known."""
    absent: str
    """The others, with commas between."""


@dataclass(frozen=True, slots=True)
class SeriesScore:
    """How good a series is now."""

    newest: MonthScore
    worst: MonthScore
    """Of equally bad months the newest."""


def score_now(
    lake: Lake, statuses: Sequence[SeriesStatus], rules: ScoreRules, now: datetime
) -> dict[Series, SeriesScore]:
    """Return how good some series of one exchange are now.

    What the clock has moved since it was noted last is worked out anew; older months are as noted.

    Args:
        lake: where candles lie.
        statuses: how far the series are, as of `now`.
        rules: starts, limits and weights.
        now: the clock, UTC.

    Returns:
        Series of which nothing is known are left out.
    """
    months: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    if statuses:
        for row in lake.scores.newest(statuses[0].series.exchange).to_dicts():
            months.setdefault((row["timeframe"], row["pair"]), {})[row["period"]] = row
    for partition, moved in find_moved(lake, statuses, rules, now, period_of(now).previous):
        series, row = partition.series, {name: getattr(moved, name) for name in _SHOWN}
        own = months.setdefault((series.timeframe.name, series.pair.key), {})
        own[partition.period.key] = row
    column = rules.profiles.default_column
    found = {}
    for status in statuses:
        own = months.get((status.series.timeframe.name, status.series.pair.key), {})
        scores = [
            _month_score(period, row, column)
            for period, row in sorted(own.items(), reverse=True)
            if row[column] is not None
        ]
        if scores:
            found[status.series] = SeriesScore(scores[0], min(scores, key=lambda it: it.value))
    return found


def _month_score(period: str, row: Mapping[str, Any], column: str) -> MonthScore:
    known = {name: row[name] for name in COMPONENTS if row[name] is not None}
    return MonthScore(period, row[column], known, row["absent"])


def mean_scores(lake: Lake, exchange: str, rules: ScoreRules, since: Period) -> dict[str, float]:
    """Return how good the candles of an exchange are, over all pairs, by timeframe's name.

    Args:
        lake: where the scores lie.
        exchange: whose candles.
        rules: pairs and profile.
        since: scores of this month and later ones count.

    Returns:
        The mean of the newest months of the configured pairs.
    """
    column, pairs = rules.profiles.default_column, [it.key for it in rules.history.starts]
    scores = lake.scores.newest(exchange, since=since).filter(pl.col("pair").is_in(pairs))
    newest = scores.sort("period").group_by("timeframe", "pair").last().drop_nulls(column)
    return dict(newest.group_by("timeframe").agg(pl.col(column).mean()).rows())


def score_trend(lake: Lake, exchange: str) -> pl.DataFrame:
    """Return how the score of each series of an exchange went, a row for each day that moved it.

    Args:
        lake: where the scores lie.
        exchange: whose series.

    Returns:
        `TREND_SCHEMA`, sorted: on each day the newest month of the series and its score; a day
        without a row is as the one before.
    """
    series = ("timeframe", "pair")
    scores = lake.scores.history(exchange).sort(*series, "day", "period")
    numbered = scores.with_columns(month=pl.col("period").rank("dense"))
    newest = numbered.filter(pl.col("month") == pl.col("month").cum_max().over(series))
    days = newest.group_by(*series, "day", maintain_order=True).last()
    return days.select(TREND_SCHEMA.names())
