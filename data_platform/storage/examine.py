"""Look at one file of the lake: is it what was written, and whose is it?

Holds the judgement of single files, known to the journal or not. Which there are, and who is at
work on them, is the business of `survey.py`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_platform.domain.candles import content_hash
from data_platform.domain.errors import DataPlatformError
from data_platform.domain.layers import Partition
from data_platform.storage import footer, parquet_file
from data_platform.storage.atomic import stamp_of
from data_platform.storage.found_files import FoundFile
from data_platform.storage.inventory import Expected, to_partition
from data_platform.storage.journal import Key
from data_platform.storage.layout import (
    ARCHIVE,
    DAMAGED,
    EXPORTS,
    HISTORY,
    QUARANTINE,
    SNAPSHOTS,
    Layout,
    is_archived,
    read_place,
)
from data_platform.storage.stored_files import compare_file

Depth = Literal["quick", "full", "deep"]

Kind = Literal["damaged", "gone", "unknown", "unjournalled", "leftover"]
"""`damaged`: not what was written. `gone`: the journal knows it, the disk does not. `unknown`: no
commit has written it. `unjournalled`: whole and ours, but the journal does not tell of it.
`leftover`: a temporary file whose writer is gone, or the second copy of a partition whose move to
or from the archive was interrupted; it harms nobody."""

_TAIL_BYTES = 1 << 16
_DATA_SUFFIXES = (".parquet", ".feather")
_GONE = "gone"
_NO_COMMIT = "no commit has written it"


@dataclass(frozen=True, slots=True)
class Finding:
    """One file that is not as it should be."""

    kind: Kind
    path: str
    """Below the lake's root."""
    area: str
    """A layer, `exports`, `history`, `quarantine`, or empty."""
    key: Key
    """Names its partition or export, as far as it belongs to one."""
    fault: str
    stamp: str = ""
    """Of the file as it was found; empty when it is gone."""


@dataclass(frozen=True, slots=True)
class Look:
    """A file that should be there, as it was found."""

    expected: Expected
    finding: Finding | None = None
    stamp: str = ""
    """With which it was found as written; empty when it was not."""
    is_hashed: bool = False
    unread: str = ""
    """Why it could not be read: nothing is known of it."""


def examine(layout: Layout, expected: Expected, depth: Depth) -> Look:
    """Compare a file that should be there with how it was written.

    Args:
        layout: of the lake.
        expected: which file.
        depth: `quick` hashes it only when it was touched since its last hash; `full` in any case,
            and reads its footer; `deep` reads every row as well.
    """
    path = layout.root / expected.path
    kind: Kind = "damaged"
    try:
        found = compare_file(path, expected.state, is_hashed=depth != "quick")
        fault, stamp = found.fault, found.stamp
        if fault.startswith(_GONE) and is_archived(expected.path):
            return Look(expected, unread="archived, and not here")
        if fault:
            kind, fault = _name(path, expected, fault)
        elif depth != "quick":
            fault = _inner_fault(path, expected, found.tail, is_deep=depth == "deep")
        if not fault:
            is_hashed = depth != "quick" or stamp != expected.state.stamp
            return Look(expected, None, stamp, is_hashed=is_hashed)
    except PermissionError as error:
        return Look(expected, unread=error.strerror or "no permission")
    except OSError as error:
        fault = f"it cannot be read ({error.strerror or error})"
    area, _ = read_place(expected.path)
    return Look(expected, Finding(kind, expected.path, area, expected.key, fault, _stamp(path)))


def examine_unknown(layout: Layout, file: FoundFile) -> Finding | None:
    """Return what is wrong with a file that the journal does not name, or None.

    Raises:
        OSError: it cannot be read.
    """
    area, key = read_place(file.path)
    if _is_of_the_house(layout, file, area):
        return None
    partition = _partition_at(layout, file.path, area, key)
    kind: Kind = "unknown"
    fault = _NO_COMMIT
    if partition is not None:
        proof = _proof(layout.root / file.path, partition, area)
        if not proof and area != key["layer"]:
            return None
        kind = "unknown" if proof else "unjournalled"
        fault = f"{_NO_COMMIT}: {proof}" if proof else "whole, but the journal does not tell of it"
    return Finding(kind, file.path, area, key, fault, file.stamp)


def examine_copy(
    layout: Layout, file: FoundFile, expected: Mapping[str, Expected]
) -> Finding | None:
    """Return that a file is the copy that an interrupted move has left, or None.

    Args:
        layout: of the lake.
        file: one that the journal does not name.
        expected: those that it does, of its partition at least.

    Raises:
        OSError: it cannot be read.
    """
    prefix = f"{ARCHIVE}/"
    is_in_archive = file.path.startswith(prefix)
    place = file.path.removeprefix(prefix) if is_in_archive else prefix + file.path
    noted = expected.get(place)
    if noted is None or noted.area != "partition":
        return None
    for path in (file.path, place):
        if compare_file(layout.root / path, noted.state, is_hashed=True).fault:
            return None
    area, key = read_place(file.path)
    fault = f"a move was interrupted; the journal tells of the same bytes at {place}"
    return Finding("leftover", file.path, area, key, fault, file.stamp)


def _is_of_the_house(layout: Layout, file: FoundFile, area: str) -> bool:
    """Tell whether a file is nothing that a reader of candles could come across."""
    name = file.path.rpartition("/")[2]
    if area in (DAMAGED, EXPORTS, "") and not name.endswith(_DATA_SUFFIXES):
        return True
    # What a snapshot pins is named by its own sha256, and `snapshot verify` proves it.
    return area in (DAMAGED, SNAPSHOTS) or layout.root / file.path == layout.catalog


def _name(path: Path, expected: Expected, fault: str) -> tuple[Kind, str]:
    """Return the kind of a fault, and the fault as the file itself tells it, where it does."""
    if fault.startswith(_GONE):
        return "gone", fault
    partition = to_partition(expected.key)
    if expected.area != "partition" or partition is None:
        return "damaged", fault
    content = path.read_bytes()
    if parquet_file.seal_fault(content):
        return "damaged", fault
    _, proof = parquet_file.prove(partition, content, expected.rows or 0)
    if not proof:
        return "unjournalled", "whole, but the journal tells of another version"
    return "damaged", proof


def _inner_fault(path: Path, expected: Expected, tail: bytes, *, is_deep: bool) -> str:
    """Return what a file with the bytes that were written says against its journal row, or ''."""
    partition = to_partition(expected.key)
    if expected.area != "partition" or partition is None:
        return ""
    fault = footer.read_footer_fault(partition, path, tail, expected.rows or 0)
    if fault or not is_deep:
        return fault
    frame, fault = parquet_file.prove(partition, path.read_bytes())
    if not fault and content_hash(frame) != expected.content_hash:
        return "its rows are not those that the journal tells of"
    return fault


def _proof(path: Path, partition: Partition, area: str) -> str:
    """Return why a file is not a whole one of a partition, or ''."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        if not size:
            return "0 bytes"
        if not parquet_file.may_be_ours(file.read()):
            return f"{size:,} bytes that this platform has not written, or not whole"
        file.seek(0)
        content = file.read()
    if area != QUARANTINE:
        return parquet_file.prove(partition, content)[1]
    # What was refused has no schema to hold.
    return parquet_file.seal_fault(content) or footer.footer_fault(partition, content) or ""


def _partition_at(layout: Layout, path: str, area: str, key: Key) -> Partition | None:
    """Return the partition that a path is a place of, or None."""
    try:
        partition = to_partition(key)
        if partition is None or not parquet_file.is_partitioned(partition.layer):
            return None
        places = {
            HISTORY: layout.history(partition, ""),
            QUARANTINE: layout.quarantine(partition, ""),
            ARCHIVE: layout.archived(partition),
            partition.layer: layout.partition(partition),
        }
    except DataPlatformError:
        # Folders that no partition was ever written to.
        return None
    place, found = places.get(area), layout.root / path
    if place is None or place.parent != found.parent:
        return None
    return None if area == partition.layer and place != found else partition


def _stamp(path: Path) -> str:
    try:
        return stamp_of(path.stat())
    except OSError:
        return ""
