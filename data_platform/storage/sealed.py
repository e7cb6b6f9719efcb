"""JSON that vouches for itself: a text with the sha256 of its own content.

Holds the seal of lists that nothing else vouches for: manifests of snapshots and of backups.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def to_sealed_text(content: Mapping[str, Any]) -> str:
    """Return content as JSON for people and programs, with its seal as the last key."""
    return json.dumps({**content, "sha256": _seal(content)}, indent=1) + "\n"


def from_sealed_text(text: str, version: int) -> dict[str, Any]:
    """Return the content of a sealed text, without the seal.

    Args:
        text: what `to_sealed_text` made.
        version: what the content's `format` must be.

    Raises:
        ValueError: it is no such text, one of another format, or not what was written; says why.
        KeyError: it has no seal or no format.
        TypeError: it is JSON, but no object.
    """
    found: dict[str, Any] = json.loads(text)
    seal = found["sha256"]
    content = {name: value for name, value in found.items() if name != "sha256"}
    if content["format"] != version:
        raise ValueError(f"format {content['format']}, this program reads {version}")
    if seal != _seal(content):
        raise ValueError("its content is not what was written")
    return content


def _seal(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
