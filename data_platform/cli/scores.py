"""Scores in the terminal: the worst month named, and how each series went as a row of bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from rich.table import Table

from data_platform.cli.output import open_console, print_json
from data_platform.domain.markets import Series, from_key
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lake import Lake
from data_platform.operations.score_view import MonthScore, SeriesScore, score_trend
from data_platform.quality.score import Profiles

DAYS = 30
"""Days that a row of bars shows."""

WORST = 3
"""Months that are named as the worst."""

BARS: tuple[tuple[float, str], ...] = (
    (0.995, "█"),
    (0.98, "▇"),
    (0.95, "▆"),
    (0.90, "▅"),
    (0.85, "▄"),
    (0.80, "▃"),
    (0.70, "▂"),
    (0.0, "▁"),
)
"""From this score on; the lower ones are the steps of the ladder of alerts."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How the score of one series went."""

    series: Series
    days: Mapping[date, float]
    """The score of its newest month, of each day that moved it, in order of time."""

    def on(self, day: date) -> float | None:
        """Return the score as it stood at the end of a day; None: there was none yet."""
        before = [score for noted, score in self.days.items() if noted <= day]
        return before[-1] if before else None


def print_trend(
    lake: Lake, exchanges: Sequence[str], profiles: Profiles, today: date, *, is_json: bool
) -> None:
    """Print how the scores of some exchanges went.

    Args:
        lake: where the scores lie.
        exchanges: names.
        profiles: tell which score is shown.
        today: the last day shown, UTC.
        is_json: for programs, not for people.
    """
    column = profiles.default_column
    trends = [trend for name in exchanges for trend in read_trends(lake, name, column)]
    if is_json:
        print_json(to_trend_objects(trends))
    else:
        open_console().print(to_trend_table(trends, today))


def read_trends(lake: Lake, exchange: str, column: str) -> list[Trend]:
    """Return how every series of an exchange went that was ever scored.

    Args:
        lake: where the scores lie.
        exchange: whose series.
        column: `score_five` or `score_four`.
    """
    found = []
    rows = score_trend(lake, exchange).drop_nulls(column).select("timeframe", "pair", "day", column)
    for (timeframe, pair), own in groupby(rows.rows(), key=lambda row: row[:2]):
        series = Series(exchange, from_key(pair), to_timeframe(timeframe))
        days = {date.fromisoformat(day): score for _, _, day, score in own}
        found.append(Trend(series, days))
    return sorted(found, key=lambda it: (it.series.pair, it.series.timeframe.seconds))


def to_trend_table(trends: Sequence[Trend], today: date) -> Table:
    """Return the table for the terminal: one row a series, one bar a day."""
    table = Table()
    for name in ("exchange", "pair", "timeframe", "since"):
        table.add_column(name)
    for name in ("first", "now", "change"):
        table.add_column(name, justify="right")
    table.add_column(f"last {DAYS} days")
    for trend in trends:
        first, now = next(iter(trend.days.values())), trend.on(today) or 0.0
        table.add_row(
            trend.series.exchange,
            trend.series.pair.symbol,
            trend.series.timeframe.name,
            f"{next(iter(trend.days))}",
            f"{first:.3f}",
            f"{now:.3f}",
            f"{now - first:+.3f}",
            "".join(_bar(trend.on(day)) for day in _days(today)),
        )
    return table


def to_trend_objects(trends: Sequence[Trend]) -> list[dict[str, object]]:
    """Return a row for each series and day, for programs."""
    return [
        {
            "exchange": trend.series.exchange,
            "pair": trend.series.pair.symbol,
            "timeframe": trend.series.timeframe.name,
            "day": day.isoformat(),
            "score": score,
        }
        for trend in trends
        for day, score in trend.days.items()
    ]


def spell_worst(scores: Mapping[Series, SeriesScore]) -> list[str]:
    """Return a line for each of the worst months, the worst first, and what ails it."""
    ordered = sorted(scores.items(), key=lambda it: it[1].worst.value)
    return [
        f"worst: {series} {score.worst.period}: {score.worst.value:.3f} "
        f"({_spell_faults(score.worst)})"
        for series, score in ordered[:WORST]
        if score.worst.value < 1
    ]


def to_score_object(month: MonthScore) -> dict[str, object]:
    """Return a month's score, for programs."""
    return {
        "month": month.period,
        "score": month.value,
        **month.components,
        "absent": month.absent.split(", ") if month.absent else [],
    }


def _spell_faults(month: MonthScore) -> str:
    faults = sorted((share, name) for name, share in month.components.items() if share < 1)
    return ", ".join(f"{name} {share:.3f}" for share, name in faults)


def _days(today: date) -> list[date]:
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def _bar(score: float | None) -> str:
    return " " if score is None else next(bar for least, bar in BARS if score >= least)
