"""The only door to the files of the lake: read, commit, publish.

Holds the write protocol. What is promised: one partition changes atomically; a reader sees the old
or the new; each candle is stored once; partitions are independent of one another. An object store
must fit behind the same names later, so no other room builds a path, takes a lock or looks at a
file's time.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from data_platform.domain.candles import TimeRange, content_hash
from data_platform.domain.errors import ConflictError, StorageError
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.storage import footer, parquet_file
from data_platform.storage.atomic import FileState, publish_bytes, remove_file
from data_platform.storage.change import (
    Audit,
    Change,
    CommitResult,
    Export,
    Judge,
    Judgement,
    Merge,
    drop_outdated,
)
from data_platform.storage.current import Current
from data_platform.storage.exports import publish_export
from data_platform.storage.history import HistoryReader, fetched_later
from data_platform.storage.journal import (
    ABSENT,
    CommitNote,
    Entry,
    JournalRow,
    append_row,
    partition_key,
)
from data_platform.storage.ledger import Ledger
from data_platform.storage.locks import exclusive_lock
from data_platform.storage.prepared import Prepared, to_prepared
from data_platform.storage.quarantine import keep_refused
from data_platform.storage.stored_files import StoredFiles
from data_platform.storage.verdicts import Verdicts

_log = logging.getLogger(__name__)


class PartitionStore(HistoryReader):
    """The store of one lake."""

    def commit(  # noqa: PLR0913  # what varies between layers, all by name
        self,
        partition: Partition,
        frame: pl.DataFrame | Prepared,
        *,
        merge: Merge | None,
        audit: Audit,
        note: CommitNote,
        judge: Judge | None = None,
        expected: str | None = None,
    ) -> CommitResult:
        """Put rows into a partition, atomically and durably, and note it in the journal.

        The same content again writes neither file nor journal row (a row, if it was computed from
        other inputs or by another code version), but is judged again.

        Args:
            partition: where to.
            frame: new rows of any quality; or all of the partition's, prepared.
            merge: makes the partition's rows of the stored and the new ones; None: the new rows
                are the whole partition, and a stored file that is not what was written gives way.
            audit: parts the new rows into those that may be stored and those refused.
            note: what the journal should say.
            judge: makes what the ledger and the verdicts should say of the rows.
            expected: the version that must still be stored, or `ABSENT`; None: any.

        Raises:
            ConflictError: another version than the expected one is stored.
            DamagedFileError: the stored file is torn, changed or not ours, and is to be merged.
            StorageError: the rows break the partition's order, or the disk or database refuses;
                what was stored is as it was.
        """
        order = _Order(to_prepared(partition, frame), merge, audit, note, judge)
        with exclusive_lock(self.layout.lock(partition)):
            current = self._current(partition, is_replaced=merge is None)
            if expected is not None and expected != current.version:
                raise ConflictError(f"{partition} changed since it was read: read and merge again.")
            return self._carry_out(partition, current, order)

    def publish(self, export: Export, note: CommitNote) -> CommitResult:
        """Put a file for another program in place and note it in the journal.

        Nothing is written when the newest journal row tells of the same candles and code version
        and the file is what was written then.

        Args:
            export: the file, and the candles it is made from.
            note: what the journal should say.

        Raises:
            StorageError: the disk or the database refuses; the old file is as it was.
        """
        return publish_export(self.layout, self.state, export, note)

    def _carry_out(self, partition: Partition, current: Current, order: "_Order") -> CommitResult:
        good, refused = order.audit(order.given.frame)
        fresh, outdated = self._drop_outdated(partition, current, good, order.note)
        merged = order.merge(current.frame, fresh) if order.merge else fresh
        _refuse_faults(partition, merged)
        keep_refused(self.layout, partition, refused)
        judgement = order.judge(merged) if order.judge else Judgement()
        # What an audit or a merge has changed is not what was prepared.
        rows = order.given if merged is order.given.frame else Prepared(partition, merged)
        update = _update(current, rows, judgement)
        if update.differs or not current.is_sound:
            update = replace(update, file=self._replace_file(partition, current, update))
        entry = self._entry(partition, current, update, order.note)
        entry = replace(entry, fetched=_edges(good), refused=refused.height)
        row = self._note(partition, current, update, entry, order)
        written = (entry.file_sha256 or ABSENT) != current.version
        result = _result(partition, entry, self.root, outdated=outdated, written=written)
        return replace(result, version=row.version) if row else result

    def _drop_outdated(
        self, partition: Partition, current: Current, good: pl.DataFrame, note: CommitNote
    ) -> tuple[pl.DataFrame, int]:
        # A derived partition is computed whole, and the inputs it notes tell when it is stale.
        derived = LAYERS_BY_NAME[partition.layer].reads
        if derived or note.fetched_at is None or current.frame is None or good.is_empty():
            return good, 0
        with self.state.read() as connection:
            later = fetched_later(connection, partition_key(partition), note.fetched_at)
        kept, outdated = drop_outdated(current.frame, good, later)
        if outdated:
            told = "%s: %d candles fetched at %s lost to a later fetch."
            _log.warning(told, partition, outdated, note.fetched_at)
        return kept, outdated

    def _replace_file(
        self, partition: Partition, current: Current, update: "_Update"
    ) -> FileState | None:
        if update.change.rewrites:
            kept = self.layout.history(partition, current.version)
            publish_bytes(current.content, kept, current.version)
        if not update.rows.frame.is_empty():
            content, sha256 = update.rows.file
            return publish_bytes(content, self.layout.partition(partition), sha256)
        if current.version != ABSENT:
            remove_file(self.root / current.place)
        return None

    def _entry(
        self, partition: Partition, current: Current, update: "_Update", note: CommitNote
    ) -> Entry:
        first, last = _edges(update.rows.frame) or (None, None)
        is_written = update.differs or not current.is_sound
        path = self.layout.relative(self.layout.partition(partition))
        return Entry(
            rows=update.rows.frame.height,
            first=first,
            last=last,
            content_hash=update.rows.content_hash,
            file_sha256=update.file.sha256 if update.file else None,
            path=(path if is_written else current.place) if update.file else None,
            replaced=self._replaced(partition, current, update),
            reason=note.reason or _reason(current, update),
            schema_version=footer.SCHEMA_VERSION,
            added=update.change.added,
            changed=update.change.changed,
        )

    def _replaced(self, partition: Partition, current: Current, update: "_Update") -> str | None:
        # A writer that died before the journal has kept the file that the newest row tells of.
        noted = current.row.file_sha256 if current.row and not current.journalled else None
        if noted and self.layout.history(partition, noted).exists():
            return noted
        return current.version if update.change.rewrites else None

    def _note(
        self,
        partition: Partition,
        current: Current,
        update: "_Update",
        entry: Entry,
        order: "_Order",
    ) -> JournalRow | None:
        judgement, row = update.judgement, None
        due = self._row_due(partition, current, entry, order.note)
        if not due and judgement.gaps is None and not judgement.verdicts:
            return None
        period, series = partition.period, partition.series
        key = partition_key(partition)
        with self.state.write() as connection:
            if due:
                row = append_row(connection, key, current.row, entry, order.note)
            if update.differs or not current.journalled:
                written = {entry.path: update.file} if entry.path and update.file else {}
                StoredFiles(self.root, self.state).record(connection, key, written)
            if judgement.gaps is not None:
                covers = judgement.covers or TimeRange(period.start, period.end)
                Ledger(self.state).record(
                    connection, series, covers.start, covers.end, judgement.gaps
                )
            Verdicts(self.state).record(connection, partition, judgement.verdicts)
        return row

    def _row_due(
        self, partition: Partition, current: Current, entry: Entry, note: CommitNote
    ) -> bool:
        row = current.row
        if row is None or not current.journalled or row.file_sha256 != entry.file_sha256:
            return True
        # The content may stay while what it was computed from moves: without a row that says so,
        # the partition would look stale for ever.
        return row.code_version != note.code_version or (
            bool(note.inputs) and self.inputs(partition) != note.inputs
        )


@dataclass(frozen=True, slots=True)
class _Order:
    given: Prepared
    merge: Merge | None
    audit: Audit
    note: CommitNote
    judge: Judge | None


@dataclass(frozen=True, slots=True)
class _Update:
    rows: Prepared
    differs: bool
    change: Change
    judgement: Judgement
    file: FileState | None
    """As it lies there afterwards."""


def _update(current: Current, rows: Prepared, judgement: Judgement) -> _Update:
    asked = rows.frame, rows.content_hash
    differs, change = current.differs(*asked), current.change_to(*asked)
    file = FileState(len(current.content), current.version, "") if current.content else None
    return _Update(rows, differs, change, judgement, file)


def _reason(current: Current, update: _Update) -> str:
    if current.row is None:
        return "new"
    if not current.is_sound:
        if current.version != ABSENT or current.row.rows:
            return "correction" if _is_other(current.row, update) else "repair"
        return "recomputed" if update.rows.frame.is_empty() else "new"
    if update.differs:
        return update.change.reason
    return "recomputed" if current.journalled else "adopted"


def _is_other(row: JournalRow, update: _Update) -> bool:
    """Tell whether rows that replace lost ones reach as far and are not the same."""
    if row.last is None:
        return False
    reach = update.rows.frame.filter(pl.col("open_time") <= row.last)
    return _edges(reach) == (row.first, row.last) and content_hash(reach) != row.content_hash


def _refuse_faults(partition: Partition, merged: pl.DataFrame) -> None:
    fault = parquet_file.schema_fault(partition.layer, merged.schema) or parquet_file.row_fault(
        partition, merged["open_time"]
    )
    if fault:
        raise StorageError(f"{partition} was not written: {fault}. What was stored is unchanged.")


def _edges(frame: pl.DataFrame) -> tuple[datetime, datetime] | None:
    if frame.is_empty():
        return None
    times = frame["open_time"]
    return parquet_file.edges(times if times.is_sorted() else times.sort())


def _result(
    partition: Partition, entry: Entry, root: Path, *, outdated: int, written: bool
) -> CommitResult:
    return CommitResult(
        partition=partition,
        rows=entry.rows,
        first=entry.first,
        last=entry.last,
        content_hash=entry.content_hash,
        written=written,
        added=entry.added,
        changed=entry.changed,
        refused=entry.refused,
        path=root / entry.path if entry.path else None,
        outdated=outdated,
    )
