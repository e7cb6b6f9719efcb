"""Tables of other exchanges that features read, as they will be once they are made again.

A run never spans two exchanges, so when a candle of one is corrected, what rests on it on another
would wait until the first has followed. It need not: what is to be made again there is computed
meanwhile by the same recipes, and not stored. What was never computed there is absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_platform.domain.layers import Partition
from data_platform.domain.periods import periods_between
from data_platform.operations.computed_store import Lines, computed_lake, recipe_of
from data_platform.operations.journal_book import JournalBook, Read
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Pending, Recipe, may_have_moved, newest_rewrite

_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The layers below features of the exchanges that a feature set names."""

    lines: Lines

    def pending(
        self, partition: Partition, reads: Sequence[Read], book: JournalBook
    ) -> Pending | None:
        """Return what is to be made again of other exchanges before a partition; None: nothing.

        Growth of a series' newest month does not count: as everywhere, it waits for its refresh.

        Args:
            partition: of features.
            reads: what it is computed from, in the order of its inputs.
            book: the journal of whole series.
        """
        noted = [row.first for row in book.inputs(partition)[: len(reads)]]
        firsts = noted or [partition.period.start - _MOMENT] * len(reads)
        stale = [
            found
            for read, first in zip(reads, firsts, strict=False)
            if self._is_other(read, partition)
            for found in self._stale(read, first, partition, book)
        ]
        if not stale:
            return None
        return Pending(min(start for start, _ in stale), str(max(number for _, number in stale)))

    def seen_from(self, lake: Lake, reads: Mapping[Partition, Sequence[Read]]) -> Lake:
        """Return a lake in which nothing that partitions read of other exchanges is pending."""
        others = [
            partition
            for partition, own in reads.items()
            if any(self._is_other(read, partition) for read in own)
        ]
        if not others:
            return lake
        book = JournalBook(lake)
        pending = [found for it in others if (found := self.pending(it, reads[it], book))]
        if not pending:
            return lake
        return computed_lake(lake, self.lines, min(it.since for it in pending))

    def _is_other(self, read: Read, partition: Partition) -> bool:
        exchange = read[1].exchange
        return exchange != partition.series.exchange and exchange in self.lines

    def _stale(
        self, read: Read, first: datetime | None, partition: Partition, book: JournalBook
    ) -> Iterator[tuple[datetime, int]]:
        """Yield the start of each month of a table, or below it, that is stale, and why."""
        layer, series = read
        recipe = recipe_of(self.lines, layer, series)
        if recipe is None:
            return
        start = first or min((it.start for it in book.months(*read)), default=None)
        for month in periods_between(start, partition.period.end) if start else ():
            own = Partition(layer, series, month)
            if book.row(own) is None:
                continue
            number = _moved(own, recipe, book)
            if number is not None:
                yield month.start, number
            inputs = zip(recipe.reads(own), book.inputs(own), strict=False)
            for below, noted in inputs:
                if below != read:
                    yield from self._stale(below, noted.first, own, book)


def _moved(partition: Partition, recipe: Recipe, book: JournalBook) -> int | None:
    """Return by which journal row a stale partition has come to be stale; None: it is not."""
    own = book.row(partition)
    if own is None or not may_have_moved(partition, recipe, book):
        return None
    rewrite = newest_rewrite(partition, recipe.reads(partition), book)
    newest = max(
        (it.start for read in recipe.reads(partition) for it in book.months(*read)),
        default=partition.period.start,
    )
    has_only_grown = partition.period.start >= newest and rewrite < own.id
    return None if has_only_grown and own.code_version == recipe.code_version else rewrite
