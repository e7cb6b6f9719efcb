from datetime import timedelta

from data_platform.operations.delisted import Delisting, find_delisted
from data_platform.operations.lake import Lake
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    plant_gaps,
    series_of,
    store_candles,
    time,
)

SERIES, OTHER = series_of(), series_of(pair="ETH/USDT")
AGAIN = time("2024-01-06")


def plant(lake: Lake, start: str = "2024-01-05", end: str = "2024-01-05 12:00") -> None:
    gap = gap_of(SERIES, start, end, "after_delisting", confirmed=True, next_try=AGAIN)
    plant_gaps(lake, gap)


def test_series_without_such_a_row_goes_on(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-01-05")))
    assert find_delisted(lake, [SERIES, OTHER]) == {}


def test_series_has_ended_behind_its_newest_candle(lake: Lake) -> None:
    for each in (SERIES, OTHER):
        store_candles(lake, each, candles_at(grid("2024-01-01", "2024-01-05")))
    plant(lake)
    assert find_delisted(lake, [SERIES, OTHER]) == {SERIES: Delisting(time("2024-01-05"), AGAIN)}


def test_series_of_which_nothing_is_stored_can_have_ended(lake: Lake) -> None:
    plant(lake)
    assert list(find_delisted(lake, [SERIES])) == [SERIES]


def test_series_that_has_newer_candles_has_come_back(lake: Lake) -> None:
    plant(lake)
    store_candles(lake, SERIES, candles_at(grid("2024-01-07", "2024-01-08")))
    assert find_delisted(lake, [SERIES]) == {}


def test_end_is_believed_until_the_next_try() -> None:
    ended = Delisting(time("2024-01-05"), AGAIN)
    assert ended.is_believed(AGAIN - timedelta(seconds=1))
    assert not ended.is_believed(AGAIN)
    assert Delisting(time("2024-01-05"), None).is_believed(AGAIN)
