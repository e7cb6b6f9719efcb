"""One generation of a backup: which file holds what, and the seal that vouches for the list.

Holds values and their JSON; where the files' content lies stands in `backup_store.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from data_platform.storage.sealed import from_sealed_text, to_sealed_text

_FORMAT = 1

Area = Literal["lake", "dagster"]
"""Which folder a file belongs to: the lake's root, or that of the Dagster instance."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file as a backup holds it."""

    area: Area
    path: str
    """Below the area's folder, with `/`."""
    sha256: str
    size: int
    """Bytes."""
    modified_ns: int = 0
    """Its time, where that tells something; 0: it does not."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that was not what the journal says, so that the backup lacks that."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One backup."""

    created_at: datetime
    """UTC; it holds nothing that was committed later."""
    program: str
    """Version of the program that made it."""
    lake: str
    """Where the lake lay."""
    files: tuple[KeptFile, ...]
    """By area and path."""
    faults: tuple[Fault, ...] = ()

    @property
    def size(self) -> int:
        """Return how many bytes it restores."""
        return sum(it.size for it in self.files)

    def in_area(self, area: Area) -> list[KeptFile]:
        """Return the files of one area, by path."""
        return [it for it in self.files if it.area == area]


def to_text(generation: Generation) -> str:
    """Return a generation as sealed JSON."""
    content = {
        "format": _FORMAT,
        "created_at": generation.created_at.astimezone(UTC).isoformat(),
        "program": generation.program,
        "lake": generation.lake,
        "faults": [[it.path, it.reason] for it in generation.faults],
        "files": [
            [it.area, it.path, it.sha256, it.size, it.modified_ns] for it in generation.files
        ],
    }
    return to_sealed_text(content)


def from_text(text: str) -> Generation:
    """Return the generation that a text holds.

    Raises:
        ValueError: it is none, one of a newer format, or not what was written; says why.
    """
    try:
        return _from_content(from_sealed_text(text, _FORMAT))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no list of a backup ({error!r})") from error


def _from_content(found: Mapping[str, Any]) -> Generation:
    files = tuple(KeptFile(*entry) for entry in found["files"])
    for it in files:
        path = PurePosixPath(it.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"the path {it.path!r} leaves its folder")
    return Generation(
        created_at=datetime.fromisoformat(found["created_at"]),
        program=found["program"],
        lake=found["lake"],
        files=files,
        faults=tuple(Fault(*entry) for entry in found["faults"]),
    )
