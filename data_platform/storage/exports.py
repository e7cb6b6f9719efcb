"""Put files for other programs in place, under the same promise as the lake's own.

Holds where and when an export file is written; what is inside is the converters' business.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from data_platform.domain.layers import Partition
from data_platform.storage.atomic import FileState, publish_file
from data_platform.storage.change import CommitResult, Export
from data_platform.storage.journal import (
    CommitNote,
    Entry,
    JournalRow,
    append_row,
    file_key,
    newest_row,
)
from data_platform.storage.layout import Layout
from data_platform.storage.locks import exclusive_lock
from data_platform.storage.state import State
from data_platform.storage.stored_files import StoredFiles, shared_key

EXPORT_SCHEMA_VERSION = 0
"""Export files have their program's schema, not ours."""


def publish_export(layout: Layout, state: State, export: Export, note: CommitNote) -> CommitResult:
    """Write an export file and its companions unless the same are there; note it.

    Where nothing has to be written all are hashed: one that is not what was written is made anew.

    Args:
        layout: of the lake.
        state: its state database.
        export: the file, and the candles it is made from.
        note: what the journal should say.

    Raises:
        StorageError: the disk or the database refuses; the old file is as it was.
    """
    key = file_key(export.layer, export.series, export.period)
    files = StoredFiles(layout.root, state)
    with exclusive_lock(layout.export_lock(export.layer, export.series, key["period"] or "all")):
        with state.read() as connection:
            row = newest_row(connection, key)
        own = [
            file
            for file in files.of_series(export.layer, export.series)
            if file.belongs_to(export.period)
        ]
        current = _is_current(row, export, note)
        # A file that gives way, and of which nothing stays, need not be hashed.
        is_damaged = bool(files.damaged(own, hashed=lambda _: current or bool(export.renew)))
        if current and not is_damaged:
            return _result(export, layout, written=False)
        companions = _write_companions(layout, export) if export.rows else {}
        older = _older(layout, row, note) if own and not is_damaged else None
        written = _write(layout, export, older) if export.rows else {}
        entry = _entry(export, written, note.reason or _reason(row, is_damaged=is_damaged))
        with state.write() as connection:
            append_row(connection, key, row, entry, note)
            files.record(connection, key, written)
            if companions:
                files.record(connection, shared_key(export.layer, export.series), companions)
    return _result(export, layout, written=bool(written))


def _is_current(row: JournalRow | None, export: Export, note: CommitNote) -> bool:
    if row is None or row.code_version != note.code_version:
        return False
    told = (row.content_hash, row.rows, row.months)
    return told == (export.source_hash, export.rows, export.months)


def _older(layout: Layout, row: JournalRow | None, note: CommitNote) -> Path | None:
    """Return the file that gives way, where the same code has made it."""
    if row is None or row.path is None or row.code_version != note.code_version:
        return None
    return layout.root / row.path


def _write(layout: Layout, export: Export, older: Path | None) -> dict[str, FileState]:
    path = layout.export(export.path)
    write = partial(export.renew, older) if export.renew and older else export.write
    return {layout.relative(path): publish_file(write, path)}


def _write_companions(layout: Layout, export: Export) -> dict[str, FileState]:
    places = {layout.export(place): write for place, write in export.companions.items()}
    return {layout.relative(path): publish_file(write, path) for path, write in places.items()}


def _entry(export: Export, written: Mapping[str, FileState], reason: str) -> Entry:
    path, state = next(iter(written.items()), (None, None))
    return Entry(
        rows=export.rows,
        first=export.first,
        last=export.last,
        content_hash=export.source_hash,
        file_sha256=state.sha256 if state else None,
        path=path,
        reason=reason,
        schema_version=EXPORT_SCHEMA_VERSION,
        months=export.months,
    )


def _reason(row: JournalRow | None, *, is_damaged: bool) -> str:
    if is_damaged:
        return "repair"
    return "extend" if row and row.rows else "new"


def _result(export: Export, layout: Layout, *, written: bool) -> CommitResult:
    partition = Partition(export.layer, export.series, export.period) if export.period else None
    return CommitResult(
        partition=partition,
        rows=export.rows,
        first=export.first,
        last=export.last,
        content_hash=export.source_hash,
        written=written,
        added=0,
        changed=0,
        refused=0,
        path=layout.export(export.path) if export.rows else None,
    )
