from datetime import UTC, datetime

import pytest

from data_platform.storage.generation import Fault, Generation, KeptFile, from_text, to_text

FILES = (
    KeptFile("dagster", "history/runs.db", "a" * 64, 3),
    KeptFile("lake", "ohlcv/candles.parquet", "b" * 64, 5, modified_ns=7),
)
GENERATION = Generation(
    datetime(2024, 3, 1, 12, 0, 0, 5, tzinfo=UTC),
    "0.1",
    "/srv/data",
    FILES,
    (Fault("ohlcv/other.parquet", "gone"),),
)


def test_a_generation_survives_its_text() -> None:
    assert from_text(to_text(GENERATION)) == GENERATION
    assert GENERATION.size == 8
    assert GENERATION.in_area("lake") == [FILES[1]]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("b" * 64, "c" * 64, "not what was written"),
        ('"format": 1', '"format": 2', "format 2, this program reads 1"),
        ('"sha256"', '"sha"', "no list of a backup"),
    ],
)
def test_one_that_was_changed_is_refused(old: str, new: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        from_text(to_text(GENERATION).replace(old, new))


@pytest.mark.parametrize("text", ["", "[]", '"text"', "{}"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no list|Expecting value"):
        from_text(text)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ""])
def test_a_path_that_leaves_its_folder_is_refused(path: str) -> None:
    evil = Generation(GENERATION.created_at, "0.1", "/", (KeptFile("lake", path, "a" * 64, 1),))
    with pytest.raises(ValueError, match="leaves its folder"):
        from_text(to_text(evil))
