"""Verdicts that rest on several series: judged once what they rest on has moved, and only then.

A month of candles is held against the finer timeframes of its market and against other exchanges,
which may come later, in runs of their own. Each verdict notes by content hash what it rested on; a
look at journal and ledger tells which have moved, whoever moved them. Which rules there are stands
in `quality/agreement.py`.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

import polars as pl

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, to_period
from data_platform.operations.judge import to_json_rows
from data_platform.operations.lake import Lake
from data_platform.operations.neighbours import Neighbourhood
from data_platform.quality.agreement import RULES, AgreementRule, Finer, Surroundings
from data_platform.quality.standards import Standard
from data_platform.storage.contents import read_contents
from data_platform.storage.ledger_months import LedgerMonths, MonthChanges
from data_platform.storage.verdicts import VerdictRow

_log = logging.getLogger(__name__)

AGREEMENT_VERSION = 1
"""Raised by hand when a rule would judge the same candles otherwise."""

COARSER, EXCHANGES, COPIES = RULES

_NAMES = [rule.name for rule in RULES]
_BASIS_LETTERS = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moved:
    """A month of which something must be judged again."""

    partition: Partition
    bases: Mapping[str, str]
    """By rule: what its verdict will rest on."""
    judged_at: datetime
    """When the oldest of its verdicts was made; the epoch when there is none."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a look at the verdicts came to."""

    judged: int
    """Months that were judged again."""
    left: int
    """Months that wait for the next look."""


def judge_written(lake: Lake, neighbourhood: Neighbourhood, written: Collection[Partition]) -> None:
    """Judge the months that a step has just written, where that or what is beside them has moved.

    Args:
        lake: where candles lie.
        neighbourhood: which series.
        written: of one exchange.

    Raises:
        StorageError: the state database refuses.
    """
    if written:
        since, wanted = min(it.period for it in written), frozenset(written)
        moved = find_moved(lake, neighbourhood, since)
        for months in _by_cell(it for it in moved if it.partition in wanted):
            _judge_cell(lake, neighbourhood, months)


def renew_verdicts(
    lake: Lake,
    neighbourhood: Neighbourhood,
    budget: timedelta | None,
    since: Period | None = None,
) -> Renewal:
    """Judge again every month whose own candles, or what they were held against, have moved.

    Args:
        lake: where candles lie.
        neighbourhood: which series.
        budget: how long it may take; None: as long as it takes. Those judged longest ago come
            first, at least one market's month is judged, and what is left is found the next time.
        since: only this month and later ones; None: all.

    Raises:
        StorageError: the state database refuses.
    """
    moved = sorted(find_moved(lake, neighbourhood, since), key=lambda it: it.judged_at)
    end = None if budget is None else monotonic() + budget.total_seconds()
    judged = 0
    for months in _by_cell(moved):
        if judged and end is not None and monotonic() >= end:
            break
        _judge_cell(lake, neighbourhood, months)
        judged += len(months)
    return Renewal(judged, len(moved) - judged)


def find_moved(
    lake: Lake, neighbourhood: Neighbourhood, since: Period | None = None
) -> Iterator[Moved]:
    """Yield the months of which a verdict rests on other content than is stored now.

    Reads the journal, the ledger's counts and the verdicts; no file. Arguments as
    `renew_verdicts`.
    """
    book = _Book.read(lake, neighbourhood, since)
    for series in neighbourhood.own:
        beside = [
            (COARSER, neighbourhood.finer(series)),
            (EXCHANGES, neighbourhood.same(series)),
            (COPIES, neighbourhood.alike(series)),
        ]
        standards = [neighbourhood.standards.of(rule, series) for rule, _ in beside]
        for period in book.months.get(series, ()):
            bases = {
                rule.name: book.basis(standard, series, period, others)
                for standard, (rule, others) in zip(standards, beside, strict=True)
            }
            noted = {name: book.noted.get((series, period, name), _NEVER) for name in bases}
            new = {name: it for name, it in bases.items() if it != noted[name][0]}
            if new:
                judged_at = min(noted[name][1] for name in new)
                yield Moved(Partition("ohlcv", series, period), new, judged_at)


_NEVER = ("", _EPOCH)


@dataclass(frozen=True, slots=True)
class _Book:
    """What is known of the months of an exchange and of its neighbours, read at once."""

    contents: Mapping[tuple[Series, Period], str]
    """Of months that hold candles."""
    months: Mapping[Series, Sequence[Period]]
    """Own months that were ever stored."""
    quiet: Mapping[tuple[str, str, str], MonthChanges]
    noted: Mapping[tuple[Series, Period, str], tuple[str, datetime]]

    @classmethod
    def read(cls, lake: Lake, neighbourhood: Neighbourhood, since: Period | None) -> "_Book":
        known = {_key(it): it for it in (*neighbourhood.own, *neighbourhood.others)}
        own = frozenset(neighbourhood.own)
        names = sorted({series.exchange for series in known.values()})
        periods: dict[str, Period] = {}
        contents: dict[tuple[Series, Period], str] = {}
        months: dict[Series, list[Period]] = {}
        stored = read_contents(lake.state, names, since)
        for name, timeframe, pair, month, rows, content in stored.rows():
            series = known.get((name, timeframe, pair))
            if series is None:
                continue
            period = periods.setdefault(month, to_period(month))
            if rows:
                contents[series, period] = content
            if series in own:
                months.setdefault(series, []).append(period)
        exchange = neighbourhood.own[0].exchange
        bases = lake.verdicts.bases(exchange, _NAMES, since)
        noted = {
            (known[exchange, timeframe, pair], to_period(month), rule): (basis, at)
            for timeframe, pair, month, rule, basis, at in bases.rows()
            if (exchange, timeframe, pair) in known
        }
        quiet = {
            (exchange, *series): changes
            for series, changes in LedgerMonths(lake.state).of_exchange(exchange).items()
        }
        return cls(contents, months, quiet, noted)

    def basis(
        self, standard: Standard, series: Series, period: Period, beside: Iterable[Series]
    ) -> str:
        """Return what a verdict would rest on now; empty when there is nothing beside it."""
        own = self.contents.get((series, period))
        parts = [
            f"{it}:{self.contents[it, period]}:{self._quiet(it, period)}"
            for it in beside
            if (it, period) in self.contents
        ]
        if own is None or not parts:
            return ""
        judged_by = (AGREEMENT_VERSION, standard.severity, sorted(standard.limits.items()))
        text = f"{judged_by};{own};{';'.join(sorted(parts))}"
        return hashlib.sha256(text.encode()).hexdigest()[:_BASIS_LETTERS]

    def _quiet(self, series: Series, period: Period) -> int:
        """Return how often the ledger has come to know other times without trades, of own series.

        Those of other exchanges are not looked at: where they have no candle, there is none.
        """
        months = self.quiet.get(_key(series), {})
        return months[period].quiet if period in months else 0


@dataclass(slots=True)
class _Reader:
    """The candles of one month, each series read once."""

    lake: Lake
    period: Period
    _frames: dict[Series, pl.DataFrame] = field(default_factory=dict)

    def candles(self, series: Series) -> pl.DataFrame:
        if series not in self._frames:
            self._frames[series] = self.lake.store.read_range(
                "ohlcv", series, self.period.start, self.period.end
            )
        return self._frames[series]

    def finer(self, series: Series) -> Finer:
        start, end = self.period.start, self.period.end
        quiet = self.lake.sums.ranges(series, start, end, {"no_trades"})
        return Finer(series.timeframe, self.candles(series), quiet)


def _judge_cell(lake: Lake, neighbourhood: Neighbourhood, months: Sequence[Moved]) -> None:
    reader = _Reader(lake, months[0].partition.period)
    judged = []
    for month in months:
        try:
            judged.append((month.partition, _judge(reader, neighbourhood, month)))
        except StorageError as error:
            # A damaged file has its own check; it must not keep the others from being judged.
            _log.warning("%s is not held against others: %s", month.partition, error)
    with lake.state.write() as connection:
        for partition, rows in judged:
            lake.verdicts.record(connection, partition, rows)


def _judge(reader: _Reader, neighbourhood: Neighbourhood, month: Moved) -> list[VerdictRow]:
    series = month.partition.series
    given = Surroundings(reader.candles(series), series.timeframe)
    finer, alike = neighbourhood.finer(series), neighbourhood.alike(series)
    rows = []
    for rule in RULES:
        if rule.name not in month.bases:
            continue
        if rule is COARSER:
            own = replace(given, finer=[reader.finer(it) for it in finer])
        elif rule is EXCHANGES:
            same = neighbourhood.same(series)
            own = replace(given, same={it.exchange: reader.candles(it) for it in same})
        else:
            own = replace(given, alike={str(it.market): reader.candles(it) for it in alike})
        standard = neighbourhood.standards.of(rule, series)
        rows.append(_verdict(rule, own, standard, month.bases[rule.name]))
    return rows


def _verdict(
    rule: AgreementRule, given: Surroundings, standard: Standard, basis: str
) -> VerdictRow:
    found, now = rule.judge(given, standard.limits), datetime.now(tz=UTC)
    return VerdictRow(
        rule=rule.name,
        day=now.date(),
        severity=standard.severity,
        count=found.rows.height,
        checked=found.checked,
        rows_json=json.dumps(to_json_rows(found.rows)),
        threshold_json=json.dumps(dict(standard.limits)),
        checked_at=now,
        measured_json=json.dumps(dict(found.measured)),
        basis=basis,
    )


def _by_cell(moved: Iterable[Moved]) -> Iterable[list[Moved]]:
    """Return months by pair and period, which rest on much the same files."""
    cells: dict[tuple[str, Period], list[Moved]] = {}
    for each in moved:
        cell = (each.partition.series.pair.key, each.partition.period)
        cells.setdefault(cell, []).append(each)
    return cells.values()


def _key(series: Series) -> tuple[str, str, str]:
    return series.exchange, series.timeframe.name, series.pair.key
