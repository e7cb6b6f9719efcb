"""Mend what can be mended without asking anybody: adopt, restore, set aside, begin a new journal.

Holds what is done to files and journal; what is to be done is decided by `operations/doctor.py`.
Nothing here deletes a candle: a damaged file is moved below `damaged/`, never removed.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from data_platform.domain.errors import DataPlatformError, StorageError
from data_platform.domain.layers import LAYERS, LAYERS_BY_NAME, Partition
from data_platform.storage import parquet_file
from data_platform.storage.archive import finish_move
from data_platform.storage.atomic import flush_folder, make_folder, publish_bytes, remove_file
from data_platform.storage.inventory import to_partition
from data_platform.storage.journal import CommitNote, newest_row, partition_key
from data_platform.storage.layout import ARCHIVE, CANDLES_FILE, Layout, read_place
from data_platform.storage.locks import exclusive_lock
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.reading import read_bytes
from data_platform.storage.stored_files import StoredFiles

ADOPTED, REBUILT = "adopted", "rebuilt"
"""Reasons of journal rows: for a whole file that the journal did not tell of, alone or with all."""


def adopt(store: PartitionStore, partition: Partition, reason: str = ADOPTED) -> int:
    """Let the journal tell of a whole file of ours; return its rows.

    What it was computed from is not known, so that derived rows count as stale: they are computed
    once more, and stay as they are where nothing differs.

    Raises:
        DamagedFileError: the file is not whole, or not this partition's.
    """
    is_fetched = not LAYERS_BY_NAME[partition.layer].reads
    version = str(LAYERS_BY_NAME[partition.layer].code_version) if is_fetched else ""
    columns = parquet_file.leading_schema(partition.layer).to_frame()
    result = store.commit(
        partition,
        columns,
        merge=lambda stored, new: new if stored is None else stored,
        audit=lambda rows: (rows, rows.clear()),
        note=CommitNote(reason=reason, source=reason, code_version=version),
    )
    return result.rows


def find_partitions(layout: Layout) -> Iterator[Partition]:
    """Yield every partition in whose place a file lies, in the order of the line."""
    for layer in LAYERS:
        archived = (layout.root / ARCHIVE / layer.name).rglob("*.parquet")
        for path in sorted([*(layout.root / layer.name).rglob("*.parquet"), *archived]):
            try:
                partition = to_partition(read_place(layout.relative(path))[1])
                if partition and path in (layout.partition(partition), layout.archived(partition)):
                    yield partition
            except DataPlatformError:
                # Folders that no partition was ever written to: `verify` names them.
                continue


def rebuild(store: PartitionStore) -> dict[Partition, str]:
    """Begin the journal of a lake anew from its files; each proves itself by its seal.

    What is lost: why and when anything changed, the ledger's reasons (a hole is asked for again),
    verdicts, partitions that were stored as empty, and what derived ones were computed from.

    Returns:
        The partitions whose files do not prove themselves, and why.
    """
    lost = {}
    for partition in find_partitions(store.layout):
        try:
            adopt(store, partition, REBUILT)
        except StorageError as error:
            lost[partition] = str(error)
    return lost


def move_away_state(path: Path) -> Path | None:
    """Rename a damaged SQLite database and what belongs to it; return where it is now.

    Raises:
        StorageError: it cannot be renamed.
    """
    mark = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    moved = None
    for part in sorted(path.parent.glob(f"{path.name}*")):
        if part.name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            target = part.with_name(f"{part.name}.damaged-{mark}")
            _rename(part, target)
            moved = target if part == path else moved
    return moved


def set_aside(store: PartitionStore, path: str) -> Path | None:
    """Move a file that is not what was written below `damaged/`.

    Args:
        store: of the lake.
        path: below the root, in the place of a partition or of refused rows.

    Returns:
        Where it is now; None when it is gone, or is by now what the journal tells of.

    Raises:
        StorageError: it cannot be moved.
    """
    partition = to_partition(read_place(path)[1])
    if partition is None:
        raise StorageError(f"{path} is in the place of no partition.")
    place = store.root / path
    with exclusive_lock(store.layout.lock(partition)):
        content = read_bytes(place)
        if content is None:
            return None
        sha256 = hashlib.sha256(content).hexdigest()
        row = store.journal(partition)
        if row is not None and row.path == path and row.file_sha256 == sha256:
            return None
        target = store.layout.damaged(partition, sha256)
        _rename(place, target)
    return target


def restore_kept(store: PartitionStore, partition: Partition) -> bool:
    """Put the file back that the journal tells of, where `history/` still holds its very bytes.

    Raises:
        StorageError: it cannot be written.
    """
    with exclusive_lock(store.layout.lock(partition)):
        with store.state.read() as connection:
            row = newest_row(connection, partition_key(partition))
        if row is None or row.file_sha256 is None or row.path is None:
            return False
        content = read_bytes(store.layout.history(partition, row.file_sha256))
        if content is None or hashlib.sha256(content).hexdigest() != row.file_sha256:
            return False
        state = publish_bytes(content, store.root / row.path)
        with store.state.write() as connection:
            files = StoredFiles(store.root, store.state)
            files.record(connection, partition_key(partition), {row.path: state})
    return True


def remove_leftover(store: PartitionStore, path: str) -> bool:
    """Delete what a writer that is gone has left: a temporary file, or the copy of a moved one.

    Returns:
        Whether it was there, and still a leftover.

    Raises:
        StorageError: it cannot be deleted.
    """
    partition = to_partition(read_place(path)[1]) if path.endswith(f"/{CANDLES_FILE}") else None
    if partition is not None:
        return finish_move(store, partition)
    if not (store.root / path).exists():
        return False
    remove_file(store.root / path)
    return True


def _rename(path: Path, target: Path) -> None:
    try:
        make_folder(target.parent)
        path.replace(target)
        flush_folder(target.parent)
        flush_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot move {path} to {target}: {error.strerror or error}.") from error
