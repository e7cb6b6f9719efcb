"""Put files for other programs in place, under the same promise as the lake's own.

Holds where and when an export file is written; what is inside is the converters' business.
"""

from pathlib import Path

from data_platform.domain.layers import Partition
from data_platform.storage.atomic import publish_file
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

EXPORT_SCHEMA_VERSION = 0
"""Export files have their program's schema, not ours."""


def publish_export(layout: Layout, state: State, export: Export, note: CommitNote) -> CommitResult:
    """Write an export file and its companions unless the same are there; note it.

    Args:
        layout: of the lake.
        state: its state database.
        export: the file, and the candles it is made from.
        note: what the journal should say.

    Raises:
        StorageError: the disk or the database refuses; the old file is as it was.
    """
    key = file_key(export.layer, export.series, export.period)
    path = layout.export(export.path)
    lock = layout.export_lock(export.layer, export.series, key["period"] or "all")
    with exclusive_lock(lock):
        with state.read() as connection:
            row = newest_row(connection, key)
        written = False
        if not _is_current(row, export, note, layout):
            is_new_code = row is None or row.code_version != note.code_version
            sha = _write(layout, export, path, is_new_code=is_new_code)
            written = sha is not None
            entry = Entry(
                rows=export.rows,
                first=export.first,
                last=export.last,
                content_hash=export.source_hash,
                file_sha256=sha,
                path=layout.relative(path) if sha else None,
                reason=note.reason or ("extend" if row and row.rows else "new"),
                schema_version=EXPORT_SCHEMA_VERSION,
                months=export.months,
            )
            with state.write() as connection:
                append_row(connection, key, entry, note)
    return _result(export, path, written=written)


def _is_current(row: JournalRow | None, export: Export, note: CommitNote, layout: Layout) -> bool:
    if row is None or row.content_hash != export.source_hash or row.rows != export.rows:
        return False
    if row.code_version != note.code_version or row.months != export.months:
        return False
    return not export.rows or layout.export(export.path).exists()


def _write(layout: Layout, export: Export, path: Path, *, is_new_code: bool) -> str | None:
    if not export.rows:
        return None
    for place, write in export.companions():
        # The same for every month and timeframe of a market: one that is there is right.
        if is_new_code or not layout.export(place).exists():
            publish_file(write, layout.export(place))
    return publish_file(export.write, path)


def _result(export: Export, path: Path, *, written: bool) -> CommitResult:
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
        path=path if export.rows else None,
    )
