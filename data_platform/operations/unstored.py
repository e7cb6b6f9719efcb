"""What should be stored and is not: the backlog without what the next tick brings anyway.

That the running month lacks its newest candles, and what is computed from them, is no fault while
every partition of it is there.
"""

from datetime import datetime

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.operations.backlog import Scope, find_backlog
from data_platform.operations.export import export_statuses
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import is_damaged


def find_unstored(lake: Lake, scope: Scope, now: datetime) -> set[tuple[Pair, Period]]:
    """Return every pair and month of which a partition is missing, incomplete, damaged or stale.

    Args:
        lake: where candles lie.
        scope: what should be stored.
        now: the clock, UTC.
    """
    book = JournalBook.of_exchange(lake, scope.exchange)
    return {
        (pair, period)
        for pair, period in find_backlog(lake, scope, now)
        if period.end <= now or _lacks_partition(book, scope, pair, period)
    }


def _lacks_partition(book: JournalBook, scope: Scope, pair: Pair, period: Period) -> bool:
    return any(
        _is_absent(book, scope, Series(scope.exchange, pair, timeframe), period)
        for timeframe in scope.recipes
    )


def _is_absent(book: JournalBook, scope: Scope, series: Series, period: Period) -> bool:
    recipes = scope.recipes[series.timeframe]
    wanted = [Partition("ohlcv", series, period)]
    wanted += [Partition(it.layer, series, period, it.feature_set) for it in recipes]
    if any(book.row(it) is None or is_damaged(it, book) for it in wanted):
        return True
    return any(
        status.own is None or book.is_damaged(converter.name, series, status.file.period)
        for converter in scope.converters
        for status in export_statuses(series, converter, book)
        if status.period == period
    )
