"""How good each month of candles is now: counted, weighed and noted when it has moved.

Holds when a month is counted anew; what is counted stands in `tally.py`, the arithmetic in
`quality/score.py`. A score notes what it was computed from and is computed again when that has
moved, whoever moved it: one look that finds nothing new reads a few tables and writes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, period_of, periods_between
from data_platform.operations.due import FreshnessLimits, SeriesStatus, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.report import LayerReport, PartitionScore
from data_platform.operations.score_sources import (
    COARSER_AGREE,
    EXCHANGES_AGREE,
    MonthKey,
    ScoreSources,
    read_sources,
)
from data_platform.operations.tally import SeriesCounter
from data_platform.quality.score import (
    COMPONENTS,
    Components,
    Delay,
    Profiles,
    Tally,
    to_components,
    weigh,
)
from data_platform.storage.scores import ScoreRow

Scored = tuple[Partition, ScoreRow]


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """What scoring has to know of the wish."""

    history: History
    fresh: FreshnessLimits
    profiles: Profiles


def note_scores(
    lake: Lake,
    statuses: Sequence[SeriesStatus],
    rules: ScoreRules,
    now: datetime,
    since: Period | None = None,
) -> int:
    """Bring the scores of some series up to date; arguments as `find_moved`.

    Returns:
        How many rows were written.

    Raises:
        StorageError: the state database refuses.
    """
    moved = list(find_moved(lake, statuses, rules, now, since))
    if moved:
        with lake.state.write() as connection:
            lake.scores.record(connection, moved)
    return len(moved)


def find_moved(
    lake: Lake,
    statuses: Sequence[SeriesStatus],
    rules: ScoreRules,
    now: datetime,
    since: Period | None = None,
) -> Iterator[Scored]:
    """Yield every month whose score is another now than it was noted last.

    Every month since a series' start is scored, also one that nobody ever asked for.

    Args:
        lake: where candles lie.
        statuses: how far some series of one exchange are, as of `now`.
        rules: starts and weights.
        now: the clock, UTC.
        since: only this month and later ones; None: all.
    """
    if not statuses:
        return
    timeframes = {status.series.timeframe for status in statuses}
    only = next(iter(timeframes)) if len(timeframes) == 1 else None
    sources = read_sources(lake, statuses[0].series.exchange, only, since)
    for status in statuses:
        counter = SeriesCounter(lake, status, rules.history, now)
        yield from _Scorer(sources, counter, rules.profiles).moved(since)


def add_scores(  # a report, its series, a rule, a clock and a bound
    lake: Lake,
    report: LayerReport,
    wanted: Sequence[Series],
    rules: ScoreRules,
    now: datetime,
    since: Period | None = None,
) -> None:
    """Bring the scores up to date after candles were written, and tell each in their report.

    Args:
        lake: where candles lie.
        report: of one exchange and timeframe, layer `ohlcv`.
        wanted: all series of them, since what came may tell more of others.
        rules: starts, limits and weights.
        now: the clock, UTC.
        since: only this month and later ones, and those of the report; None: all.

    Raises:
        StorageError: the state database refuses.
    """
    if not report.partitions:
        return
    told = min(part.partition.period for part in report.partitions)
    statuses = series_status(lake, wanted, rules.fresh, now)
    note_scores(lake, statuses, rules, now, min(since, told) if since else None)
    series = report.partitions[0].partition.series
    scores = {
        (pair, period): PartitionScore(
            value=row[rules.profiles.default_column],
            components={name: row[name] for name in COMPONENTS if row[name] is not None},
            absent=row["absent"],
        )
        for row in lake.scores.newest(series.exchange, series.timeframe, told).to_dicts()
        for pair, period in [(row["pair"], row["period"])]
    }
    report.partitions = [
        replace(it, score=scores.get((it.partition.series.pair.key, it.partition.period.key)))
        for it in report.partitions
    ]


class _Scorer:
    """Scores the months of one series."""

    def __init__(self, sources: ScoreSources, counter: SeriesCounter, profiles: Profiles) -> None:
        self._sources, self._counter, self._profiles = sources, counter, profiles
        self._running = period_of(counter.now)
        self._series = counter.status.series
        self._names = (self._series.timeframe.name, self._series.pair.key)
        self._weights = repr(profiles)

    def moved(self, since: Period | None) -> Iterator[Scored]:
        wanted, now = self._counter.wanted, self._counter.now
        start = max(wanted.start, since.start) if since else wanted.start
        for period in periods_between(start, max(wanted.end, now)):
            key = (*self._names, period.key)
            noted, basis = self._sources.noted.get(key), self._basis(key, period)
            partition = Partition("ohlcv", self._series, period)
            # Refused rows that could not be read may be readable by now.
            is_doubtful = noted is not None and noted.validity is None and noted.stored > 0
            if noted is None or noted.basis != basis or is_doubtful:
                row = self._counted(partition, basis)
            elif period == self._running or noted.timeliness is not None:
                row = self._timed(noted, period)
            else:
                continue
            if noted is None or replace(row, day=noted.day, checked_at=noted.checked_at) != noted:
                yield partition, row

    def _counted(self, partition: Partition, basis: str) -> ScoreRow:
        tally = self._tally(partition)
        return self._to_row(tally, to_components(tally), basis)

    def _timed(self, noted: ScoreRow, period: Period) -> ScoreRow:
        """Return a score of which only the lateness has moved."""
        tally = Tally(noted.expected, noted.stored, 0, delay=self._delay(period))
        shares = {name: getattr(noted, name) for name in COMPONENTS}
        shares["timeliness"] = to_components(tally).timeliness
        return self._to_row(tally, Components(**shares), noted.basis)

    def _delay(self, period: Period) -> Delay | None:
        return self._counter.delay if period == self._running else None

    def _tally(self, partition: Partition) -> Tally:
        key = (*self._names, partition.period.key)
        found = self._counter.count(partition.period, self._sources.stored.get(key))
        return Tally(
            expected=found.expected,
            stored=found.stored,
            refused=found.refused,
            coarser=self._sources.comparison(COARSER_AGREE, key),
            exchanges=self._sources.comparison(EXCHANGES_AGREE, key),
            delay=self._delay(partition.period),
        )

    def _basis(self, key: MonthKey, period: Period) -> str:
        last = self._counter.status.last
        reach = min(last, period.end) if last else None
        month = self._counter.month(period)
        return self._sources.basis(key, period, month, f"{reach} {self._weights}")

    def _to_row(self, tally: Tally, found: Components, basis: str) -> ScoreRow:
        now, profiles = self._counter.now, self._profiles
        # To a thousandth: a line that stands still must not write at each tick for ever.
        late = found.timeliness
        components = replace(found, timeliness=None if late is None else round(late, 3))
        return ScoreRow(
            day=now.date(),
            expected=tally.expected,
            stored=tally.stored,
            **{name: getattr(components, name) for name in COMPONENTS},
            score_five=weigh(components, profiles.five),
            score_four=weigh(components, profiles.four),
            absent=", ".join(components.absent),
            profiles=", ".join(profile.key for profile in profiles.both),
            basis=basis,
            checked_at=now,
        )
