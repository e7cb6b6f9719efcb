"""What is stored and would be another now: derived partitions and files, by month.

Found from the journal and the ledger; only of what they make suspect are the rows read that it was
computed from. What was never computed is the backlog's business.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from data_platform.converters.converter import Converter
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import LAYERS, LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.operations.backlog import Scope
from data_platform.operations.export import ExportStatus, export_statuses
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.reach import Reach
from data_platform.operations.recipe import (
    Recipe,
    has_moved,
    is_damaged,
    months_now,
    newest_rewrite,
)
from data_platform.storage.journal import JournalRow

Cell = tuple[Pair, Period]


@dataclass(frozen=True, slots=True)
class Stale:
    """One stored partition, or file, that would be another now."""

    series: Series
    period: Period
    """Of a file of a whole pair, the month that has moved: any month makes it again."""
    state: str
    """Another one as soon as it is made again, or what it is made of moves on."""


def find_stale(lake: Lake, scope: Scope, now: datetime) -> Mapping[Cell, str]:
    """Return every pair and month of which something is to be made again, and a digest of it.

    What rests on a changed candle is found with it, through every layer, timeframe and market, as
    far as the rows that it has read.

    Months that are over count at once. The running one counts only when rows that were stored
    have changed: that it lacks the newest ones waits for its refresh.

    Args:
        lake: where candles lie.
        scope: what should be stored.
        now: the clock, UTC.

    Returns:
        Digests that stay the same while nothing is made again and nothing moves on.
    """
    cells: dict[Cell, list[str]] = {}
    book = JournalBook.of_exchange(lake, scope.exchange)
    for stale in _Look(scope, book, now, sees_damage=False).all():
        cells.setdefault((stale.series.pair, stale.period), []).append(stale.state)
    return {
        cell: hashlib.sha256(",".join(states).encode()).hexdigest()
        for cell, states in cells.items()
    }


def count_stale(lake: Lake, scope: Scope, now: datetime) -> Counter[Series]:
    """Return how many stored partitions and export files of each series are stale, where any is.

    As `find_stale`; a damaged file counts, too.
    """
    book = JournalBook.of_exchange(lake, scope.exchange)
    found = _Look(scope, book, now, sees_damage=True).all()
    return Counter(stale.series for stale in found)


@dataclass(frozen=True, slots=True)
class _Look:
    scope: Scope
    book: JournalBook
    now: datetime
    sees_damage: bool
    """Whether files are looked at."""

    def all(self) -> Iterator[Stale]:
        # In the order of the line, so that one look finds everything that a correction reaches.
        reach = Reach(self.book)
        for layer in LAYERS:
            for timeframe, recipes in self.scope.recipes.items():
                for recipe in (it for it in recipes if it.layer == layer.name):
                    for pair in self.scope.starts:
                        series = Series(self.scope.exchange, pair, timeframe)
                        yield from self._partitions(series, recipe, reach)
        for timeframe in self.scope.recipes:
            for pair in self.scope.starts:
                series = Series(self.scope.exchange, pair, timeframe)
                for converter in self.scope.converters:
                    yield from self._files(series, converter)

    def _partitions(self, series: Series, recipe: Recipe, reach: Reach) -> Iterator[Stale]:
        for own in self.book.rows(recipe.layer, series):
            if own.period is None or own.feature_set != recipe.feature_set:
                continue
            partition = Partition(recipe.layer, series, own.period, recipe.feature_set)
            state = self._state(partition, recipe, own)
            if state is not None and recipe.layer == "filled" and state != recipe.code_version:
                reach.begin(partition, state)
            elif reach.moved and reach.follow(partition, len(recipe.reads(partition))):
                state = state or "reached by " + ",".join(reach.causes)
            if state is not None:
                yield Stale(series, own.period, f"{own.id}:{state}")

    def _state(self, partition: Partition, recipe: Recipe, own: JournalRow) -> str | None:
        """Return in which state a stale partition is; None when it is not stale."""
        if self.sees_damage and is_damaged(partition, self.book):
            return "damaged"
        if own.code_version != recipe.code_version:
            return recipe.code_version
        months = months_now(partition, recipe, self.book)
        pending = recipe.pending(partition, self.book)
        if self.book.inputs(partition)[: len(months)] == months and pending is None:
            return None
        is_running = partition.period.end > self.now
        if pending is None and is_running and _is_behind(partition, self.book):
            rewrite = newest_rewrite(partition, recipe.reads(partition), self.book)
            return str(rewrite) if rewrite > own.id else None
        try:
            differs = has_moved(self.book.lake, partition, recipe)
        except StorageError:
            # A run names what cannot be read, and the remedy.
            differs = True
        said = [*(it.content_hash for it in months), *([pending.state] if pending else [])]
        return ",".join(said) if differs else None

    def _files(self, series: Series, converter: Converter) -> Iterator[Stale]:
        for status in export_statuses(series, converter, self.book):
            if status.own is None:
                continue
            names = (converter.name, series, status.file.period)
            if self.sees_damage and self.book.is_damaged(*names):
                yield Stale(series, status.period, f"{status.own.id}:damaged")
            elif not status.is_current:
                number, period = self._newest_move(status, status.own)
                if period is not None:
                    yield Stale(series, period, f"{status.own.id}:{number}")

    def _newest_move(self, status: ExportStatus, own: JournalRow) -> tuple[int, Period | None]:
        """Return what last came into the journal since a file was made, but for mere growth."""
        if own.code_version != status.code_version:
            return 0, status.period
        newest: tuple[int, Period | None] = own.id, None
        for row in status.months:
            is_over = row.period is not None and row.period.end <= self.now
            number = row.id if is_over else row.rewrite_id
            newest = (number, row.period) if number > newest[0] else newest
        return newest


def _is_behind(partition: Partition, book: JournalBook) -> bool:
    """Tell whether what a partition is computed from has grown at its end since."""
    # What it reads of its own table is always older, and so is what a backup lent.
    others = [
        noted
        for noted in book.inputs(partition)
        if noted.layer in LAYERS_BY_NAME
        and noted.series.exchange == partition.series.exchange
        and (noted.layer, noted.series) != (partition.layer, partition.series)
    ]
    newest = [(noted.last, book.newest(noted.layer, noted.series)) for noted in others]
    return any(read and now and read < now for read, now in newest)
