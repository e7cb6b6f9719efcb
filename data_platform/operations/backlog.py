"""What is missing or stale anywhere in history, found without asking an exchange.

Reads the journal and the ledger alone; the nightly schedule asks for what it names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from data_platform.converters.converter import Converter
from data_platform.domain.candles import closed_before
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.operations.derive import JournalBook, Recipe, is_stale
from data_platform.operations.export import is_export_stale
from data_platform.operations.lake import Lake


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
    """Return every pair and month of which something is missing, due again or stale.

    Args:
        lake: where candles lie.
        scope: what should be stored.
        now: the clock, UTC.
    """
    rows = _rows(lake, scope.exchange)
    explained, due = _explained(lake, scope.exchange, now)
    book = JournalBook(lake)
    found = set()
    for pair, start in scope.starts.items():
        for period in periods_between(start, now):
            cells = [
                (Series(scope.exchange, pair, each), period, start, now) for each in scope.fetched
            ]
            if any(
                _lacks_candles(cell, scope.grace, rows, explained, due) for cell in cells
            ) or _is_any_stale(lake, scope, book, pair, period):
                found.add((pair, period))
    return found


Cell = tuple[Series, Period, datetime, datetime]
Key = tuple[str, str, str]
"""A pair's key, a timeframe and a month."""


def _lacks_candles(
    cell: Cell,
    grace: timedelta,
    rows: Mapping[Key, int],
    explained: Mapping[Key, int],
    due: set[Key],
) -> bool:
    series, period, start, now = cell
    key = (series.pair.key, series.timeframe.name, period.key)
    if key in due or key not in rows:
        return True
    end = min(period.end, closed_before(now, series.timeframe, grace))
    expected = series.timeframe.count(max(start, period.start), end)
    return rows[key] + explained.get(key, 0) < expected


def _is_any_stale(lake: Lake, scope: Scope, book: JournalBook, pair: Pair, period: Period) -> bool:
    for timeframe, recipes in scope.recipes.items():
        series = Series(scope.exchange, pair, timeframe)
        for recipe in recipes:
            if is_stale(Partition(recipe.layer, series, period, recipe.feature_set), recipe, book):
                return True
        if any(is_export_stale(lake, series, period, each) for each in scope.converters):
            return True
    return False


def _rows(lake: Lake, exchange: str) -> dict[Key, int]:
    return {
        (row.series.pair.key, row.series.timeframe.name, row.period.key): row.rows
        for row in lake.store.journal_rows("ohlcv", exchange)
        if row.period
    }


def _explained(lake: Lake, exchange: str, now: datetime) -> tuple[dict[Key, int], set[Key]]:
    gaps = lake.ledger.gaps_of(exchange)
    last = pl.col("end") - pl.duration(milliseconds=1)
    months = gaps.with_columns(
        first_month=pl.col("start").dt.strftime("%Y-%m"), last_month=last.dt.strftime("%Y-%m")
    )
    inside = months.filter(pl.col("first_month") == pl.col("last_month"))
    sums = inside.group_by("pair", "timeframe", "first_month").agg(pl.col("missing").sum())
    explained: dict[Key, int] = {(pair, name, month): n for pair, name, month, n in sums.rows()}
    due: set[Key] = set()
    across = months.filter(pl.col("first_month") != pl.col("last_month"))
    for row in across.iter_rows(named=True):
        for key, missing in _by_month(row):
            explained[key] = explained.get(key, 0) + missing
    waiting = pl.col("status").is_in(["open", "refused"])
    ripe = pl.col("next_try").is_null() | (pl.col("next_try") <= now)
    for row in months.filter(waiting & ripe).iter_rows(named=True):
        due |= {key for key, _ in _by_month(row)}
    return explained, due


def _by_month(row: Mapping[str, Any]) -> Iterator[tuple[Key, int]]:
    start, end, timeframe = row["start"], row["end"], to_timeframe(row["timeframe"])
    for period in periods_between(start, end):
        missing = timeframe.count(max(start, period.start), min(end, period.end))
        yield (row["pair"], timeframe.name, period.key), missing
