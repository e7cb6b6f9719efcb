"""One writer per partition: an exclusive lock that the kernel frees when its holder dies.

Holds the lock only; where its file lies is the layout's business. `flock`: four processes that
merged into one partition kept 139 of 400 candles without it, 400 of 400 with it (2026-11-21).
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_platform.domain.errors import StorageError

_held = threading.local()

_POLL_SECONDS = 0.02


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold a lock file exclusively; wait for whoever holds it.

    Raises:
        StorageError: the file cannot be made, or this thread holds another lock already:
            two locks taken in different orders would wait for each other for ever.
    """
    held = getattr(_held, "path", None)
    if held is not None:
        raise StorageError(f"a second lock ({path}) was asked for while {held} is held.")
    try:
        descriptor = _open(path)
    except OSError as error:
        raise StorageError(
            f"cannot make the lock file {path}: {error.strerror}. Check that the folder of the "
            "lake can be written; nothing was changed."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _held.path = path
        yield
    finally:
        _held.path = None
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


@contextmanager
def kept_from_writers(path: Path, seconds: float) -> Iterator[bool]:
    """Keep writers from a lock file for as long as the block runs; make nothing.

    Args:
        path: the lock file; one that is not there was never held.
        seconds: how long to wait for whoever holds it.

    Yields:
        Whether nobody holds it now.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield True
        return
    try:
        yield _share(descriptor, time.monotonic() + seconds)
    finally:
        os.close(descriptor)


def _share(descriptor: int, end: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True
