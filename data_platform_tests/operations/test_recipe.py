from dataclasses import replace

import polars as pl

from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Ingredients, gathered, has_moved, is_stale
from data_platform.operations.recipes import filled_recipe
from data_platform_tests.factories import (
    candles_at,
    grid,
    month_of,
    partition_of,
    partitions_of,
    series_of,
    store_candles,
)
from data_platform_tests.operations.lines import derive_line, recipes_of

SERIES = series_of(timeframe="4h")
MONTHS = [month_of(f"2024-0{number}") for number in range(1, 4)]
CANDLES = candles_at(grid("2024-01-03", "2024-03-20", "4h"))


def test_unchanged_partition_is_told_by_the_journal_alone(lake: Lake) -> None:
    store_candles(lake, SERIES, CANDLES)
    derive_line(lake, SERIES, MONTHS)
    book = JournalBook(lake)
    for recipe in recipes_of(SERIES):
        for part in partitions_of(SERIES, "2024-01", "2024-03", recipe.layer):
            own = replace(part, feature_set=recipe.feature_set)
            assert not is_stale(own, recipe, book), own


def test_rows_that_moved_are_told_by_reading_them(lake: Lake) -> None:
    store_candles(lake, SERIES, CANDLES)
    derive_line(lake, SERIES, MONTHS)
    february = partition_of(SERIES, "2024-02", "filled")
    assert not has_moved(lake, february, filled_recipe())
    other = CANDLES.filter(pl.col("open_time").dt.month() == 2).with_columns(volume=pl.lit(9.0))
    store_candles(lake, SERIES, other)
    assert has_moved(lake, february, filled_recipe())
    assert not has_moved(lake, partition_of(SERIES, "2024-01", "filled"), filled_recipe())


def test_what_is_gathered_is_computed_for_those_that_are_asked_for() -> None:
    january, february = partitions_of(SERIES, "2024-01", "2024-02")
    found = {january: (Ingredients(()), 1), february: (Ingredients(()), 2)}
    both = gathered(found, lambda numbers: [pl.DataFrame({"number": it}) for it in numbers])
    assert list(both.ingredients) == [january, february]
    (made,) = both.compute([february])
    assert made["number"].to_list() == [2]
