import json
from datetime import UTC, datetime

import pytest

from data_platform.storage.manifest import Manifest, Pinned, from_text, to_text
from data_platform_tests.storage.lake import at, partition, series, utc

FULL = Pinned(partition(), 3, 2, at(1), at(2), "content", "f" * 64, "1")
EMPTY = Pinned(partition(layer="features", feature_set="x-v1"), 1, 0, None, None, "c", None, "2-a")
MANIFEST = Manifest("before", datetime(2024, 2, 1, tzinfo=UTC), "0.1", "abc", (FULL, EMPTY))


def test_a_manifest_survives_its_text() -> None:
    assert from_text(to_text(MANIFEST)) == MANIFEST
    assert MANIFEST.files == {"f" * 64}


def test_a_manifest_can_be_read_by_programs() -> None:
    entry = json.loads(to_text(MANIFEST))["partitions"][0]
    assert (entry["exchange"], entry["pair"], entry["rows"]) == ("binance", series().pair.key, 2)
    assert entry["first"] == "2024-01-01T01:00:00+00:00"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"rows": 2', '"rows": 3', "not what was written"),
        (str(utc(2024).year), "2023", "not what was written"),
        ('"format": 1', '"format": 2', "format 2, this program reads 1"),
        ('"sha256"', '"sha"', "no manifest"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(old: str, new: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        from_text(to_text(MANIFEST).replace(old, new))


@pytest.mark.parametrize("text", ["", "[]", '"text"', "{}"])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"manifest|Expecting value"):
        from_text(text)
