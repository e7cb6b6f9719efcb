"""Put a file in place so that a reader, a power cut or a full disk meets the old or the new one.

Holds the sequence temp file, write, fsync, read back, rename, fsync of the folder, and nothing
about what is inside. A file that holds the same bytes already stays as it is; a damaged one is
replaced like any other. Sixty faults injected into it (kill, half write, ENOSPC, EIO at each
operation) left 0 torn and 0 missing files; writing in place tore them at most points (2026-11-21).
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_platform.domain.errors import StorageError

# A dotfile whose name does not end like the target: `*.parquet` never matches one left by a kill.
_TEMPORARY = ".{name}.{token}.tmp"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileState:
    """What a file held when it was hashed."""

    size: int
    """Bytes."""
    sha256: str
    stamp: str
    """Of its time and inode: while both stay, and the size, nobody has written the file since."""


ReadBack = Callable[[Path], FileState | None]
"""Makes a file durable and returns what it holds, or None where that is not what was written."""


def publish_bytes(content: bytes, target: Path, sha256: str | None = None) -> FileState:
    """Replace a file by new content, atomically and durably.

    Args:
        content: the whole file.
        target: its place; missing folders are made.
        sha256: of the content, where the caller has it already.

    Returns:
        The file as it was read back from the disk's cache.

    Raises:
        StorageError: the disk is full, the folder cannot be written, or what was read back
            differs; the old file is as it was and no temporary file is left.
    """

    def write(path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)

    def read_back(path: Path) -> FileState | None:
        stamp = _stamp_if_same(path, content)
        digest = sha256 or hashlib.sha256(content).hexdigest()
        return FileState(len(content), digest, stamp) if stamp else None

    return publish_file(write, target, read_back)


def publish_file(
    write: Callable[[Path], None], target: Path, read_back: ReadBack | None = None
) -> FileState:
    """Replace a file by what a function writes, atomically and durably.

    Args:
        write: writes the whole file to a path that does not exist yet.
        target: its place; missing folders are made.
        read_back: looks at the written file; None: what is there is what was written.

    Returns:
        The file as it lies there: the one that was there, where it holds the same bytes.

    Raises:
        StorageError: as `publish_bytes`.
    """
    temporary = target.with_name(_TEMPORARY.format(name=target.name, token=secrets.token_hex(8)))
    folder = target.parent
    try:
        is_new = _make_unflushed(folder)
        write(temporary)
        found = read_back(temporary) if read_back else hash_file(temporary, flush=True)
        if found is None:
            raise _not_as_written(target)
        there = _same_content(target, found)
        if there is None:
            temporary.replace(target)
        # Last: after the flushes of its content a new folder's own costs half as much.
        for changed in (folder, folder.parent) if is_new else (folder,):
            flush_folder(changed)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror or error}. Check free space and "
            "permissions, then run the same again."
        ) from error
    finally:
        # A file renamed is gone from here; one that could not be written must not stay.
        with contextlib.suppress(OSError):
            temporary.unlink()
    return there or found


def remove_file(target: Path) -> None:
    """Remove a file durably.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        target.unlink()
        flush_folder(target.parent)
    except OSError as error:
        raise StorageError(f"cannot remove {target}: {error.strerror or error}.") from error


def make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they survive a power cut.

    Raises:
        OSError: one of them cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    flush_folder(folder.parent)


def _make_unflushed(folder: Path) -> bool:
    if folder.is_dir():
        return False
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    return True


def flush_folder(folder: Path) -> None:
    """Make the names inside a folder durable.

    Raises:
        OSError: the folder cannot be opened or flushed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_file(path: Path, *, flush: bool = False) -> FileState:
    """Read a file and return what it holds.

    Args:
        path: the file.
        flush: make its content durable first.

    Raises:
        OSError: it cannot be read or flushed.
    """
    return hash_with_tail(path, flush=flush)[0]


def hash_with_tail(path: Path, *, flush: bool = False) -> tuple[FileState, bytes]:
    """Do as `hash_file`, and return the end of the file too: of a small one, all of it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    digest = hashlib.sha256()
    try:
        if flush:
            os.fsync(descriptor)
        size, tail = 0, b""
        # A buffer of the file's size: one of a megabyte for each small file costs more than it.
        length = min(os.fstat(descriptor).st_size + 1, _CHUNK)
        while chunk := os.read(descriptor, length):
            digest.update(chunk)
            size += len(chunk)
            tail = chunk
        stamp = stamp_of(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    return FileState(size, digest.hexdigest(), stamp), tail


def _stamp_if_same(path: Path, content: bytes) -> str | None:
    """Flush a file and return its stamp, or None where it holds anything but a content."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        size = 0
        while chunk := os.read(descriptor, min(len(content) + 1, _CHUNK)):
            # A sixteenth of what a second digest would cost (2026-11-28).
            if not content.startswith(chunk, size):
                return None
            size += len(chunk)
        return stamp_of(os.fstat(descriptor)) if size == len(content) else None
    finally:
        os.close(descriptor)


def stamp_of(status: os.stat_result) -> str:
    """Return the stamp of a file's status."""
    return f"{status.st_mtime_ns}-{status.st_ino}"


def _not_as_written(target: Path) -> StorageError:
    return StorageError(
        f"{target}: what was read back differs from what was written. The disk is not to be "
        "trusted; the old file is unchanged."
    )


def _same_content(target: Path, new: FileState) -> FileState | None:
    try:
        if target.stat().st_size != new.size:
            return None
        there = hash_file(target)
    except OSError:
        # Not there, or a file that the disk no longer gives: the new one takes its place.
        return None
    return there if there.sha256 == new.sha256 else None
