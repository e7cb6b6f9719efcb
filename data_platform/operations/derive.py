"""Compute derived partitions where what they read has changed, and only there.

Holds the frame that every derived layer shares: is it stale, gather, compute, commit, record what
was read. What a layer reads and how it computes stands in its recipe (`recipes.py`).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from data_platform.domain.errors import DamagedFileError, DataPlatformError, WrongUseError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.operations.journal_book import QUIET, JournalBook, Read
from data_platform.operations.judge import SERIES_DERIVED, note_completion
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, Outcome, PartitionReport, report_of
from data_platform.operations.watch import Progress, StoppedError, Watch
from data_platform.storage.change import Judgement
from data_platform.storage.journal import CommitNote, InputRow


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What one partition is computed from, as read just now."""

    inputs: tuple[InputRow, ...]
    """The rows read, by hash; equal inputs and code make equal content."""
    compute: Callable[[], pl.DataFrame]
    """Return the partition's content."""
    judge: Callable[[pl.DataFrame], Judgement] | None = None
    """Return what to note about that content, of layers that have gaps and rules."""
    since: Mapping[Read, datetime] = field(default_factory=dict)
    """From when on each read matters; of one that is not in it, everything that is older."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one derived layer of one exchange and timeframe is made."""

    layer: str
    code_version: str
    """Set by hand, plus the hash of the parameters."""
    reads: Callable[[Partition], tuple[Read, ...]]
    """Return the layers and series that a partition reads, from their first row to its end."""
    gather: Callable[[Lake, Partition], Ingredients]
    feature_set: str | None = None
    """`<name>-v<version>` in the layer features, else None."""
    ledger: str | None = None
    """`LEDGER` or `QUIET`, where it is computed from what the ledger says of its candles, too."""


def derive_layer(
    lake: Lake, partitions: Sequence[Partition], recipes: Sequence[Recipe], watch: Watch
) -> LayerReport:
    """Bring derived partitions up to date with what they read.

    Args:
        lake: where candles lie.
        partitions: of one layer, exchange and timeframe, in order of time within a series.
        recipes: how the layer is made; several where it holds several feature sets.
        watch: hears of progress, may ask to stop after the current commit.

    Returns:
        One report per partition and recipe. What fails is named in `failures`, the others go on.

    Raises:
        StoppedError: the watch asked for it; all commits so far stand.
    """
    report = LayerReport()
    for recipe in recipes:
        book = JournalBook(lake, is_thorough=True)
        for wanted in partitions:
            partition = replace(wanted, feature_set=recipe.feature_set)
            if watch.should_stop():
                raise StoppedError(f"stopped before {partition}; everything before it is stored.")
            report.partitions.append(_attempt(lake, partition, recipe, book, report.failures))
            watch.report(Progress(partition.series.exchange, 0, 0, len(report.partitions)))
    note_completion(lake, SERIES_DERIVED, report)
    return report


def _attempt(
    lake: Lake,
    partition: Partition,
    recipe: Recipe,
    book: JournalBook,
    failures: dict[Partition, str],
) -> PartitionReport:
    outcome: Outcome = "failed"
    try:
        outcome = "written" if _derive(lake, partition, recipe, book) else "unchanged"
    except DataPlatformError as error:
        failures[partition] = str(error)
    return report_of(lake, partition, lake.store.journal(partition), outcome)


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
    computed from has other content than when it was read. No clock is asked, since clocks may go
    backwards. A false alarm costs reading the inputs once.
    """
    own = book.row(partition)
    if own is None or own.code_version != recipe.code_version:
        return True
    months = months_now(partition, recipe, book)
    return book.inputs(partition)[: len(months)] != months


def months_now(partition: Partition, recipe: Recipe, book: JournalBook) -> tuple[InputRow, ...]:
    """Return what the months hold now that a partition was computed from, as it noted them."""
    noted = zip(recipe.reads(partition), book.inputs(partition), strict=False)
    return _months_read(partition, recipe, book, {read: row.first for read, row in noted})


def has_moved(lake: Lake, partition: Partition, recipe: Recipe) -> bool:
    """Tell whether the very rows that a partition was computed from have changed.

    Raises:
        StorageError: they cannot be read.
    """
    noted = lake.store.inputs(partition)[len(recipe.reads(partition)) :]
    return noted != recipe.gather(lake, partition).inputs


def _months_read(
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


def _derive(lake: Lake, partition: Partition, recipe: Recipe, book: JournalBook) -> bool:
    _refuse_changed_set(partition, recipe, book)
    if not is_stale(partition, recipe, book):
        return False
    # Looked up before the inputs are read: what is committed meanwhile shows next time.
    _months_read(partition, recipe, book, {})
    ingredients = recipe.gather(lake, partition)
    months = _months_read(partition, recipe, book, ingredients.since)
    same = _stored_of_same(partition, recipe, ingredients.inputs, book)
    result = lake.store.commit(
        partition,
        ingredients.compute() if same is None else same,
        merge=None,
        audit=lambda frame: (frame, frame.clear()),
        judge=ingredients.judge if same is None else None,
        note=CommitNote(
            source="derived",
            run_id=lake.run_id,
            code_version=recipe.code_version,
            inputs=(*months, *ingredients.inputs),
        ),
    )
    book.forget(partition)
    return result.written


def _refuse_changed_set(partition: Partition, recipe: Recipe, book: JournalBook) -> None:
    """Refuse to put other features under the name and version of stored ones."""
    if recipe.feature_set is None:
        return
    program = recipe.code_version.partition("-")[0]
    for row in book.rows(partition.layer, partition.series):
        is_set = row.feature_set == recipe.feature_set and row.rows
        is_other = row.code_version not in (None, recipe.code_version)
        if is_set and is_other and str(row.code_version).partition("-")[0] == program:
            raise WrongUseError(
                f"{partition}: {recipe.feature_set} is stored with other parameters (version "
                f"{row.code_version}, now {recipe.code_version}). A set never changes its meaning: "
                "raise `version` in its file, so that both stay readable, or restore the file."
            )


def _stored_of_same(
    partition: Partition, recipe: Recipe, inputs: tuple[InputRow, ...], book: JournalBook
) -> pl.DataFrame | None:
    """Return what is stored if it was computed from the same rows by the same code."""
    own = book.row(partition)
    if own is None or own.code_version != recipe.code_version:
        return None
    if book.inputs(partition)[len(recipe.reads(partition)) :] != inputs:
        return None
    try:
        stored = book.lake.store.read(partition)
    except DamagedFileError:
        return None
    return stored.frame if stored and stored.version == own.file_sha256 else None
