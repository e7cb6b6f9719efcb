import pytest
import sqlalchemy as sa

from data_platform.domain.candles import TimeRange
from data_platform.domain.layers import Partition
from data_platform.operations.journal_book import QUIET, JournalBook, ledger_input
from data_platform.operations.lake import Lake
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    month_of,
    partition_of,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line

SERIES = series_of()


def test_ledger_input_tells_ranges_and_statuses_apart(lake: Lake) -> None:
    january = TimeRange(time("2024-01"), time("2024-02"))
    nothing = ledger_input(lake, SERIES, january)
    plant_gaps(lake, gap_of(SERIES, "2024-01-30", "2024-02-02", "open"))
    with_open = ledger_input(lake, SERIES, january)
    # What lies outside the range does not matter.
    plant_gaps(lake, gap_of(SERIES, "2024-01-30", "2024-02-05", "open"))
    assert ledger_input(lake, SERIES, january) == with_open
    plant_gaps(lake, gap_of(SERIES, "2024-01-30", "2024-02-05", "outage"))
    hashes = {it.content_hash for it in (nothing, with_open, ledger_input(lake, SERIES, january))}
    assert len(hashes) == 3


@pytest.mark.parametrize("name", ["ledger", QUIET])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-01-01", "2024-02-01"),
        ("2024-01-10", "2024-01-11"),
        ("2024-01-10 06:00", "2024-01-20 06:00"),
        ("2024-01-11", "2024-01-20"),
        ("2023-01-01", "2023-02-01"),
    ],
)
def test_a_book_that_holds_all_gaps_finds_those_of_a_range(
    lake: Lake, name: str, start: str, end: str
) -> None:
    noted = ledger_input(lake, SERIES, TimeRange(time(start), time(end)), name)
    for status in ("no_trades", "outage"):
        assert JournalBook(lake).is_as_noted(noted)
        for first, last in (("2024-01-10", "2024-01-11"), ("2024-01-20", "2024-01-21")):
            plant_gaps(lake, gap_of(SERIES, first, last, status, confirmed=True))
        again = ledger_input(lake, SERIES, TimeRange(time(start), time(end)), name)
        assert JournalBook(lake).is_as_noted(noted) == (again == noted)
        noted = again


def test_a_book_asks_once_however_many_months_there_are(lake: Lake) -> None:
    months = [month_of(f"2023-{month:02}") for month in range(1, 13)]
    store_candles(lake, SERIES, candles_at(grid("2023-01-01", "2024-01-01", "1h")))
    derive_line(lake, SERIES, months)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        asked.append(text)

    book = JournalBook(lake)
    sa.event.listen(lake.state._engine, "before_cursor_execute", note)
    for partition in partitions_of(SERIES, "2023-01", "2023-12", layer="filled"):
        assert book.row(partition)
        (quiet,) = [it for it in book.inputs(partition) if it.layer == QUIET]
        assert book.is_as_noted(quiet)
        assert not book.is_damaged("filled", SERIES, partition.period)
    assert len([text for text in asked if text != "BEGIN"]) <= 5


def test_what_was_written_is_read_again(lake: Lake) -> None:
    book, partition = JournalBook(lake), partition_of(SERIES)
    assert book.row(partition) is None
    assert book.months("ohlcv", SERIES) == []
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-01-02")))
    assert book.row(partition) is None
    book.forget(Partition("ohlcv", SERIES, month_of("2024-01")))
    assert book.row(partition)
    (month,) = book.months("ohlcv", SERIES)
    assert (month.start, month.last) == (time("2024-01"), time("2024-01-01 23:00"))
