import sqlalchemy as sa

from data_platform.domain.candles import TimeRange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.operations.journal_book import JournalBook, ledger_input
from data_platform.operations.lake import Lake
from data_platform.operations.recipes import filled_recipe
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


def asked(lake: Lake) -> list[str]:
    """Every statement from now on."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        found.extend([text] if text != "BEGIN" else [])

    sa.event.listen(lake.state._engine, "before_cursor_execute", note)
    return found


def made_months(lake: Lake, series: Series) -> list[Partition]:
    months = [month_of(f"2023-{month:02}") for month in range(1, 13)]
    store_candles(lake, series, candles_at(grid("2023-01-01", "2024-01-01", "1h")))
    plant_gaps(lake, gap_of(series, "2023-03-01", "2023-05-02", "no_trades", confirmed=True))
    derive_line(lake, series, months)
    return partitions_of(series, "2023-01", "2023-12", layer="filled")


def test_a_book_asks_once_however_many_months_there_are(lake: Lake) -> None:
    partitions = made_months(lake, SERIES)
    statements, book = asked(lake), JournalBook(lake)
    for partition in partitions:
        assert book.row(partition)
        assert book.inputs(partition)
        assert len(book.ledger(SERIES)) == 3
        assert not book.is_damaged("filled", SERIES, partition.period)
    assert len(statements) <= 4


def test_a_book_of_an_exchange_asks_thrice_however_many_series_there_are(lake: Lake) -> None:
    pairs = [series_of(pair=f"{base}/USDT") for base in ("BTC", "ETH", "SOL")]
    partitions = [it for series in pairs for it in made_months(lake, series)]
    store_candles(lake, series_of("okx"), candles_at(grid("2023-01-01", "2023-01-02", "1h")))
    statements = asked(lake)
    whole, single = JournalBook.of_exchange(lake, "binance"), JournalBook(lake)
    assert len(statements) == 3
    known = [(whole.row(it), whole.inputs(it), whole.ledger(it.series)) for it in partitions]
    # What was never made is known, too.
    assert whole.rows("vectorbt", pairs[0]) == []
    assert len(statements) == 3
    assert known == [
        (single.row(it), single.inputs(it), single.ledger(it.series)) for it in partitions
    ]


def test_what_is_asked_for_ahead_takes_five_questions_and_says_the_same(lake: Lake) -> None:
    pairs = [series_of(pair=f"{base}/USDT") for base in ("BTC", "ETH")]
    made = [it for series in pairs for it in made_months(lake, series)]
    never = partitions_of(series_of(pair="SOL/USDT"), layer="filled")
    statements, book = asked(lake), JournalBook(lake)
    for _ in range(2):
        book.read_ahead([*made, *never], filled_recipe().reads, with_ledger=True)
        assert len(statements) == 5
    ahead = [
        (book.row(it), book.rows("ohlcv", it.series), book.inputs(it), book.ledger(it.series))
        for it in (*made, *never)
    ]
    assert not any(book.is_damaged("filled", it.series, it.period) for it in made)
    assert len(statements) == 5
    single = JournalBook(lake)
    for partition, known in zip((*made, *never), ahead, strict=True):
        rows = single.rows("ohlcv", partition.series)
        inputs, ledger = single.inputs(partition), single.ledger(partition.series)
        assert known == (single.row(partition), rows, inputs, ledger)
    store_candles(lake, pairs[0], candles_at(grid("2023-12-30", "2023-12-31"), 90.0))
    derive_line(lake, pairs[0], [month_of("2023-12")])
    book.forget(made[11])
    assert book.inputs(made[11]) == JournalBook(lake).inputs(made[11]) != ahead[11][2]


def test_what_was_written_is_read_again(lake: Lake) -> None:
    book, partition = JournalBook(lake), partition_of(SERIES)
    assert book.row(partition) is None
    assert book.months("ohlcv", SERIES) == []
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-01-02")))
    assert book.row(partition) is None
    book.forget(Partition("ohlcv", SERIES, month_of("2024-01")))
    assert book.row(partition)
    (month,) = book.months("ohlcv", SERIES)
    assert (month.start, month.first) == (time("2024-01"), time("2024-01-01"))
    assert month.last == time("2024-01-01 23:00")
