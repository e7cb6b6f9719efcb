"""Damage planted in real files: what disks, people and other programs do to them."""

import os
from pathlib import Path

DAMAGES = ("gone", "empty", "torn", "foreign", "flipped", "rotten")
"""`flipped` and `rotten` turn one bit over; only the disk's own rot keeps the file's time."""


def damage(path: Path, how: str) -> None:
    """Spoil a file in one of the ways of `DAMAGES`."""
    status, content = path.stat(), path.read_bytes()
    if how == "gone":
        path.unlink()
        return
    middle = len(content) // 2
    spoilt = {
        "empty": b"",
        "torn": content[:-9],
        "foreign": b"not what was written here",
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
    }
    with path.open("r+b") as file:
        # In place: the inode stays, as it does where a disk or an editor spoils a file.
        file.write(spoilt["flipped" if how == "rotten" else how])
        file.truncate()
    if how == "rotten":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
