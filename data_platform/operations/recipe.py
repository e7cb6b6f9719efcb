"""What a derived layer is made of, and whether a partition would be made otherwise now.

Judges by journal and ledger; how stale partitions are made stands in `derive.py`, what each layer
reads and how it computes in `recipes.py`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import polars as pl

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.operations.journal_book import QUIET, JournalBook, Read
from data_platform.operations.lake import Lake
from data_platform.storage.change import Judgement
from data_platform.storage.journal import InputRow


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What one partition is computed from, as read just now."""

    inputs: tuple[InputRow, ...]
    """The rows read, by hash; equal inputs and code make equal content."""
    judge: Callable[[pl.DataFrame], Judgement] | None = None
    """Return what to note about that content, of layers that have gaps and rules."""
    since: Mapping[Read, datetime] = field(default_factory=dict)
    """From when on each read matters; of one that is not in it, everything that is older."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What some partitions of a layer are computed from, as read just now."""

    ingredients: Mapping[Partition, Ingredients]
    compute: Callable[[Sequence[Partition]], list[pl.DataFrame]]
    """Return the content of some of them, in their order: the same bits, whoever else is asked
    for."""


Gather = Callable[[Lake, Sequence[Partition]], Gathered]
"""Reads what partitions are computed from; fails as a whole where that of one cannot be read."""


M = TypeVar("M")


def gathered(
    found: Mapping[Partition, tuple[Ingredients, M]],
    compute: Callable[[Sequence[M]], list[pl.DataFrame]],
) -> Gathered:
    """Return what some partitions are computed from.

    Args:
        found: of each, its ingredients and what `compute` takes.
        compute: returns the content of some of them, in their order.
    """
    return Gathered(
        {partition: ingredients for partition, (ingredients, _) in found.items()},
        lambda wanted: compute([found[partition][1] for partition in wanted]),
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """Tables of other exchanges that a partition rests on and that are to be made again."""

    since: datetime
    """Start of the first month of which any is."""
    state: str
    """Another one as soon as more of them is."""


def _nothing_pending(partition: Partition, book: JournalBook) -> Pending | None:  # noqa: ARG001
    return None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one derived layer of one exchange and timeframe is made."""

    layer: str
    code_version: str
    """Set by hand, plus the hash of the parameters."""
    reads: Callable[[Partition], tuple[Read, ...]]
    """Return the layers and series that a partition reads, from their first row to its end."""
    gather: Gather
    feature_set: str | None = None
    """`<name>-v<version>` in the layer features, else None."""
    ledger: str | None = None
    """`LEDGER` or `QUIET`, where it is computed from what the ledger says of its candles, too."""
    is_endless: bool = False
    """Whether a month may need all rows before it, however many there are."""
    pending: Callable[[Partition, JournalBook], Pending | None] = _nothing_pending
    """Tells what of other exchanges is to be made again first; it is computed meanwhile."""

    def make(self, lake: Lake, partition: Partition) -> pl.DataFrame:
        """Return what one partition would hold now."""
        (made,) = self.gather(lake, [partition]).compute([partition])
        return made


def is_stale(partition: Partition, recipe: Recipe, book: JournalBook) -> bool:
    """Tell whether a partition may differ from what it would be now, without computing it.

    True when its file is not what was written, or when `may_have_moved` says so.
    """
    return may_have_moved(partition, recipe, book) or is_damaged(partition, book)


def is_damaged(partition: Partition, book: JournalBook) -> bool:
    """Tell whether the file of a partition is not what was written, or there is one too many."""
    own = book.row(partition)
    if own is not None and own.path is None and book.lake.files.is_in_the_way(partition):
        return True
    names = (partition.layer, partition.series, partition.period, partition.feature_set)
    return book.is_damaged(*names)


def may_have_moved(partition: Partition, recipe: Recipe, book: JournalBook) -> bool:
    """Tell, by journal and ledger alone, whether a partition would be computed otherwise now.

    True when it was never computed, was computed by other code, or when a month that it was
    computed from has other content than when it was read, or will have. No clock is asked, since
    clocks may go backwards. A false alarm costs reading the inputs once.
    """
    own = book.row(partition)
    if own is None or own.code_version != recipe.code_version:
        return True
    months = months_now(partition, recipe, book)
    if book.inputs(partition)[: len(months)] != months:
        return True
    return recipe.pending(partition, book) is not None


def months_now(partition: Partition, recipe: Recipe, book: JournalBook) -> tuple[InputRow, ...]:
    """Return what the months hold now that a partition was computed from, as it noted them."""
    noted = zip(recipe.reads(partition), book.inputs(partition), strict=False)
    return months_read(partition, recipe, book, {read: row.first for read, row in noted})


def has_moved(lake: Lake, partition: Partition, recipe: Recipe) -> bool:
    """Tell whether the very rows that a partition was computed from have changed.

    Raises:
        StorageError: they cannot be read.
    """
    noted = lake.store.inputs(partition)[len(recipe.reads(partition)) :]
    found = recipe.gather(lake, [partition]).ingredients[partition]
    return noted != found.inputs


def months_read(
    partition: Partition,
    recipe: Recipe,
    book: JournalBook,
    since: Mapping[Read, datetime | None],
) -> tuple[InputRow, ...]:
    """Return, as inputs, the content of every month that a partition is computed from."""
    found = []
    for read in recipe.reads(partition):
        layer, series = read
        parts = _months_of(read, partition, book, since.get(read))
        if recipe.ledger and layer == "ohlcv" and not _is_backup(series, partition):
            parts += _ledger_of(series, partition, book, since.get(read), recipe.ledger)
        digest = hashlib.sha256(",".join(parts).encode()).hexdigest()
        found.append(InputRow(f"months of {layer}", series, since.get(read), None, digest))
    return tuple(found)


def _months_of(
    read: Read, partition: Partition, book: JournalBook, since: datetime | None
) -> list[str]:
    layer, series = read
    months = book.months(layer, series)
    is_own = read == (partition.layer, partition.series)
    end = partition.period.start if is_own else partition.period.end
    start = period_of(since).start if since else None
    reach = [it for it in months if it.start < end and (start is None or it.start >= start)]
    parts = [month.content for month in reach]
    if not is_own and not _is_backup(series, partition):
        # A hole at the end of a month is filled once the series goes on in a later one.
        last = reach[-1].last if reach else None
        ends_open = last is None or last < end - series.timeframe.duration
        goes_on = bool(months) and months[-1].start >= end
        parts.append(str(ends_open and goes_on))
    return parts


def _is_backup(series: Series, partition: Partition) -> bool:
    """Tell whether a series is another exchange's: its edges and gaps are none of this one's."""
    return series.exchange != partition.series.exchange


def _ledger_of(
    series: Series, partition: Partition, book: JournalBook, since: datetime | None, name: str
) -> list[str]:
    first = period_of(since) if since else None
    counts = {
        period: changes.quiet if name == QUIET else changes.all
        for period, changes in book.ledger(series).items()
        if period <= partition.period and (first is None or period >= first)
    }
    return [f"{period}#{count}" for period, count in sorted(counts.items()) if count]


def newest_rewrite(partition: Partition, reads: Sequence[Read], book: JournalBook) -> int:
    """Return the newest journal row by which rows changed that a partition was computed from."""
    found = [0]
    for (layer, series), noted in zip(reads, book.inputs(partition), strict=False):
        since = period_of(noted.first) if noted.first else None
        found += [
            row.rewrite_id
            for row in book.rows(layer, series)
            if row.period and (since or row.period) <= row.period <= partition.period
        ]
    return max(found)
