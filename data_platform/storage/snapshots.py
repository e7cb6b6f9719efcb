"""Snapshots: partitions pinned under a name, readable byte for byte whatever the lake becomes.

Holds how files are pinned and read. A pin is one more name of the same file (a hard link, a copy
where the disk has none): it costs nothing until the lake replaces the file, and stays when the lake
drops it. The manifest comes last, so a snapshot that was interrupted does not exist.
"""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from data_platform.domain.errors import (
    DamagedFileError,
    NotStoredError,
    StorageError,
    WrongUseError,
)
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, periods_between
from data_platform.storage import parquet_file
from data_platform.storage.atomic import flush_folder, hash_file, make_folder, publish_bytes
from data_platform.storage.heads import JournalReader
from data_platform.storage.journal import JournalRow
from data_platform.storage.layout import Layout
from data_platform.storage.locks import exclusive_lock
from data_platform.storage.manifest import Manifest, Pinned, from_text, to_text
from data_platform.storage.reading import read_bytes

_PATIENCE_SECONDS = 10
"""How long a file may differ from the journal's newest row: a writer is between the two."""


class Snapshots:
    """The snapshots of one lake."""

    def __init__(self, root: Path) -> None:
        """Speak of the snapshots of the lake below a folder."""
        self._layout = Layout(root)

    def create(
        self, journal: JournalReader, rows: Iterable[JournalRow], manifest: Manifest
    ) -> Manifest:
        """Pin partitions under a name.

        Each is pinned as it is when its turn comes: partitions are independent of one another.

        Args:
            journal: of the lake.
            rows: the newest row of each partition; not of exports.
            manifest: the name, the time and what made it; its partitions are those pinned.

        Returns:
            The manifest as it was written.

        Raises:
            WrongUseError: a snapshot of that name exists.
            DamagedFileError: a file is gone or damaged.
            StorageError: the disk refuses.
        """
        path = self._path(manifest.name)
        with exclusive_lock(self._layout.snapshots_lock):
            if path.exists():
                raise WrongUseError(
                    f"snapshot {manifest.name!r} exists; a snapshot never changes. Choose another "
                    f"name, or remove it: data-platform snapshot delete {manifest.name}"
                )
            pinned = tuple(self._pin(journal, row) for row in rows)
            made = replace(manifest, partitions=pinned)
            publish_bytes(to_text(made).encode(), path)
        return made

    def names(self) -> list[str]:
        """Return the names of all snapshots, sorted."""
        return sorted(path.stem for path in self._layout.snapshots.glob("*.json"))

    def load(self, name: str) -> Manifest:
        """Return the manifest of a snapshot.

        Raises:
            NotStoredError: there is none of that name.
            DamagedFileError: its manifest is not what was written.
        """
        path = self._path(name)
        content = read_bytes(path)
        if content is None:
            known = ", ".join(self.names()) or "none is stored"
            raise NotStoredError(f"there is no snapshot {name!r}. Known: {known}.")
        try:
            manifest = from_text(content.decode())
        except ValueError as error:
            raise DamagedFileError(
                f"snapshot {name}: the manifest {path} is damaged: {error}. Put it back from a "
                "backup; the files that it pins are not touched."
            ) from error
        if manifest.name != name:
            raise DamagedFileError(
                f"snapshot {name}: the manifest {path} was written as {manifest.name!r}."
            )
        return manifest

    def delete(self, name: str) -> int:
        """Remove a snapshot, and the pins that no other one needs; the lake is not touched.

        Returns:
            How many files are not pinned any more.

        Raises:
            NotStoredError: there is none of that name.
            StorageError: a manifest cannot be read, so that nobody knows what is needed.
        """
        with exclusive_lock(self._layout.snapshots_lock):
            own = self.load(name).files
            needed = set[str]().union(
                *(self.load(each).files for each in self.names() if each != name)
            )
            self._path(name).unlink()
            flush_folder(self._layout.snapshots)
            freed = own - needed
            for sha in freed:
                with suppress(FileNotFoundError):
                    self._layout.pinned(sha).unlink()
        return len(freed)

    def pinned(self) -> set[str]:
        """Return the sha256 of every file that some snapshot pins."""
        return set[str]().union(*(self.load(name).files for name in self.names()))

    def damaged(self, manifest: Manifest) -> Iterator[tuple[Pinned, str]]:
        """Yield each partition whose pinned file is not what was pinned, and what is wrong."""
        for it in manifest.partitions:
            if it.file_sha256 is None:
                continue
            path = self._layout.pinned(it.file_sha256)
            try:
                found = hash_file(path)
            except OSError as error:
                yield it, f"{path} cannot be read: {error.strerror or error}"
                continue
            if found.sha256 != it.file_sha256:
                yield it, f"the bytes of {path} are not those that were pinned"

    def read(self, pinned: Pinned) -> pl.DataFrame:
        """Return the rows of a pinned partition.

        Raises:
            DamagedFileError: its file is gone or was changed.
        """
        if pinned.file_sha256 is None:
            return parquet_file.leading_schema(pinned.partition.layer).to_frame()
        path = self._layout.pinned(pinned.file_sha256)
        content = read_bytes(path)
        if content is None or hashlib.sha256(content).hexdigest() != pinned.file_sha256:
            fault = "gone" if content is None else "changed since it was pinned"
            raise DamagedFileError(
                f"{pinned.partition}: the pinned file {path} is {fault}. Put it back from a backup."
            )
        return parquet_file.decode(content)

    def _path(self, name: str) -> Path:
        try:
            return self._layout.snapshot(name)
        except StorageError as error:
            raise WrongUseError(
                f"snapshot {name!r}: expected up to 64 letters, digits, `_`, `-` and `.`."
            ) from error

    def _pin(self, journal: JournalReader, row: JournalRow) -> Pinned:
        partition = row.partition
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            if row.file_sha256 is None or self._link(row, partition, row.file_sha256):
                return _to_pinned(partition, row)
            newer = journal.journal(partition)
            if newer and newer.file_sha256 != row.file_sha256:
                row = newer
            elif time.monotonic() > deadline:
                path = self._layout.partition(partition)
                fault = "its bytes are not those that were written" if path.exists() else "gone"
                raise parquet_file.damaged(partition, str(path), fault)
            else:
                time.sleep(0.01)

    def _link(self, row: JournalRow, partition: Partition, sha256: str) -> bool:
        """Pin a partition's file; False when it is not the one that the sha256 names."""
        target = self._layout.pinned(sha256)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        try:
            if target.exists() and hash_file(target).sha256 == sha256:
                return True
            make_folder(target.parent)
            _link_or_copy(self._layout.root / str(row.path), temporary)
            if hash_file(temporary, flush=True).sha256 != sha256:
                return False
            temporary.replace(target)
            flush_folder(target.parent)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError(
                f"cannot pin {partition} as {target}: {error.strerror or error}. Check free space "
                "and permissions, then run the same again."
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        return True


class SnapshotReader:
    """One snapshot, read as the lake is."""

    def __init__(self, snapshots: Snapshots, manifest: Manifest) -> None:
        """Read what one of a lake's snapshots holds."""
        self._snapshots = snapshots
        self._manifest = manifest

    def stored_periods(
        self, layer: str, series: Series, feature_set: str | None = None
    ) -> set[Period]:
        """Return the months of a series that it holds, empty ones too."""
        return {it.partition.period for it in self._of(layer, series, feature_set)}

    def read_range(
        self,
        layer: str,
        series: Series,
        start: datetime,
        end: datetime,
        *,
        feature_set: str | None = None,
    ) -> pl.DataFrame:
        """Return the pinned rows with start <= open_time < end, across periods, sorted.

        Raises:
            DamagedFileError: a pinned file is gone or was changed.
        """
        touched = set(periods_between(start, end)) if start < end else set()
        frames = [parquet_file.leading_schema(layer).to_frame()] + [
            self._snapshots.read(it)
            for it in self._of(layer, series, feature_set)
            if it.partition.period in touched and it.rows
        ]
        frame = pl.concat(frames[1:] or frames, how="diagonal").sort("open_time")
        return frame.filter((pl.col("open_time") >= start) & (pl.col("open_time") < end))

    def _of(self, layer: str, series: Series, feature_set: str | None) -> list[Pinned]:
        wanted = (layer, series, feature_set)
        return [
            it
            for it in self._manifest.partitions
            if (it.partition.layer, it.partition.series, it.partition.feature_set) == wanted
        ]


def _to_pinned(partition: Partition, row: JournalRow) -> Pinned:
    return Pinned(
        partition=partition,
        version=row.version,
        rows=row.rows,
        first=row.first,
        last=row.last,
        content_hash=row.content_hash,
        file_sha256=row.file_sha256,
        code_version=row.code_version,
    )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        # Some file systems have no hard links, and some a limit of names for one file.
        shutil.copyfile(source, target)
