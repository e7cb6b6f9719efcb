"""The report as one HTML page: needs no other file, no script and no network.

Shapes come from `cells.py` and `charts.py`, words from the template; Jinja escapes whatever is put
into it.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

import polars as pl

from data_platform.rendering import words
from data_platform.rendering.attention import find_notices
from data_platform.rendering.cells import KEY, STEPS, Grid, day_paths, grid_of, strip_paths
from data_platform.rendering.charts import floor_of, height_of, step_line
from data_platform.rendering.facts import ReportFacts, SeriesFacts
from data_platform.rendering.legend import GAPS, MARKS, MARKS_BY_NAME, STORED

if TYPE_CHECKING:
    from jinja2 import Environment

FIRST_DAYS = 6
"""Days with gaps that a series tells of, those that lack most."""


@dataclass(frozen=True, slots=True)
class BadDay:
    """A day that lacks candles that should be there."""

    day: date
    expected: int
    missing: int
    reasons: str


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One line of the map."""

    facts: SeriesFacts
    strip: Mapping[str, str]
    calendar: Mapping[str, str]
    counts: Mapping[str, int]
    """Candles by mark, those that are not 0."""
    whole_days: int
    bad_days: int
    worst_days: Sequence[BadDay]
    scores: Mapping[str, float]
    """By month."""

    line: str
    """The same as an outline."""

    @property
    def floor(self) -> float:
        """Return where the axis of its scores begins."""
        return floor_of(list(self.scores.values()))

    @property
    def missing(self) -> int:
        """Return how many candles are missing that should be there."""
        return sum(self.counts.get(name, 0) for name in GAPS)

    @property
    def completeness(self) -> float | None:
        """Return the stored share of what should be there; None where nothing should."""
        stored = self.counts.get(STORED, 0)
        return stored / (stored + self.missing) if stored + self.missing else None

    @property
    def told(self) -> str:
        """Return what its line of the map shows, in words."""
        days = f"{self.whole_days:,} days without a gap"
        if not self.bad_days:
            return f"{days}, none with one."
        worst = self.worst_days[0]
        return f"{days}, {self.bad_days:,} with one; {worst.day} lacks most: {worst.reasons}."


def to_page(facts: ReportFacts) -> str:
    """Return the page.

    Args:
        facts: what it tells; its days may begin and end anywhere.
    """
    grid = grid_of(facts.days)
    views = list(_views(facts, grid))
    by_exchange = groupby(views, lambda view: view.facts.exchange)
    stored = sum(view.counts.get(STORED, 0) for view in views)
    missing = sum(view.missing for view in views)
    return (
        _environment()
        .get_template("report.html")
        .render(
            facts=facts,
            grid=grid,
            groups=[(name, list(group)) for name, group in by_exchange],
            notices=find_notices(facts),
            marks=MARKS,
            titles=MARKS_BY_NAME,
            steps=STEPS,
            stored=stored,
            missing=missing,
            completeness=stored / (stored + missing) if stored + missing else None,
            states={it: sum(one.state == it for one in facts.series) for it in _states(facts)},
            mean=_mean_line(facts, grid),
            height_of=height_of,
            grade=partial(_grade, facts.levels),
            hash_of=_hash,
        )
    )


def _grade(levels: Mapping[str, float], score: float | None) -> str:
    """Return the class that colours a score."""
    if score is None:
        return "soft"
    below = [name for name, limit in levels.items() if score < limit]
    if not below:
        return "good"
    return "bad" if below[0] == next(iter(levels)) else "warn"


def _states(facts: ReportFacts) -> list[str]:
    return sorted({series.state for series in facts.series})


def _views(facts: ReportFacts, grid: Grid) -> Iterator[SeriesView]:
    strips, calendars = strip_paths(facts.days, grid), day_paths(facts.days, grid)
    sums = _by_key(facts.days.group_by(KEY).agg(pl.sum(*(mark.name for mark in MARKS))))
    missing = pl.sum_horizontal(GAPS)
    bad = facts.days.with_columns(missing=missing).filter(pl.col("missing") > 0)
    is_whole = (missing == 0) & (pl.col(STORED) > 0)
    whole = _by_key(facts.days.filter(is_whole).group_by(KEY).agg(days=pl.len()))
    bad_counts = _by_key(bad.group_by(KEY).agg(days=pl.len()))
    worst = bad.sort("missing", descending=True).group_by(KEY, maintain_order=True).head(FIRST_DAYS)
    bad_days: dict[tuple[str, ...], list[BadDay]] = {}
    for row in worst.iter_rows(named=True):
        bad_days.setdefault(tuple(row[name] for name in KEY), []).append(_bad_day(row))
    for series in facts.series:
        key = series.key
        scores = {it.period: it.score for it in series.scores if it.score is not None}
        yield SeriesView(
            facts=series,
            strip=strips.get(key, {}),
            calendar=calendars.get(key, {}),
            counts={name: count for name, count in sums.get(key, {}).items() if count},
            whole_days=whole.get(key, {}).get("days", 0),
            bad_days=bad_counts.get(key, {}).get("days", 0),
            worst_days=bad_days.get(key, []),
            scores=scores,
            line=step_line(scores, grid, floor_of(list(scores.values()))),
        )


def _by_key(frame: pl.DataFrame) -> dict[tuple[str, ...], dict[str, int]]:
    names = [name for name in frame.columns if name not in KEY]
    rows = frame.select(*KEY, *names).rows()
    return {row[: len(KEY)]: dict(zip(names, row[len(KEY) :], strict=True)) for row in rows}


def _bad_day(row: Mapping[str, object]) -> BadDay:
    reasons = [f"{row[name]:,} {MARKS_BY_NAME[name].title}" for name in GAPS if row[name]]
    expected, missing = int(str(row["expected"])), int(str(row["missing"]))
    return BadDay(date.fromisoformat(str(row["day"])), expected, missing, ", ".join(reasons))


def _mean_line(facts: ReportFacts, grid: Grid) -> Mapping[str, object]:
    """Return the mean score of all series by month, as a line and in words."""
    found: dict[str, list[float]] = {}
    for series in facts.series:
        for it in series.scores:
            if it.score is not None:
                found.setdefault(it.period, []).append(it.score)
    means = {period: sum(scores) / len(scores) for period, scores in sorted(found.items())}
    floor = floor_of(list(means.values()))
    return {"scores": means, "floor": floor, "line": step_line(means, grid, floor)}


def _hash(script: str) -> str:
    """Return what the page's policy knows its only script by: no other one runs."""
    return b64encode(sha256(script.encode()).digest()).decode()


@cache
def _environment() -> "Environment":
    # 0.06 s that only who makes a page pays.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("data_platform.rendering", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "span": words.spell_span,
        "time": words.spell_time,
        "score": words.spell_score,
        "share": words.spell_share,
        "count": words.spell_count,
    }
    return environment
