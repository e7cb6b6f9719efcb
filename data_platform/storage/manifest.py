"""The manifest of a snapshot: which partitions it holds, and the seal that vouches for the list.

Holds values and their JSON; which files are pinned, and how, stands in `snapshots.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from data_platform.domain.layers import Partition
from data_platform.domain.periods import to_period
from data_platform.storage.journal import to_series
from data_platform.storage.sealed import from_sealed_text, to_sealed_text

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Pinned:
    """One partition as a snapshot holds it."""

    partition: Partition
    version: int
    """Of the journal's row."""
    rows: int
    first: datetime | None
    last: datetime | None
    content_hash: str
    file_sha256: str | None
    """None where the partition holds no rows, so that there is no file."""
    code_version: str
    """Of the layer, with the hash of its parameters."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One snapshot."""

    name: str
    created_at: datetime
    program: str
    """Version of the program that made it."""
    config_sha256: str
    """Of the platform config then."""
    partitions: tuple[Pinned, ...]
    """By layer, series and period."""

    @property
    def files(self) -> set[str]:
        """Return the sha256 of every file that it pins."""
        return {it.file_sha256 for it in self.partitions if it.file_sha256}


def to_text(manifest: Manifest) -> str:
    """Return a manifest as JSON for people and programs, sealed by the sha256 of its content."""
    content = {
        "format": _FORMAT,
        "name": manifest.name,
        "created_at": _iso(manifest.created_at),
        "program": manifest.program,
        "config_sha256": manifest.config_sha256,
        "partitions": [_to_entry(it) for it in manifest.partitions],
    }
    return to_sealed_text(content)


def from_text(text: str) -> Manifest:
    """Return the manifest that a text holds.

    Raises:
        ValueError: it is no manifest, one of a newer format, or not what was written; says why.
    """
    try:
        found = from_sealed_text(text, _FORMAT)
        return Manifest(
            name=found["name"],
            created_at=datetime.fromisoformat(found["created_at"]),
            program=found["program"],
            config_sha256=found["config_sha256"],
            partitions=tuple(_from_entry(entry) for entry in found["partitions"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no manifest ({error!r})") from error


def _to_entry(pinned: Pinned) -> dict[str, Any]:
    partition = pinned.partition
    return {
        "layer": partition.layer,
        "exchange": partition.series.exchange,
        "timeframe": partition.series.timeframe.name,
        "pair": partition.series.pair.key,
        "feature_set": partition.feature_set,
        "period": partition.period.key,
        "version": pinned.version,
        "rows": pinned.rows,
        "first": _iso(pinned.first),
        "last": _iso(pinned.last),
        "content_hash": pinned.content_hash,
        "file_sha256": pinned.file_sha256,
        "code_version": pinned.code_version,
    }


def _from_entry(entry: Mapping[str, Any]) -> Pinned:
    series = to_series(entry["exchange"], entry["timeframe"], entry["pair"])
    period = to_period(entry["period"])
    return Pinned(
        partition=Partition(entry["layer"], series, period, entry["feature_set"]),
        version=entry["version"],
        rows=entry["rows"],
        first=_time(entry["first"]),
        last=_time(entry["last"]),
        content_hash=entry["content_hash"],
        file_sha256=entry["file_sha256"],
        code_version=entry["code_version"],
    )


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
