import pytest

from data_platform.domain.errors import DamagedFileError, NotStoredError
from data_platform.domain.periods import Period
from data_platform.storage.complete import Wanted, read_available, read_complete
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import (
    JANUARY,
    candles,
    commit,
    partition,
    series,
    utc,
)

FEBRUARY, APRIL = Period(2024, 2), Period(2024, 4)


@pytest.fixture
def lake(store: PartitionStore) -> PartitionStore:
    """January, February (empty) and April are stored; March is not."""
    commit(store, candles([1, 2]))
    commit(store, candles([]), partition(period=FEBRUARY))
    commit(store, candles([3], period=APRIL), partition(period=APRIL))
    return store


def wanted(first: int, last: int, layer: str = "ohlcv") -> Wanted:
    return Wanted(layer, series(), utc(2024, first), utc(2024, last))


def test_a_range_whose_months_are_stored_is_read(lake: PartitionStore) -> None:
    assert read_complete(lake, wanted(1, 3)).equals(candles([1, 2]))


def test_a_month_that_was_never_stored_is_named(lake: PartitionStore) -> None:
    with pytest.raises(NotStoredError, match=r"ohlcv of binance/BTC-USDT/1h: 1 of 4 .*2024-03"):
        read_complete(lake, wanted(1, 5))
    with pytest.raises(NotStoredError, match=r"filled"):
        read_complete(lake, wanted(1, 2, "filled"))


def test_the_end_is_exclusive(lake: PartitionStore) -> None:
    assert read_complete(lake, wanted(2, 3)).is_empty()
    with pytest.raises(NotStoredError):
        read_complete(lake, Wanted("ohlcv", series(), utc(2024, 2), utc(2024, 3, 1, 1)))


def test_what_is_there_can_be_read_without_the_rest(lake: PartitionStore) -> None:
    found = read_available(lake, wanted(1, 6))
    assert found.height == 3
    assert found["open_time"].is_sorted()
    assert read_available(lake, wanted(6, 8)).equals(candles([]))


def test_a_damaged_month_is_an_error_unless_the_rest_is_enough(
    lake: PartitionStore, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = lake.files("ohlcv", series(), [JANUARY])
    path.write_bytes(b"")
    with pytest.raises(DamagedFileError, match="2024-01"):
        read_complete(lake, wanted(1, 3))
    assert read_available(lake, wanted(1, 6)).height == 1
    assert "2024-01" in caplog.text
    assert read_available(lake, wanted(1, 2)).equals(candles([]))
