from datetime import datetime, timedelta
from pathlib import Path

import pytest

from data_platform.operations.lake import Lake
from data_platform.storage.needed_months import needed_months
from data_platform_tests.factories import (
    candles_at,
    grid,
    lake_at,
    series_of,
    store_candles,
    stored,
    time,
)

SERIES = series_of(timeframe="1d")


@pytest.fixture
def lake(root: Path) -> Lake:
    lake = lake_at(root)
    days = [it for it in grid("2024-01-10", "2024-06-05", "1d") if it.month != 4]
    store_candles(lake, SERIES, candles_at(days))
    return lake


@pytest.mark.parametrize(
    ("start", "end", "rows", "months"),
    [
        ("2024-02-01", "2024-03-01", 0, [2]),
        ("2024-02-20", "2024-03-10", 0, [2, 3]),
        ("2024-03-01", "2024-04-01", 1, [2, 3]),
        ("2024-03-01", "2024-04-01", 29, [2, 3]),
        ("2024-03-01", "2024-04-01", 30, [1, 2, 3]),
        ("2024-03-01", "2024-04-01", 1000, [1, 2, 3]),
        # April was never stored: rows before May are those of March.
        ("2024-05-01", "2024-06-01", 3, [3, 5]),
        ("2024-04-01", "2024-05-01", 0, []),
        # Of the month that holds the start only a part counts.
        ("2024-03-02", "2024-03-02", 2, [2, 3]),
        ("2024-03-01", "2024-03-01", 5, [2]),
        ("2024-01-01", "2024-01-10", 5, [1]),
    ],
)
def test_only_the_months_that_matter_are_opened(
    lake: Lake, start: str, end: str, rows: int, months: list[int]
) -> None:
    found = lake.store.journal_rows("ohlcv", "binance", SERIES.timeframe, SERIES.pair)
    needed = needed_months(found, time(start), time(end), rows)
    assert [row.period.start.month for row in needed if row.period] == months
    read = lake.store.read_with_history("ohlcv", SERIES, time(start), time(end), rows)
    everything: list[datetime] = stored(lake, SERIES)["open_time"].to_list()
    before = [it for it in everything if it < time(start)]
    expected = before[len(before) - min(rows, len(before)) :]
    expected += [it for it in everything if time(start) <= it < time(end)]
    assert read["open_time"].to_list() == expected


def test_chosen_columns_come_in_their_order_and_only_where_stored(lake: Lake) -> None:
    asked = ("ohlcv", SERIES, time("2024-02-01"), time("2024-02-01") + timedelta(days=2), 2)
    read = lake.store.read_with_history(*asked, columns=["close", "sma_9", "open_time"])
    assert read.columns == ["close", "open_time"]
    assert read.height == 4
