"""How good each month of candles is now: counted, weighed and noted when it has moved.

Holds when a month is counted anew; what is counted stands in `tally.py`, the arithmetic in
`quality/score.py`. A score notes what it was computed from and is computed again when that has
moved, whoever moved it: one look that finds nothing new reads a few tables and writes nothing.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from data_platform.domain.layers import Partition
from data_platform.domain.periods import Period, period_of, periods_between
from data_platform.operations.due import SeriesStatus
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.tally import SeriesCounter, StoredMonth
from data_platform.quality.score import (
    COMPONENTS,
    Comparison,
    Components,
    Delay,
    Profiles,
    Tally,
    to_components,
    weigh,
)
from data_platform.storage.ledger_months import LedgerMonths, MonthChanges
from data_platform.storage.scores import ScoreRow

COARSER_AGREE = "coarser_candles_agree"
EXCHANGES_AGREE = "exchanges_agree"
"""The rules whose verdicts tell consistency and accuracy."""

_BASIS_LETTERS = 16

Scored = tuple[Partition, ScoreRow]


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """What scoring has to know of the wish."""

    history: History
    profiles: Profiles


@dataclass(frozen=True, slots=True)
class Look:
    """Which months are looked at."""

    asked: frozenset[Partition] = frozenset()
    """Counted again in any case: those that rows may have come for."""
    since: Period | None = None
    """Only this month and later ones; None: all."""


EVERYWHERE = Look()


def note_scores(
    lake: Lake,
    statuses: Sequence[SeriesStatus],
    rules: ScoreRules,
    now: datetime,
    look: Look = EVERYWHERE,
) -> int:
    """Bring the scores of some series up to date; arguments as `find_moved`.

    Returns:
        How many rows were written.

    Raises:
        StorageError: the state database refuses.
    """
    moved = list(find_moved(lake, statuses, rules, now, look))
    if moved:
        with lake.state.write() as connection:
            lake.scores.record(connection, moved)
    return len(moved)


def find_moved(
    lake: Lake,
    statuses: Sequence[SeriesStatus],
    rules: ScoreRules,
    now: datetime,
    look: Look = EVERYWHERE,
) -> Iterator[Scored]:
    """Yield every month whose score is another now than it was noted last.

    Every month since a series' start is scored, also one that nobody ever asked for.

    Args:
        lake: where candles lie.
        statuses: how far some series of one exchange are, as of `now`.
        rules: starts and weights.
        now: the clock, UTC.
        look: which months.
    """
    if not statuses:
        return
    book = _Book.of_exchange(lake, statuses[0].series.exchange, look.since)
    for status in statuses:
        counter = SeriesCounter(lake, status, rules.history, now)
        yield from _Scorer(book, counter, rules.profiles).moved(look)


_Key = tuple[str, str, str]
"""Timeframe's name, pair's key, month's key."""


@dataclass(frozen=True, slots=True)
class _Book:
    """What is known of the months of an exchange, read at once."""

    stored: dict[_Key, StoredMonth]
    changes: Mapping[tuple[str, str], MonthChanges]
    compared: dict[tuple[str, _Key], tuple[int, int, datetime]]
    noted: dict[_Key, ScoreRow]

    @classmethod
    def of_exchange(cls, lake: Lake, exchange: str, since: Period | None) -> "_Book":
        months = lake.store.months(exchange).rows()
        counts = lake.verdicts.counts(exchange, (COARSER_AGREE, EXCHANGES_AGREE), since).rows()
        noted = lake.scores.newest(exchange, since=since).rows()
        return cls(
            {(name, pair, period): (rows, *ends) for name, pair, period, rows, *ends in months},
            LedgerMonths(lake.state).of_exchange(exchange),
            {
                (rule, (name, pair, period)): (*found,)
                for name, pair, period, rule, *found in counts
            },
            {
                (name, pair, period): ScoreRow(date.fromisoformat(day), *rest)
                for name, pair, period, day, *rest in noted
            },
        )

    def comparison(self, rule: str, key: _Key) -> Comparison | None:
        count, checked, _ = self.compared.get((rule, key), (0, 0, None))
        return Comparison(count, checked)


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Scores the months of one series."""

    book: _Book
    counter: SeriesCounter
    profiles: Profiles

    def moved(self, look: Look) -> Iterator[Scored]:
        wanted, now = self.counter.wanted, self.counter.now
        for period in periods_between(wanted.start, max(wanted.end, now)):
            if look.since is not None and period < look.since:
                continue
            partition = Partition("ohlcv", self.counter.status.series, period)
            noted = self.book.noted.get(_key(partition))
            row = self._row(partition, None if partition in look.asked else noted)
            if noted is None or replace(row, day=noted.day, checked_at=noted.checked_at) != noted:
                yield partition, row

    def _row(self, partition: Partition, noted: ScoreRow | None) -> ScoreRow:
        """Return the score of a month; what is noted is believed as long as its basis stands."""
        running = partition.period == period_of(self.counter.now)
        delay = self.counter.delay if running else None
        basis = self._basis(partition)
        if noted is not None and noted.basis == basis:
            tally = Tally(noted.expected, noted.stored, 0, delay=delay)
            timeliness = to_components(tally).timeliness
            shares = {name: getattr(noted, name) for name in COMPONENTS}
            components = Components(**{**shares, "timeliness": timeliness})
        else:
            tally = self._tally(partition, delay)
            components = to_components(tally)
        return self._to_row(tally, components, basis)

    def _tally(self, partition: Partition, delay: Delay | None) -> Tally:
        key = _key(partition)
        found = self.counter.count(partition.period, self.book.stored.get(key))
        return Tally(
            expected=found.expected,
            stored=found.stored,
            refused=found.refused,
            coarser=self.book.comparison(COARSER_AGREE, key),
            exchanges=self.book.comparison(EXCHANGES_AGREE, key),
            delay=delay,
        )

    def _basis(self, partition: Partition) -> str:
        """Return a digest of all that a month is counted from.

        But for lateness, which moves by itself, and refused rows, which come with a fetch.
        """
        key, period = _key(partition), partition.period
        last = self.counter.status.last
        ledger = self.book.changes.get(key[:2], {}).get(period)
        compared = [
            self.book.compared.get((rule, key)) for rule in (COARSER_AGREE, EXCHANGES_AGREE)
        ]
        month = self.counter.month(period)
        reach = None if last is None else min(last, period.end)
        known = (self.book.stored.get(key), ledger, compared, month, reach, self.profiles)
        return hashlib.sha256(repr(known).encode()).hexdigest()[:_BASIS_LETTERS]

    def _to_row(self, tally: Tally, components: Components, basis: str) -> ScoreRow:
        now = self.counter.now
        return ScoreRow(
            day=now.date(),
            expected=tally.expected,
            stored=tally.stored,
            **{name: getattr(components, name) for name in COMPONENTS},
            score_five=weigh(components, self.profiles.five),
            score_four=weigh(components, self.profiles.four),
            absent=", ".join(components.absent),
            profiles=", ".join(profile.key for profile in self.profiles.both),
            basis=basis,
            checked_at=now,
        )


def _key(partition: Partition) -> _Key:
    series = partition.series
    return series.timeframe.name, series.pair.key, partition.period.key
