"""The files that the catalogue has to leave out: found damaged and not yet written anew.

Holds a note of them beside the catalogue: one torn file fails every query over all series, and a
flipped bit is read as a wrong candle. An entry ends when its file is written again or gone, which
its stamp tells; what the note loses, the next `verify` finds again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from data_platform.storage.atomic import publish_bytes, remove_file, stamp_of
from data_platform.storage.layout import Layout
from data_platform.storage.reading import read_bytes


@dataclass(frozen=True, slots=True)
class Known:
    """One file that was found damaged."""

    stamp: str
    """Of the file as it was then."""
    fault: str


def read_known_damage(layout: Layout) -> dict[str, Known]:
    """Return what was found and still lies there as it did, by path below the root.

    Raises:
        StorageError: the note cannot be read.
    """
    content = read_bytes(layout.known_damage)
    try:
        noted = {path: Known(**it) for path, it in json.loads(content or b"{}").items()}
    except (ValueError, TypeError, AttributeError):
        # Half a note tells nothing.
        return {}
    return {path: it for path, it in noted.items() if _stamp(layout, path) == it.stamp}


def note_damage(layout: Layout, damage: Mapping[str, Known]) -> None:
    """Note which files are to be left out from now on.

    Raises:
        StorageError: the note cannot be written.
    """
    if damage:
        noted = {path: {"stamp": it.stamp, "fault": it.fault} for path, it in damage.items()}
        publish_bytes(json.dumps(noted, indent=1, sort_keys=True).encode(), layout.known_damage)
    elif layout.known_damage.exists():
        remove_file(layout.known_damage)


def _stamp(layout: Layout, path: str) -> str | None:
    try:
        return stamp_of((layout.root / path).stat())
    except OSError:
        return None
