"""Compute derived partitions where what they read has changed, and only there.

Holds the frame that every derived layer shares: is it stale, gather, compute, commit, record what
was read. What a layer reads and how it computes stands in its recipe (`recipes.py`). Partitions
are gathered and computed in batches, since each read and each column has a cost that does not
depend on its rows; each is committed by itself, in the order of time.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest

import polars as pl

from data_platform.domain.errors import DamagedFileError, DataPlatformError, WrongUseError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.judge import SERIES_DERIVED, note_completion
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Ingredients, Recipe, is_stale, months_read
from data_platform.operations.report import LayerReport, Outcome, report_of
from data_platform.operations.watch import Progress, StoppedError, Watch
from data_platform.storage.journal import CommitNote, InputRow, JournalRow
from data_platform.storage.prepared import Prepared, prepare

BATCH_ROWS = 200_000
"""Rows that are computed at once, about: four months of 1m. Less pays more often what a batch costs
whatever its rows, more leaves the second core idle while the first batch is computed."""

THREADS = 2
"""That hash and encode what is to be committed next; polars and sha256 need no Python meanwhile."""

PREPARED_ROWS = 2_000
"""Fewer are encoded sooner than handed over."""


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
        own = [replace(wanted, feature_set=recipe.feature_set) for wanted in partitions]
        book = JournalBook(lake, is_thorough=True)
        with ThreadPoolExecutor(THREADS) as encoders, ThreadPoolExecutor(1) as reader:
            work = _Work(lake, recipe, book, watch, report, encoders, reader)
            work.bring_up_to_date(list(_batches(own, recipe)))
    note_completion(lake, SERIES_DERIVED, report)
    return report


def _batches(partitions: Sequence[Partition], recipe: Recipe) -> Iterator[list[Partition]]:
    """Part what is asked for, so that no partition reads what its own batch is to write."""
    # Months of one series stand together where they can: what two of them need is read once.
    for wave in _waves(partitions) if _reads_own(partitions, recipe) else [partitions]:
        batch: list[Partition] = []
        rows = 0
        for partition in wave:
            more = _rows(partition, recipe)
            if batch and rows + more > BATCH_ROWS:
                yield batch
                batch, rows = [], 0
            batch.append(partition)
            rows += more
        if batch:
            yield batch


def _reads_own(partitions: Sequence[Partition], recipe: Recipe) -> bool:
    """Tell whether partitions read earlier months of the layer that they are of."""
    return any((it.layer, it.series) in recipe.reads(it) for it in partitions)


def _waves(partitions: Sequence[Partition]) -> Iterator[list[Partition]]:
    """Part what is asked for into the first month of each series, the second, and so on."""
    months: dict[Series, list[Partition]] = {}
    for partition in partitions:
        months.setdefault(partition.series, []).append(partition)
    for wave in zip_longest(*months.values()):
        yield [partition for partition in wave if partition is not None]


def _rows(partition: Partition, recipe: Recipe) -> int:
    """Return how many rows of the finest table that it reads a partition takes, about."""
    if recipe.is_endless:
        return BATCH_ROWS
    length = partition.period.end - partition.period.start
    return max(length // it.timeframe.duration for _, it in recipe.reads(partition))


@dataclass(frozen=True, slots=True)
class _Stale:
    """A partition that may have to be made anew, and what the journal says of it."""

    partition: Partition
    row: JournalRow | None
    inputs: tuple[InputRow, ...]


@dataclass(frozen=True, slots=True)
class _Made:
    """What a stale partition is to hold, and what it was computed from."""

    ingredients: Ingredients
    content: Callable[[], pl.DataFrame | Prepared]
    is_same: bool
    """Whether it is what is stored, computed from the same rows by the same code."""


_Results = dict[Partition, _Made | DataPlatformError]


@dataclass(frozen=True, slots=True)
class _Work:
    """One recipe's part of a run."""

    lake: Lake
    recipe: Recipe
    book: JournalBook
    """Read in the run's own thread alone, before anything is read that it tells of."""
    watch: Watch
    report: LayerReport
    encoders: ThreadPoolExecutor
    """Prepare what is to be committed, in the order of the commits."""
    reader: ThreadPoolExecutor
    """Gathers and computes the next batch while one is committed."""

    def bring_up_to_date(self, batches: Sequence[Sequence[Partition]]) -> None:
        begun: dict[int, Callable[[], _Results]] = {}
        for number, batch in enumerate(batches):
            results: _Results | None = None
            for partition in batch:
                if self.watch.should_stop():
                    raise StoppedError(
                        f"stopped before {partition}; everything before it is stored."
                    )
                if results is None:
                    results = (begun.pop(number, None) or self._begin(batch))()
                    later = batches[number + 1 : number + 2]
                    if later and not _reads_own(later[0], self.recipe):
                        begun[number + 1] = self._begin(later[0])
                self._report(partition, self._finish(partition, results.pop(partition, None)))

    def _report(self, partition: Partition, outcome: Outcome) -> None:
        row = self.lake.store.journal(partition)
        self.report.partitions.append(report_of(self.lake, partition, row, outcome))
        done = len(self.report.partitions)
        self.watch.report(Progress(partition.series.exchange, 0, 0, done))

    def _begin(self, batch: Sequence[Partition]) -> Callable[[], _Results]:
        """Begin to make the stale partitions of a batch; return what waits for the results."""
        refused: _Results = {}
        stale: list[_Stale] = []
        recipe, book = self.recipe, self.book
        book.read_ahead(batch, recipe.reads, with_ledger=recipe.ledger is not None)
        for partition in batch:
            try:
                _refuse_changed_set(partition, recipe, book)
                if is_stale(partition, recipe, book):
                    # Looked up before the inputs are read: what is committed meanwhile shows
                    # next time.
                    months_read(partition, recipe, book, {})
                    stale.append(_Stale(partition, book.row(partition), book.inputs(partition)))
            except DataPlatformError as error:
                refused[partition] = error
        made = self.reader.submit(self._made, stale)
        return lambda: refused | made.result()

    def _made(self, stale: Sequence[_Stale]) -> _Results:
        if not stale:
            return {}
        try:
            return dict(self._made_together(stale))
        except DataPlatformError as error:
            if len(stale) == 1:
                return {stale[0].partition: error}
            # What one of them cannot be made of is no reason to fail the others.
            half = len(stale) // 2
            return self._made(stale[:half]) | self._made(stale[half:])

    def _made_together(self, stale: Sequence[_Stale]) -> dict[Partition, _Made]:
        gathered = self.recipe.gather(self.lake, [it.partition for it in stale])
        found = gathered.ingredients
        content = {
            it.partition: _stored_of_same(self.lake, it, self.recipe, found[it.partition].inputs)
            for it in stale
        }
        moved = [partition for partition, stored in content.items() if stored is None]
        fresh = dict(zip(moved, gathered.compute(moved), strict=True))
        return {
            partition: _Made(
                found[partition],
                self._prepared(partition, fresh[partition] if stored is None else stored),
                is_same=stored is not None,
            )
            for partition, stored in content.items()
        }

    def _prepared(
        self, partition: Partition, content: pl.DataFrame
    ) -> Callable[[], pl.DataFrame | Prepared]:
        if content.height < PREPARED_ROWS:
            return lambda: content
        return self.encoders.submit(prepare, partition, content).result

    def _finish(self, partition: Partition, made: _Made | DataPlatformError | None) -> Outcome:
        if made is None:
            return "unchanged"
        try:
            if isinstance(made, DataPlatformError):
                raise made
            return "written" if self._commit(partition, made) else "unchanged"
        except DataPlatformError as error:
            self.report.failures[partition] = str(error)
            return "failed"

    def _commit(self, partition: Partition, made: _Made) -> bool:
        months = months_read(partition, self.recipe, self.book, made.ingredients.since)
        result = self.lake.store.commit(
            partition,
            made.content(),
            merge=None,
            audit=lambda frame: (frame, frame.clear()),
            judge=None if made.is_same else made.ingredients.judge,
            note=CommitNote(
                source="derived",
                run_id=self.lake.run_id,
                code_version=self.recipe.code_version,
                inputs=(*months, *made.ingredients.inputs),
            ),
        )
        self.book.forget(partition)
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
    lake: Lake, stale: _Stale, recipe: Recipe, inputs: tuple[InputRow, ...]
) -> pl.DataFrame | None:
    """Return what is stored if it was computed from the same rows by the same code."""
    own, partition = stale.row, stale.partition
    if own is None or own.code_version != recipe.code_version:
        return None
    if stale.inputs[len(recipe.reads(partition)) :] != inputs:
        return None
    try:
        stored = lake.store.read(partition)
    except DamagedFileError:
        return None
    return stored.frame if stored and stored.version == own.file_sha256 else None
