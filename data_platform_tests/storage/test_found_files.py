import os
from pathlib import Path

import pytest

from data_platform.storage.found_files import FoundFile, Walk
from data_platform.storage.inventory import Chosen


def walk(root: Path, chosen: Chosen | None = None) -> list[str]:
    return sorted(file.path for file in Walk(root, chosen or Chosen()).files())


def place(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_every_file_is_found_but_locks_and_another_lake(tmp_path: Path) -> None:
    place(tmp_path, "state.db", "ohlcv/a/x.parquet", ".locks/ohlcv/x.lock", "exports/.hidden")
    place(tmp_path, "demo/state.db", "demo/ohlcv/y.parquet")
    assert walk(tmp_path) == ["exports/.hidden", "ohlcv/a/x.parquet", "state.db"]


def test_folders_that_were_not_chosen_are_not_entered(tmp_path: Path) -> None:
    series = "exchange={}/timeframe={}/pair=BTC-USDT/period=2024-01/candles.parquet"
    places = [series.format("okx", "1h"), series.format("okx", "1d"), series.format("kraken", "1h")]
    place(tmp_path, *(f"ohlcv/{it}" for it in places))
    chosen = Chosen(exchanges=frozenset({"okx"}), timeframes=frozenset({"1h"}))
    assert walk(tmp_path, chosen) == [f"ohlcv/{places[0]}"]


def test_a_layer_may_lie_elsewhere_and_a_circle_of_links_ends(tmp_path: Path) -> None:
    lake, elsewhere = tmp_path / "lake", tmp_path / "elsewhere"
    place(elsewhere, "x.parquet")
    lake.mkdir()
    (lake / "ohlcv").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(lake)
    (lake / "broken").symlink_to(tmp_path / "nothing")
    assert "ohlcv/x.parquet" in walk(lake)
    assert len(walk(lake)) < 5


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path, "ohlcv/x.parquet", "filled/y.parquet")
    scandir = os.scandir

    def refusing(folder: str) -> "os._ScandirIterator[str]":
        if folder.endswith("ohlcv"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    found = Walk(tmp_path, Chosen())
    with monkeypatch.context() as patched:
        patched.setattr("os.scandir", refusing)
        assert [file.path for file in found.files()] == ["filled/y.parquet"]
    assert found.unread == {"ohlcv": "Permission denied"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".candles.parquet.0123456789abcdef.tmp", True),
        (".catalog.duckdb.0123456789abcdef.tmp.wal", True),
        ("candles.parquet", False),
        (".hidden.tmp", False),
    ],
)
def test_a_temporary_file_is_told_by_its_name(name: str, expected: bool) -> None:
    assert FoundFile(f"ohlcv/{name}", 1, "", 0.0).is_temporary is expected
