"""What is known of one exchange now, as its alarms need it: from journal, ledger, breaker and runs.

Reads only, and decides nothing: when a fact is bad enough stands in `alarms.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median

import polars as pl

from data_platform.domain.alerts import AlarmLimits
from data_platform.domain.breaker import BreakerState
from data_platform.domain.markets import Series
from data_platform.operations.due import FreshnessLimits, SeriesStatus, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History, find_missing
from data_platform.quality.continuity import GAP_RULES
from data_platform.storage.run_log import LoggedRun
from data_platform.storage.tables import COMPONENTS

HOUR = timedelta(hours=1)
USUAL_DAYS = timedelta(days=7)
"""Over which the usual time of a run is known."""


@dataclass(frozen=True, slots=True)
class SeriesScore:
    """The newest score of a series."""

    series: Series
    score: float
    why: str
    """Which components fall short, for people."""


@dataclass(frozen=True, slots=True)
class RecentGap:
    """A run of missing candles longer than the check allows."""

    series: Series
    start: datetime
    end: datetime
    missing: int
    allowed: int
    tries: int
    """How often it was asked for."""


@dataclass(frozen=True, slots=True)
class RunTime:
    """How long a run took, or has taken so far."""

    exchange: str
    kind: str
    run_id: str
    started_at: datetime
    seconds: float
    is_running: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """How an exchange has answered of late."""

    requests: int
    """In the last hour."""
    failed: int
    """Of them."""
    latency: timedelta | None = None
    """Of its newest answers; None: unknown."""
    usual_latency: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one exchange."""

    exchange: str
    now: datetime
    statuses: Sequence[SeriesStatus] = ()
    breaker: BreakerState = field(default_factory=BreakerState)
    scores: Sequence[SeriesScore] = ()
    gaps: Sequence[RecentGap] = ()
    runs: Sequence[RunTime] = ()
    """The newest last of each kind."""
    answers: Answers = field(default_factory=lambda: Answers(0, 0))


@dataclass(frozen=True, slots=True)
class Concern:
    """One exchange that is looked after."""

    exchange: str
    series: Sequence[Series]
    """The configured ones."""
    history: History
    fresh: FreshnessLimits
    limits: AlarmLimits
    score_column: str
    """Of the table of scores."""


def gather_facts(lake: Lake, concern: Concern, running: Sequence[RunTime], now: datetime) -> Facts:
    """Return what is known of an exchange now.

    Args:
        lake: where candles lie.
        concern: the exchange.
        running: runs that have not ended, of any exchange.
        now: the clock, UTC.
    """
    name = concern.exchange
    logged = lake.runs.since(name, now - USUAL_DAYS)
    return Facts(
        exchange=name,
        now=now,
        statuses=series_status(lake, concern.series, concern.fresh, now),
        breaker=lake.breakers.read(name),
        scores=list(_scores(lake, concern)),
        gaps=list(_recent_gaps(lake, concern, now)),
        runs=[*_ended_runs(name, logged), *(it for it in running if it.exchange == name)],
        answers=_answers(logged, now),
    )


def _scores(lake: Lake, concern: Concern) -> Iterator[SeriesScore]:
    own = {(it.timeframe.name, it.pair.key): it for it in concern.series}
    column = concern.score_column
    scores = lake.scores.newest(concern.exchange).sort("period")
    newest = scores.group_by("timeframe", "pair", maintain_order=True).last()
    for row in newest.filter(pl.col(column).is_not_null()).to_dicts():
        series = own.get((row["timeframe"], row["pair"]))
        if series is None:
            continue
        parts = [
            f"{name} {row[name]:.3f}"
            for name in COMPONENTS
            if row[name] is not None and row[name] < 1
        ]
        why = f"{', '.join(parts)} in {row['period']}"
        yield SeriesScore(series, row[column], why)


def _recent_gaps(lake: Lake, concern: Concern, now: datetime) -> Iterator[RecentGap]:
    rule = next(rule for rule in GAP_RULES if rule.name == "no_long_gaps")
    since = now - concern.limits.recent
    ordered = sorted(concern.series, key=lambda it: it.timeframe.seconds)
    for timeframe, own in groupby(ordered, key=lambda it: it.timeframe):
        for standard, alike in concern.fresh.limits.groups(rule, own):
            by_pair = {it.pair.key: it for it in alike}
            missing = find_missing(lake, concern.history, list(by_pair.values()))
            allowed = int(standard.limits[timeframe.name])
            # Whole runs first: the part of a long gap that is recent may be short.
            for pair, start, end, count in rule.find(missing, timeframe, standard.limits).rows():
                if end > since:
                    tries = _tries(missing, pair, start, end)
                    yield RecentGap(by_pair[pair], start, end, count, allowed, tries)


def _tries(gaps: pl.DataFrame, pair: str, start: datetime, end: datetime) -> int:
    own = gaps.filter(pl.col("pair") == pair, pl.col("start") >= start, pl.col("end") <= end)
    return int(own.select(pl.col("tries").max()).item() or 0)


def _ended_runs(exchange: str, logged: Sequence[LoggedRun]) -> Iterator[RunTime]:
    for run in logged:
        seconds = (run.ended_at - run.started_at).total_seconds()
        yield RunTime(exchange, run.kind, run.run_id, run.started_at, seconds, is_running=False)


def _answers(known: Sequence[LoggedRun], now: datetime) -> Answers:
    runs = [run for run in known if run.ended_at > now - HOUR]
    newest = [run.latency for run in runs if run.latency is not None]
    before = [run.latency for run in known if run.latency and run.ended_at <= now - HOUR]
    usual = median(each.total_seconds() for each in before) if before else None
    return Answers(
        requests=sum(run.requests for run in runs),
        failed=sum(run.retries for run in runs),
        latency=newest[-1] if newest else None,
        usual_latency=None if usual is None else timedelta(seconds=usual),
    )
