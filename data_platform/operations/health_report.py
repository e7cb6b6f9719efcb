"""How good everything is, gathered into one page: coverage, scores, findings, sources, freshness.

Reads journal, ledger, verdicts, scores, breakers and the log of runs; a file of candles only where
`coverage.py` has to. The page itself is made in `rendering/`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from data_platform.domain.markets import Series
from data_platform.operations.alarms import LADDER
from data_platform.operations.coverage import Coverage, cover_days
from data_platform.operations.due import FreshnessLimits, SeriesStatus, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.missing import KEY, History, find_missing
from data_platform.operations.source_health import WINDOW, find_source_health
from data_platform.rendering.cells import DAYS
from data_platform.rendering.facts import (
    GapFacts,
    Health,
    PartitionFacts,
    ReportFacts,
    ScoreFacts,
    SeriesFacts,
    SeriesState,
    SourceFacts,
    VerdictFacts,
)
from data_platform.rendering.legend import GAPS
from data_platform.rendering.page import to_page
from data_platform.rendering.picture import to_markdown
from data_platform.storage.atomic import publish_bytes
from data_platform.storage.tables import COMPONENTS

LEVELS = dict(zip(("critical", "escalate", "high"), (rung[0] for rung in LADDER), strict=True))
"""Scores below which somebody is told, the worst first."""

RENEWED_EVERY = timedelta(hours=1)
"""How old the page may be: 5 s of work for 240 series over five years are too much for a tick."""

FIRST_GAPS = 5
"""Gaps that a series tells of, the longest."""

FIRST_PARTITIONS = 12
"""Partitions whose rows are shown, the worst."""

FIRST_OF_SERIES = 2
"""As many of them may be of one series and layer."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One exchange's series, and what is wanted of them."""

    exchange: str
    history: History
    series: Sequence[Series]
    fresh: FreshnessLimits


@dataclass(frozen=True, slots=True)
class ReportRules:
    """What a report tells of, and by which measure."""

    watched: Sequence[Watched]
    score_column: str = "score_five"
    """Of the table of scores: the profile that is shown."""
    levels: Mapping[str, float] = field(default_factory=lambda: LEVELS)
    """As `LEVELS`."""


def write_report(lake: Lake, rules: ReportRules, now: datetime, path: Path | None = None) -> Path:
    """Write the page and return where it lies.

    Args:
        lake: what it tells of.
        rules: which series, by which measure.
        now: the clock, UTC.
        path: where to; None: to its place in the lake. A file there is replaced whole.

    Raises:
        StorageError: the state database cannot be read, or the page cannot be written.
    """
    target = path or lake.store.layout.report
    publish_bytes(to_page(gather_facts(lake, rules, now)).encode(), target)
    return target


def renew_report(lake: Lake, rules: ReportRules, now: datetime) -> Path:
    """Write the page to its place in the lake unless it is young; arguments as `write_report`.

    Returns:
        Where it lies.
    """
    target = lake.store.layout.report
    if target.exists():
        age = now - datetime.fromtimestamp(target.stat().st_mtime, UTC)
        if timedelta(0) <= age < RENEWED_EVERY:
            return target
    return write_report(lake, rules, now)


def gather_facts(lake: Lake, rules: ReportRules, now: datetime) -> ReportFacts:
    """Return everything that the page tells; arguments as `write_report`."""
    looks = [_Look.at(lake, watched, rules, now) for watched in rules.watched]
    series = [it for look in looks for it in look.series()]
    days = pl.concat([DAYS.to_frame(), *(_to_cells(look.watched, look.coverage) for look in looks)])
    sources = find_source_health(lake, [it.exchange for it in rules.watched], now)
    scores = [it.score.score for it in series if it.score and it.score.score is not None]
    partitions = sorted(
        (it for look in looks for it in look.partitions(lake)), key=_badness, reverse=True
    )
    shown = _varied(partitions)
    return ReportFacts(
        made_at=now,
        health=_health(series, days, sources, scores, rules.levels),
        score=sum(scores) / len(scores) if scores else None,
        levels=rules.levels,
        window=WINDOW,
        series=series,
        days=days,
        sources=sources,
        partitions=shown,
        more_partitions=len(partitions) - len(shown),
        doubts=[line for look in looks for line in look.doubts()],
    )


def draw_coverage(lake: Lake, watched: Watched, now: datetime) -> str:
    """Return what is stored of some series and what is missing: a picture, as Markdown.

    Args:
        lake: where candles lie.
        watched: the series.
        now: the clock, UTC.
    """
    grace = watched.fresh.grace
    coverage = cover_days(lake, watched.history, watched.series, now, grace)
    return to_markdown(_to_cells(watched, coverage))


def _to_cells(watched: Watched, coverage: Coverage) -> pl.DataFrame:
    symbols = {it.pair.key: it.pair.symbol for it in watched.series}
    days = coverage.days.with_columns(
        exchange=pl.lit(watched.exchange),
        pair=pl.col("pair").replace(symbols),
        day=pl.col("day").dt.date(),
    )
    return days.select(DAYS.names())


def _health(
    series: Sequence[SeriesFacts],
    days: pl.DataFrame,
    sources: Sequence[SourceFacts],
    scores: Sequence[float],
    levels: Mapping[str, float],
) -> Health:
    worst, states = min(scores, default=1.0), {it.state for it in sources}
    late = any(it.state in ("stale", "not stored") for it in series)
    if late or "left alone" in states or worst < min(levels.values(), default=0.0):
        return "critical"
    lacks = days.select(pl.sum_horizontal(GAPS).sum()).item()
    is_low = worst < max(levels.values(), default=0.0)
    return "degraded" if lacks or is_low or "failing" in states else "healthy"


def _varied(partitions: Sequence[PartitionFacts]) -> list[PartitionFacts]:
    """Return the first partitions, of each series some only: one must not hide the others."""
    taken: Counter[str] = Counter()
    shown: list[PartitionFacts] = []
    for part in partitions:
        series = part.name.rpartition(" ")[0]
        if taken[series] < FIRST_OF_SERIES and len(shown) < FIRST_PARTITIONS:
            taken[series] += 1
            shown.append(part)
    return shown


def _badness(part: PartitionFacts) -> tuple[bool, float, int]:
    is_error = any(it.severity == "error" for it in part.verdicts)
    score = 1.0 if part.score is None else part.score
    return is_error, -score, sum(it.count for it in part.verdicts)


@dataclass(frozen=True, slots=True)
class _Look:
    """What was read of one exchange."""

    watched: Watched
    statuses: Sequence[SeriesStatus]
    coverage: Coverage
    gaps: Mapping[tuple[str, str], pl.DataFrame]
    """The missing candles of each series, the longest run first."""
    scores: Mapping[tuple[str, str], list[ScoreFacts]]

    @classmethod
    def at(cls, lake: Lake, watched: Watched, rules: ReportRules, now: datetime) -> "_Look":
        """Read one exchange."""
        history, series, fresh = watched.history, watched.series, watched.fresh
        gaps = find_missing(lake, history, series).sort("missing", descending=True)
        return cls(
            watched,
            series_status(lake, series, fresh, now),
            cover_days(lake, history, series, now, fresh.grace),
            gaps.partition_by(*KEY, as_dict=True),
            _scores(lake, watched.exchange, rules.score_column),
        )

    def series(self) -> Iterator[SeriesFacts]:
        """Yield its series, by pair and timeframe."""
        for found in sorted(self.statuses, key=lambda it: (it.series.pair, it.series.timeframe.ms)):
            key = (found.series.timeframe.name, found.series.pair.key)
            yield SeriesFacts(
                exchange=self.watched.exchange,
                pair=found.series.pair.symbol,
                timeframe=found.series.timeframe.name,
                state=_state(found),
                last=found.last,
                late=found.late,
                limit=found.limit,
                scores=self.scores.get(key, ()),
                gaps=_longest(self.gaps.get(key)),
            )

    def doubts(self) -> Iterator[str]:
        """Yield a line for each month of which journal and ledger disagree."""
        for row in self.coverage.doubts.iter_rows(named=True):
            found = row["error"] or f"its file has {row['file']:,}"
            yield (
                f"{self.watched.exchange}/{row['pair']}/{row['timeframe']} {row['period']}: the "
                f"journal tells of {row['journal']:,} candles, the ledger leaves room for "
                f"{row['told']:,}; {found}."
            )

    def partitions(self, lake: Lake) -> Iterator[PartitionFacts]:
        """Yield its partitions of which a rule has found something."""
        failed = lake.verdicts.failed(self.watched.exchange)
        names = ("layer", "exchange", "timeframe", "pair", "feature_set", "period")
        for (layer, exchange, timeframe, pair, feature_set, period), rows in failed.group_by(
            *names, maintain_order=True
        ):
            score = None
            if layer == "ohlcv":
                own = self.scores.get((str(timeframe), str(pair)), [])
                score = next((it.score for it in own if it.period == period), None)
            table = f"{exchange}/{layer}_{timeframe}"
            table = f"{table}[{feature_set}]" if feature_set else table
            yield PartitionFacts(f"{table} {pair} {period}", score, tuple(_verdicts(rows)))


def _state(found: SeriesStatus) -> SeriesState:
    if found.delisting is not None:
        return "delisted"
    if found.answered_until is None:
        return "not stored"
    return "stale" if found.is_stale else "fresh"


def _longest(gaps: pl.DataFrame | None) -> tuple[GapFacts, ...]:
    if gaps is None:
        return ()
    names = ("start", "end", "missing", "status", "evidence")
    return tuple(GapFacts(*row) for row in gaps.head(FIRST_GAPS).select(*names).rows())


def _scores(lake: Lake, exchange: str, column: str) -> dict[tuple[str, str], list[ScoreFacts]]:
    found: dict[tuple[str, str], list[ScoreFacts]] = {}
    for row in lake.scores.newest(exchange).iter_rows(named=True):
        components = {name: row[name] for name in COMPONENTS}
        score = ScoreFacts(row["period"], row[column], components)
        found.setdefault((row["timeframe"], row["pair"]), []).append(score)
    return found


def _verdicts(rows: pl.DataFrame) -> Iterable[VerdictFacts]:
    for row in rows.iter_rows(named=True):
        found: list[dict[str, Any]] = json.loads(row["rows_json"])
        yield VerdictFacts(row["rule"], row["severity"], row["count"], row["checked"], found)
