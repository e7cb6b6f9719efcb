from pathlib import Path

import pytest

from data_platform.domain.errors import NotStoredError, StorageError
from data_platform.operations.lake import looked_at_lake, open_lake, opened_lake, require_lake
from data_platform_tests.factories import (
    candles_at,
    grid,
    lake_at,
    series_of,
    store_candles,
    stored,
)


def test_what_one_opening_stores_the_next_one_reads(tmp_path: Path) -> None:
    series, candles = series_of(), candles_at(grid("2024-01-01", "2024-01-02"))
    first = lake_at(tmp_path)
    store_candles(first, series, candles)
    first.state.close()
    second = lake_at(tmp_path)
    start, end = candles["open_time"][0], candles["open_time"][-1]
    found = second.store.read_range("ohlcv", series, start, end + series.timeframe.duration)
    assert found.equals(candles)
    second.state.close()


def test_a_lake_that_is_not_there_is_named(tmp_path: Path) -> None:
    require_lake(tmp_path)
    with pytest.raises(NotStoredError, match=f"no lake at {tmp_path / 'x'}"):
        require_lake(tmp_path / "x")


def test_a_file_where_the_lake_should_be_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "lake"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match=str(blocked)):
        open_lake(blocked, f"sqlite:///{blocked / 'state.db'}")


def test_who_must_leave_nothing_behind_sees_an_empty_lake_where_there_is_none(
    tmp_path: Path,
) -> None:
    root = tmp_path / "data"
    with looked_at_lake(root, f"sqlite:///{root / 'state.db'}") as lake:
        assert lake.store.journal_rows("ohlcv") == []
    assert list(tmp_path.iterdir()) == []


def test_who_must_leave_nothing_behind_sees_what_is_stored(root: Path) -> None:
    with opened_lake(root, f"sqlite:///{root / 'state.db'}") as lake:
        store_candles(lake, series_of(), candles_at(grid("2024-01-01", "2024-01-02")))
    with looked_at_lake(root, f"sqlite:///{root / 'state.db'}") as lake:
        assert stored(lake, series_of()).height == 24
