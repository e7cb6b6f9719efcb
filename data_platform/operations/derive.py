"""Compute derived partitions where what they read has changed, and only there.

Holds the frame that every derived layer shares: is it stale, gather, compute, commit, record what
was read. What a layer reads and how it computes stands in its recipe (`recipes.py`).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import polars as pl

from data_platform.domain.candles import TimeRange, replace_rows
from data_platform.domain.errors import DataPlatformError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.operations.judge import SERIES_DERIVED, note_completion
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, Outcome, PartitionReport, report_of
from data_platform.operations.watch import Progress, StoppedError, Watch
from data_platform.storage.change import Judgement
from data_platform.storage.journal import CommitNote, InputRow, JournalRow

LEDGER = "ledger"
"""Names, among a partition's inputs, what was known about missing candles."""

Read = tuple[str, Series]
"""A layer and a series that a partition is computed from."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What one partition is computed from, as read just now."""

    inputs: tuple[InputRow, ...]
    """The rows read, by hash; equal inputs and code make equal content."""
    compute: Callable[[], pl.DataFrame]
    """Return the partition's content."""
    judge: Callable[[pl.DataFrame], Judgement] | None = None
    """Return what to note about that content, of layers that have gaps and rules."""


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


@dataclass(slots=True)
class JournalBook:
    """The newest journal rows of whole series, read once each."""

    lake: Lake
    _rows: dict[Read, dict[Period, JournalRow]] = field(default_factory=dict)

    def rows(self, read: Read) -> dict[Period, JournalRow]:
        """Return a layer's journal rows of a series by month."""
        if read not in self._rows:
            layer, series = read
            found = self.lake.store.journal_rows(
                layer, series.exchange, series.timeframe, series.pair
            )
            self._rows[read] = {row.period: row for row in found if row.period}
        return self._rows[read]


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
        book = JournalBook(lake)
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
    """Tell, by the journal alone, whether a partition may differ from what it would be now.

    True when it was never computed, was computed by other code, or when one of its inputs was
    committed after it had been read. A false alarm costs reading the inputs, no more.
    """
    own = book.rows((partition.layer, partition.series)).get(partition.period)
    if own is None or own.code_version != recipe.code_version or own.fetched_at is None:
        return True
    for read in recipe.reads(partition):
        for period, row in book.rows(read).items():
            in_reach = period <= partition.period or _reaches_on(own, partition)
            # Ids tell the order of commits whatever the clock did; times tell of one that came
            # between the reading and the commit.
            later = row.id > own.id or row.committed_at >= own.fetched_at
            if in_reach and later and row.id != own.id:
                return True
    noted = (it for it in book.lake.store.inputs(partition) if it.layer == LEDGER)
    return any(it != _ledger_now(book.lake, it) for it in noted)


def ledger_input(lake: Lake, series: Series, known: TimeRange) -> InputRow:
    """Return, as an input, what the ledger says of the times of a range."""
    parts = [
        (max(gap.start, known.start).isoformat(), min(gap.end, known.end).isoformat(), gap.status)
        for gap in lake.ledger.gaps(series, known.start, known.end)
    ]
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    return InputRow(LEDGER, series, known.start, known.end, digest)


def _ledger_now(lake: Lake, noted: InputRow) -> InputRow:
    if noted.first is None or noted.last is None:
        return noted
    return ledger_input(lake, noted.series, TimeRange(noted.first, noted.last))


def _reaches_on(own: JournalRow, partition: Partition) -> bool:
    # A hole at the end of a month is filled once the series goes on in a later one.
    last_open = partition.period.end - partition.series.timeframe.duration
    return own.last is None or own.last < last_open


def _derive(lake: Lake, partition: Partition, recipe: Recipe, book: JournalBook) -> bool:
    if not is_stale(partition, recipe, book):
        return False
    started = datetime.now(tz=UTC)
    ingredients = recipe.gather(lake, partition)
    own = lake.store.journal(partition)
    same_code = own is not None and own.code_version == recipe.code_version
    if same_code and lake.store.inputs(partition) == ingredients.inputs:
        return False
    result = lake.store.commit(
        partition,
        ingredients.compute(),
        merge=replace_rows,
        audit=lambda frame: (frame, frame.clear()),
        judge=ingredients.judge,
        note=CommitNote(
            source="derived",
            run_id=lake.run_id,
            code_version=recipe.code_version,
            fetched_at=started,
            inputs=ingredients.inputs,
        ),
    )
    return result.written


def stale_partitions(
    partitions: Iterable[Partition], recipe: Recipe, lake: Lake
) -> list[Partition]:
    """Return those of the partitions that may be stale, by the journal alone."""
    book = JournalBook(lake)
    return [partition for partition in partitions if is_stale(partition, recipe, book)]
