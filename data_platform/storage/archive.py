"""Move whole months out of the lake's tables into its archive, and back: the same bytes elsewhere.

Holds the move of one partition; which ones go is decided by `operations/retention.py`. The order is
that of a commit: the file in its new place, durably, then one journal row that tells of it, then
the old file goes. A crash between two steps leaves the file twice, never not at all; the next move
of the partition finishes it, and so does `finish_move`, which keeps the one that the journal tells
of.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from data_platform.domain.layers import Partition
from data_platform.storage import parquet_file
from data_platform.storage.atomic import FileState, publish_bytes, remove_file
from data_platform.storage.journal import CommitNote, Entry, JournalRow, append_row, partition_key
from data_platform.storage.locks import exclusive_lock
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.reading import read_bytes
from data_platform.storage.stored_files import StoredFiles

ARCHIVED, BROUGHT_BACK = "archived", "brought back"
"""Reasons of journal rows; content and what it was computed from are those of the row before."""


def archive(store: PartitionStore, partition: Partition, run_id: str = "") -> bool:
    """Move a partition's file into the archive.

    Args:
        store: of the lake.
        partition: a month that is over.
        run_id: who moves, for the journal.

    Returns:
        Whether there was a file to move.

    Raises:
        DamagedFileError: the file is not what the journal tells of.
        StorageError: the disk or the database refuses; the partition can be read as before.
    """
    places = store.layout.partition(partition), store.layout.archived(partition)
    return _move(store, partition, places, CommitNote(ARCHIVED, run_id=run_id))


def bring_back(store: PartitionStore, partition: Partition, run_id: str = "") -> bool:
    """Move a partition's file from the archive back among the tables; as `archive`."""
    places = store.layout.archived(partition), store.layout.partition(partition)
    return _move(store, partition, places, CommitNote(BROUGHT_BACK, run_id=run_id))


def finish_move(store: PartitionStore, partition: Partition) -> bool:
    """Remove the copy that an interrupted move of a partition has left, either way.

    Returns:
        Whether there was one: the same bytes as the file that the journal tells of, which is whole.

    Raises:
        StorageError: it cannot be removed.
    """
    with exclusive_lock(store.layout.lock(partition)):
        row = store.journal(partition)
        if row is None or row.path is None:
            return False
        places = [store.layout.partition(partition), store.layout.archived(partition)]
        if not all(_sha256(place) == row.file_sha256 for place in places):
            return False
        places.remove(store.root / row.path)
        _remove(places[0])
    return True


def find_size(store: PartitionStore, partition: Partition) -> int | None:
    """Return the bytes of a partition's file among the tables, or None when none is there."""
    try:
        return store.layout.partition(partition).stat().st_size
    except OSError:
        return None


def _move(
    store: PartitionStore, partition: Partition, places: tuple[Path, Path], note: CommitNote
) -> bool:
    source, target = places
    with exclusive_lock(store.layout.lock(partition)):
        content, row = read_bytes(source), store.journal(partition)
        if content is None or row is None:
            return False
        if hashlib.sha256(content).hexdigest() != row.file_sha256:
            fault = "its bytes are not those that the journal tells of"
            raise parquet_file.damaged(partition, str(source), fault)
        file = publish_bytes(content, target)
        if row.path != store.layout.relative(target):
            _note(store, partition, row, note, {store.layout.relative(target): file})
        _remove(source)
    return True


def _remove(path: Path) -> None:
    remove_file(path)
    with suppress(OSError):
        path.parent.rmdir()


def _sha256(path: Path) -> str | None:
    content = read_bytes(path)
    return None if content is None else hashlib.sha256(content).hexdigest()


def _note(
    store: PartitionStore,
    partition: Partition,
    row: JournalRow,
    note: CommitNote,
    written: dict[str, FileState],
) -> None:
    key = partition_key(partition)
    entry = Entry(
        rows=row.rows,
        first=row.first,
        last=row.last,
        content_hash=row.content_hash,
        file_sha256=row.file_sha256,
        path=next(iter(written)),
        reason=note.reason or "",
        schema_version=row.schema_version,
    )
    told = CommitNote(
        reason=note.reason,
        source=row.source,
        run_id=note.run_id,
        code_version=row.code_version,
        fetched_at=row.fetched_at,
        inputs=store.inputs(partition),
    )
    with store.state.write() as connection:
        append_row(connection, key, row, entry, told)
        StoredFiles(store.root, store.state).record(connection, key, written)
