"""What is missing or stale anywhere in history, found without asking an exchange.

Reads the journal, the ledger and the state of the files; the nightly schedule asks for what it
names. A damaged month of candles is among them: its run fails every night until somebody mends it.
A month that was archived and lies elsewhere now is not: no run could store anything into it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from data_platform.converters.converter import Converter
from data_platform.domain.candles import closed_before
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.operations.belief import SETTLED
from data_platform.operations.delisted import Delisting, find_delisted
from data_platform.operations.export import stale_export_months
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.plan import due_parts
from data_platform.operations.recipe import Recipe, is_stale
from data_platform.storage.journal import InputRow
from data_platform.storage.ledger import WAITING


@dataclass(frozen=True, slots=True)
class Scope:
    """What should be stored of one exchange, and how it is made."""

    exchange: str
    starts: Mapping[Pair, datetime]
    """First candle wanted of each pair."""
    fetched: Sequence[Timeframe]
    """Timeframes that the exchange itself gives."""
    grace: timedelta
    recipes: Mapping[Timeframe, Sequence[Recipe]]
    """What is derived at each timeframe, derived candles included."""
    converters: Sequence[Converter]


def find_backlog(lake: Lake, scope: Scope, now: datetime) -> set[tuple[Pair, Period]]:
    """Return every pair and month of which something is missing, due again, damaged or stale.

    Args:
        lake: where candles lie.
        scope: what should be stored.
        now: the clock, UTC.
    """
    rows = _rows(lake, scope.exchange)
    waiting = lake.ledger.gaps_of(scope.exchange, statuses=WAITING)
    due = _months_due(waiting, 1, now)
    wanted = [Series(scope.exchange, pair, each) for pair in scope.starts for each in scope.fetched]
    ended = find_delisted(lake, wanted)
    book, away = JournalBook.of_exchange(lake, scope.exchange), lake.store.away(scope.exchange)
    found = set()
    for pair, start in scope.starts.items():
        stale = _stale_months(scope, book, pair, away, now)
        for period in periods_between(start, now):
            series = [Series(scope.exchange, pair, each) for each in scope.fetched]
            cells = [
                _Cell(each, period, start, _end(each, scope.grace, ended.get(each), now))
                for each in series
                if _key(each, period) not in away
            ]
            if period in stale or any(
                _lacks_candles(lake, cell, rows, due)
                or book.is_damaged("ohlcv", cell.series, period)
                for cell in cells
            ):
                found.add((pair, period))
    return found


def find_doubts(
    lake: Lake, scope: Scope, page_size: int, now: datetime
) -> set[tuple[Pair, Period]]:
    """Return every pair and month with a hole that was believed and is to be asked for again.

    Args:
        lake: where candles lie.
        scope: what should be stored.
        page_size: candles in one answer of the exchange.
        now: the clock, UTC.
    """
    gaps = lake.ledger.gaps_of(scope.exchange, statuses=SETTLED, due_by=now)
    due = _months_due(gaps, page_size, now) - lake.store.away(scope.exchange)
    return {
        (pair, period)
        for pair, start in scope.starts.items()
        for period in periods_between(start, now)
        if any((pair.key, each.name, period.key) in due for each in scope.fetched)
    }


Key = tuple[str, str, str]
"""A pair's key, a timeframe and a month."""


@dataclass(frozen=True, slots=True)
class _Cell:
    series: Series
    period: Period
    start: datetime
    end: datetime
    """End of the closed candles that there can be."""


def _key(series: Series, period: Period) -> Key:
    return series.pair.key, series.timeframe.name, period.key


def _end(series: Series, grace: timedelta, ended: Delisting | None, now: datetime) -> datetime:
    closed = closed_before(now, series.timeframe, grace)
    return min(closed, ended.since) if ended else closed


def _lacks_candles(lake: Lake, cell: _Cell, rows: Mapping[Key, int], due: set[Key]) -> bool:
    series, period = cell.series, cell.period
    key = _key(series, period)
    if key in due or key not in rows:
        return True
    start = max(cell.start, period.start)
    end = min(period.end, cell.end)
    lacking = series.timeframe.count(start, end) - rows[key]
    return lacking > 0 and lake.sums.missing(series, start, end) < lacking


def _stale_months(
    scope: Scope, book: JournalBook, pair: Pair, away: Collection[Key], now: datetime
) -> set[Period]:
    stale: set[Period] = set()
    for timeframe, recipes in scope.recipes.items():
        series = Series(scope.exchange, pair, timeframe)
        months = [
            month
            for month in periods_between(scope.starts[pair], now)
            if _key(series, month) not in away
        ]
        for converter in scope.converters:
            stale |= stale_export_months(series, converter, book) & set(months)
        for recipe in recipes:
            for period in months:
                partition = Partition(recipe.layer, series, period, recipe.feature_set)
                if period in stale or not is_stale(partition, recipe, book):
                    continue
                if not _reads_any(book.inputs(partition), away):
                    stale.add(period)
    return stale


def _reads_any(inputs: Sequence[InputRow], months: Collection[Key]) -> bool:
    return bool(months) and any(
        _key(it.series, month) in months
        for it in inputs
        if it.first is not None and it.last is not None
        for month in periods_between(it.first, it.last + it.series.timeframe.duration)
    )


def _rows(lake: Lake, exchange: str) -> dict[Key, int]:
    return {
        (row.series.pair.key, row.series.timeframe.name, row.period.key): row.rows
        for row in lake.store.journal_rows("ohlcv", exchange)
        if row.period
    }


def _months_due(gaps: pl.DataFrame, page_size: int, now: datetime) -> set[Key]:
    due: set[Key] = set()
    for (pair, name), own in gaps.group_by("pair", "timeframe"):
        left = due_parts(own, to_timeframe(str(name)), page_size, now)
        for start, end in left.select("start", "end").rows():
            due |= {(str(pair), str(name), period.key) for period in periods_between(start, end)}
    return due
