import polars as pl
import pytest

from data_platform.storage.change import Change, compare, drop_outdated
from data_platform_tests.storage.lake import at, candles

STORED = candles(range(2, 6))


def test_the_first_rows_are_all_new() -> None:
    assert compare(None, STORED) == Change(4, 0, 0, inserted=False)
    assert compare(STORED.clear(), STORED) == Change(4, 0, 0, inserted=False)


@pytest.mark.parametrize(
    ("merged", "change", "reason"),
    [
        (candles(range(2, 9)), Change(3, 0, 0, inserted=False), "extend"),
        (candles(range(6)), Change(2, 0, 0, inserted=True), "repair"),
        (candles(range(2, 6), price=7), Change(0, 4, 0, inserted=False), "correction"),
        (candles([2, 3]), Change(0, 0, 2, inserted=False), "correction"),
        (candles([]), Change(0, 0, 4, inserted=False), "correction"),
    ],
)
def test_a_change_is_counted_and_named(merged: pl.DataFrame, change: Change, reason: str) -> None:
    assert compare(STORED, merged) == change
    assert compare(STORED, merged).reason == reason
    assert compare(STORED, merged).rewrites == (reason != "extend")


def test_one_changed_value_among_added_rows_is_a_correction() -> None:
    merged = pl.concat([STORED.head(3), candles([5], price=50), candles([6])])
    assert compare(STORED, merged) == Change(1, 1, 0, inserted=False)


def test_a_value_that_became_null_is_a_change() -> None:
    merged = STORED.with_columns(
        volume=pl.when(pl.col("open_time") > at(4)).then(None).otherwise("volume")
    )
    assert compare(STORED, merged).changed == 1


def test_another_column_changes_every_row() -> None:
    assert compare(STORED, STORED.with_columns(x=pl.lit(1))).changed == 4


def test_rows_of_an_earlier_fetch_lose_where_a_later_one_brought_them() -> None:
    stale = candles(range(10), price=7)
    kept, outdated = drop_outdated(STORED, stale, [(at(4), at(8))])
    # 4 and 5 are stored by the later fetch; 6 to 8 are not stored, so they are added.
    assert kept["open_time"].to_list() == [at(hour) for hour in (0, 1, 2, 3, 6, 7, 8, 9)]
    assert outdated == 2


def test_equal_values_are_not_counted_as_outdated() -> None:
    kept, outdated = drop_outdated(STORED, STORED, [(at(0), at(9))])
    assert kept.is_empty()
    assert outdated == 0


def test_without_a_later_fetch_everything_stays() -> None:
    assert drop_outdated(STORED, STORED, [])[0].equals(STORED)
    assert drop_outdated(None, STORED, [(at(0), at(9))])[0].equals(STORED)
