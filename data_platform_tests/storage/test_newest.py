from pathlib import Path

import pytest
import sqlalchemy as sa

from data_platform.domain.errors import DamagedFileError
from data_platform.domain.periods import Period
from data_platform.storage.newest import NewestReader
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import HOUR, candles, commit, partition, series, utc

FEBRUARY = Period(2024, 2)


@pytest.fixture
def reader(store: PartitionStore, root: Path) -> NewestReader:
    for pair in ("BTC/USDT", "ETH/USDT"):
        for period in (Period(2023, 12), Period(2024, 1), FEBRUARY):
            commit(store, candles([5, 6], period=period), partition(series(pair=pair), period))
    return NewestReader(root, store.state, "binance", utc(2024, 1, 15))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (utc(2024, 1, 1, 6), utc(2024, 2, 1, 6)),
        (utc(2024, 2), utc(2024, 3)),
        (utc(2024, 3), utc(2024, 4)),
    ],
)
def test_reads_what_the_store_reads(
    store: PartitionStore, reader: NewestReader, start: object, end: object
) -> None:
    for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT"):
        wanted = ("ohlcv", series(pair=pair), start, end)
        assert reader.read_range(*wanted).equals(store.read_range(*wanted))  # type: ignore[arg-type]


def test_a_series_without_newer_months_has_its_earlier_ones(
    store: PartitionStore, reader: NewestReader
) -> None:
    old = series(pair="OLD/USDT")
    commit(store, candles([3], period=Period(2023, 1)), partition(old, Period(2023, 1)))
    found = reader.read_with_history("ohlcv", old, utc(2024, 2), utc(2024, 3), 1)
    assert found["open_time"].to_list() == [utc(2023, 1, 1, 3)]


def test_series_of_another_exchange_are_read_too(
    store: PartitionStore, reader: NewestReader
) -> None:
    other = series("okx")
    commit(store, candles([1], period=FEBRUARY), partition(other, FEBRUARY))
    assert reader.read_range("ohlcv", other, utc(2024, 2), utc(2024, 3)).height == 1


def test_the_journal_is_asked_once_for_all_series(reader: NewestReader) -> None:
    asked: list[str] = []

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        for pair in ("BTC/USDT", "ETH/USDT", "BTC/USDT"):
            reader.read_range("ohlcv", series(pair=pair), utc(2024, 2), utc(2024, 3))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert sum("commits" in statement for statement in asked) == 1


def test_a_damaged_file_is_refused(store: PartitionStore, reader: NewestReader) -> None:
    path = store.layout.partition(partition(series(), FEBRUARY))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DamagedFileError):
        reader.read_range("ohlcv", series(timeframe=HOUR), utc(2024, 2), utc(2024, 3))
