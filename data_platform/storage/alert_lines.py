"""The file of alerts: one JSON object a line, one file a month, only ever longer.

Holds how a line is added so that no crash leaves half of one among the others.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from data_platform.domain.errors import StorageError
from data_platform.domain.periods import period_of


def alerts_file(root: Path, now: datetime) -> Path:
    """Return the file of the month: `state/alerts/2024-01.jsonl` below the lake's root."""
    return root / "state" / "alerts" / f"{period_of(now).key}.jsonl"


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Add lines to a file durably; a torn line at its end, of a power cut, gets its end first.

    Args:
        path: the file; it and its folder are made when missing.
        lines: without line breaks.

    Raises:
        StorageError: the file cannot be written; some of the lines may stand there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            content = ("\n" if torn else "") + "".join(f"{line}\n" for line in lines)
            rest = memoryview(content.encode())
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(
            f"cannot add to {path}: {error.strerror}. Check free space and permissions; the "
            "alerts stay due and are added at the next look."
        ) from error
