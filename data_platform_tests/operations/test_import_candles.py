"""Foreign candles go through the audit, never over the exchange's own, and each one is counted."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.errors import ForeignFileError
from data_platform.operations.import_candles import Import, ImportReport, import_candles
from data_platform.operations.lake import Lake
from data_platform.storage.quarantine import list_refused
from data_platform_tests.factories import (
    candles_at,
    gaps_in,
    grid,
    journal_of,
    partition_of,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.scripted import ScriptedSource
from data_platform_tests.operations.venues import rules_of

SERIES = series_of()
MONTHS = [partition_of(SERIES, "2024-01"), partition_of(SERIES, "2024-02")]
WHOLE = candles_at(grid("2024-01-01", "2024-03-01"))
LATER = time("2024-03-02")
opens = pl.col("open_time")


def bring(lake: Lake, rows: pl.DataFrame, **more: object) -> ImportReport:
    order = Import(Path("folder/BTCUSDT-1h.csv"), SERIES, rows, **more)  # type: ignore[arg-type]
    return import_candles(lake, order, rules_of(MONTHS), LATER)


def test_file_is_stored_month_by_month_and_the_journal_names_it(lake: Lake) -> None:
    report = bring(lake, WHOLE.reverse())
    assert (report.rows, report.added, report.months) == (1440, 1440, MONTHS)
    assert (report.changed, report.kept, report.equal, report.refused) == (0, 0, 0, 0)
    assert stored(lake, SERIES).equals(WHOLE)
    row = journal_of(lake, MONTHS[1])
    assert (row.source, row.rows) == ("import:BTCUSDT-1h.csv", 696)


def test_same_file_again_writes_nothing(lake: Lake) -> None:
    bring(lake, WHOLE)
    before = [journal_of(lake, it).version for it in MONTHS]
    report = bring(lake, WHOLE)
    assert (report.added, report.equal, report.months) == (0, 1440, [])
    assert [journal_of(lake, it).version for it in MONTHS] == before


def test_stored_candle_stays_and_the_difference_is_counted(lake: Lake) -> None:
    noon = time("2024-01-10 12:00")
    own = WHOLE.filter(opens < noon + timedelta(hours=1))
    store_candles(lake, SERIES, own)
    other = WHOLE.with_columns(pl.when(opens == noon).then(0.5).otherwise("volume").alias("volume"))
    report = bring(lake, other)
    assert (report.added, report.kept, report.changed) == (1440 - own.height, 1, 0)
    assert report.equal == own.height - 1
    assert stored(lake, SERIES).equals(WHOLE)


def test_stored_candle_gives_way_when_asked_for(lake: Lake) -> None:
    noon = time("2024-01-10 12:00")
    store_candles(lake, SERIES, WHOLE)
    other = WHOLE.with_columns(pl.when(opens == noon).then(0.5).otherwise("volume").alias("volume"))
    report = bring(lake, other, replaces=True)
    assert (report.changed, report.kept, report.equal) == (1, 0, 1439)
    assert stored(lake, SERIES).equals(other)
    assert journal_of(lake, MONTHS[0]).reason == "correction"


def test_candle_that_cannot_be_true_goes_to_quarantine_and_the_rest_is_stored(lake: Lake) -> None:
    noon = time("2024-01-10 12:00")
    bad = WHOLE.with_columns(pl.when(opens == noon).then(-1.0).otherwise("low").alias("low"))
    report = bring(lake, bad)
    assert (report.added, report.refused) == (1439, 1)
    assert stored(lake, SERIES).equals(WHOLE.filter(opens != noon))
    [file] = list_refused(lake.store.layout)
    assert file.rows["open_time"].to_list() == [noon]


def test_gap_that_is_filled_closes_and_the_rest_of_it_stays(lake: Lake) -> None:
    noon = time("2024-01-10 12:00")
    hole = opens.is_between(noon, noon + timedelta(hours=2))
    ScriptedSource({SERIES: WHOLE.filter(~hole)}).update(lake, MONTHS)
    report = bring(lake, WHOLE.filter(opens == noon))
    assert report.added == 1
    assert gaps_in(lake, SERIES) == [("2024-01-10 13:00", "2024-01-10 15:00", "outage", True)]


def test_range_is_taken_as_asked(lake: Lake) -> None:
    start, end = time("2024-01-05"), time("2024-01-06")
    assert bring(lake, WHOLE, start=start, end=end).rows == 24
    assert stored(lake, SERIES)["open_time"].to_list() == grid("2024-01-05", "2024-01-06")


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("2023-12-31", "2024-01-02", r"24 of its candles open before .* \(2024-01-01\)"),
        ("2024-03-01", "2024-03-04", r"open in the future, the last at 2024-03-03 23:00"),
        (
            "2024-03-01",
            "2024-03-02 02:00",
            r" 1 of its candles open in the future, the last at .* 01",
        ),
        ("2024-01-01", "2024-01-01", "holds no candle of the range"),
    ],
)
def test_what_does_not_belong_is_refused_before_anything_is_stored(
    lake: Lake, first: str, last: str, message: str
) -> None:
    with pytest.raises(ForeignFileError, match=message):
        bring(lake, candles_at(grid(first, last)))
    assert lake.store.journal(MONTHS[0]) is None


def test_pair_that_is_not_configured_is_refused(lake: Lake) -> None:
    order = Import(Path("x.csv"), series_of(pair="PEPE/USDT"), WHOLE)
    with pytest.raises(ForeignFileError, match="add its pair to the config"):
        import_candles(lake, order, rules_of(MONTHS), LATER)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (candles_at(grid("2024-01-01", "2024-02-01", "1d")), r"31 times are 1,440 minutes apart"),
        (candles_at(grid("2024-01-01", "2024-01-04", "4h")), r"18 times are 240 minutes apart"),
        (candles_at(grid("2024-01-01", "2024-01-02", "5m")), r"264 of 288 .* off the grid of 1h"),
        (WHOLE.with_columns(opens.dt.offset_by("30m")), r"1,440 of 1,440 .* off the grid of 1h"),
    ],
)
def test_candles_of_another_timeframe_are_refused(
    lake: Lake, rows: pl.DataFrame, message: str
) -> None:
    with pytest.raises(ForeignFileError, match=message):
        bring(lake, rows)
    assert lake.store.journal(MONTHS[0]) is None


def test_sparse_candles_are_of_their_timeframe(lake: Lake) -> None:
    # One candle off the coarser grid tells that it is chance, and few candles tell nothing.
    quiet = grid("2024-01-01", "2024-01-08", "4h")
    assert bring(lake, candles_at([*quiet, time("2024-01-09 01:00")])).added == 43
    assert bring(lake, candles_at(grid("2024-02-01", "2024-02-03", "4h"))).added == 12
