"""Snapshots in trade words: which partitions one takes, and how two of them differ."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from data_platform.domain.errors import NotStoredError
from data_platform.domain.layers import LAYERS, Partition
from data_platform.operations.lake import Lake
from data_platform.storage.change import compare
from data_platform.storage.journal import JournalRow
from data_platform.storage.manifest import Manifest, Pinned
from data_platform.storage.snapshots import Snapshots

PINNED_LAYERS = tuple(layer.name for layer in LAYERS if layer.refresh != "exports")
"""What a snapshot holds: exports are made of candles, and can be made again of pinned ones."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One partition that two snapshots do not hold alike."""

    partition: Partition
    kind: Literal["only in the first", "only in the second", "differs", "code differs"]
    added: int = 0
    """Rows that only the second holds."""
    changed: int = 0
    """Rows of one open_time with other values."""
    removed: int = 0
    """Rows that only the first holds."""


def create_snapshot(
    lake: Lake, manifest: Manifest, is_wanted: Callable[[JournalRow], bool]
) -> Manifest:
    """Pin what is stored of a selection.

    Args:
        lake: whose partitions.
        manifest: the name, the time and what makes it.
        is_wanted: whether a partition, by its newest journal row, belongs to the selection.

    Returns:
        The manifest as it was written.

    Raises:
        NotStoredError: nothing of the selection is stored.
        WrongUseError: the name is taken, or no name.
        StorageError: a file is damaged, or the disk refuses; there is no snapshot then.
    """
    rows = [
        row
        for row in lake.store.journal_rows()
        if row.layer in PINNED_LAYERS and row.period and is_wanted(row)
    ]
    if not rows:
        raise NotStoredError(
            "nothing of the selection is stored, so there is nothing to pin. Fetch it with "
            "`data-platform download`."
        )
    return Snapshots(lake.store.root).create(lake.store, rows, manifest)


def find_differences(snapshots: Snapshots, one: Manifest, other: Manifest) -> Iterator[Difference]:
    """Yield the partitions that two snapshots do not hold alike, by layer, series and period.

    Raises:
        DamagedFileError: a pinned file that has to be read is gone or was changed.
    """
    first, second = _by_partition(one), _by_partition(other)
    for partition in sorted({**first, **second}, key=str):
        before, after = first.get(partition), second.get(partition)
        if before is None or after is None:
            kind = "only in the second" if before is None else "only in the first"
            yield Difference(partition, kind)  # type: ignore[arg-type]  # one of the two
        elif before.content_hash != after.content_hash:
            change = compare(snapshots.read(before), snapshots.read(after))
            yield Difference(partition, "differs", change.added, change.changed, change.removed)
        elif before.code_version != after.code_version:
            yield Difference(partition, "code differs")


def _by_partition(manifest: Manifest) -> Mapping[Partition, Pinned]:
    return {it.partition: it for it in manifest.partitions}
