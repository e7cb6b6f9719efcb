from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.domain.candles import CANDLE_SCHEMA, FILLED_SCHEMA, TIME, TimeRange
from data_platform.domain.errors import StorageError
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.fill import (
    Carry,
    Sparse,
    add_backup,
    fill_candles,
    fill_together,
    segment_of_last,
)

START = datetime(2024, 1, 31, 23, tzinfo=UTC)
MINUTE = to_timeframe("1m")


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def stored(minutes: Sequence[int]) -> pl.DataFrame:
    rows = [(at(m), 10.0 + m, 20.0 + m, 5.0 + m, 15.0 + m, 3.0) for m in minutes]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def quiet(*ranges: tuple[int, int]) -> list[TimeRange]:
    return [TimeRange(at(first), at(end)) for first, end in ranges]


def fill(minutes: Sequence[int], *ranges: tuple[int, int], end: int | None = None) -> pl.DataFrame:
    close = max(minutes) + 1 if end is None else end
    return fill_candles(stored(minutes), None, quiet(*ranges), MINUTE, START, at(close))


def offsets(frame: pl.DataFrame, column: str = "open_time") -> list[int]:
    return [(time - START) // timedelta(minutes=1) for time in frame[column]]


def expected_rows(minutes: set[int], ranges: Sequence[tuple[int, int]]) -> list[tuple[object, ...]]:
    """Return minute, close, is_filled, segment as a walk over the grid finds them."""
    rows: list[tuple[object, ...]] = []
    segment, last, unexplained = min(minutes), min(minutes), 0
    for minute in range(min(minutes), max(minutes) + 1):
        if minute in minutes:
            segment = minute if unexplained > 10 else segment
            last, unexplained = minute, 0
        elif not any(first <= minute < end for first, end in ranges):
            unexplained += 1
        if unexplained <= 10:
            rows.append((at(minute), 15.0 + last, minute != last, at(segment)))
    return rows


def test_candles_without_a_hole_stay_as_they_are() -> None:
    filled = fill([0, 1, 2])
    assert filled.schema == FILLED_SCHEMA
    assert filled.select(CANDLE_SCHEMA.names()).equals(stored([0, 1, 2]))
    assert filled["is_filled"].to_list() == [False] * 3
    assert filled["fill_method"].to_list() == [None] * 3


def test_a_filled_candle_carries_the_close_without_volume() -> None:
    row = fill([0, 2]).row(1, named=True)
    assert {row[name] for name in ("open", "high", "low", "close")} == {15.0}
    assert (row["volume"], row["is_filled"], row["fill_method"]) == (0.0, True, "carry")
    assert row["segment"] == at(0)


def test_a_hole_of_ten_is_filled_within_one_segment() -> None:
    filled = fill([0, 11])
    assert offsets(filled) == list(range(12))
    assert offsets(filled, "segment") == [0] * 12


def test_of_a_hole_of_eleven_ten_are_filled_and_a_segment_begins_after_it() -> None:
    filled = fill([0, 12, 13])
    assert offsets(filled) == [*range(11), 12, 13]
    assert offsets(filled, "segment") == [0] * 11 + [12, 12]


def test_a_time_without_trades_is_filled_at_any_length() -> None:
    filled = fill([0, 200], (1, 200))
    assert offsets(filled) == list(range(201))
    assert offsets(filled, "segment") == [0] * 201


def test_quiet_times_do_not_count_towards_the_ten() -> None:
    filled = fill([0, 100], (1, 50))
    assert offsets(filled) == [*range(60), 100]
    assert offsets(fill([0, 100], (50, 100))) == [*range(11), 100]


def test_the_grid_ends_where_it_is_told() -> None:
    assert offsets(fill([0, 1])) == [0, 1]
    assert offsets(fill([0, 1], end=5)) == [0, 1, 2, 3, 4]


def test_before_the_first_candle_there_is_nothing() -> None:
    assert offsets(fill([7, 8])) == [7, 8]
    empty = fill_candles(stored([]), None, [], MINUTE, at(0), at(60))
    assert (empty.schema, empty.height) == (FILLED_SCHEMA, 0)


def test_a_month_without_candles_goes_on_from_the_last_one() -> None:
    carry = Carry(stored([0]), at(-500))
    rows = fill_candles(stored([]), carry, [], MINUTE, at(5), at(60))
    assert offsets(rows) == [5, 6, 7, 8, 9, 10]
    assert offsets(rows, "segment") == [-500] * 6
    quiet_month = fill_candles(stored([]), carry, quiet((1, 60)), MINUTE, at(5), at(60))
    assert quiet_month.height == 55


def test_a_month_long_after_the_last_candle_begins_a_segment() -> None:
    carry = Carry(stored([0]), at(-500))
    rows = fill_candles(stored([70]), carry, [], MINUTE, at(60), at(72))
    assert offsets(rows) == [70, 71]
    assert offsets(rows, "segment") == [70, 70]


@pytest.mark.parametrize("moment", [timedelta(seconds=30), timedelta(minutes=99)])
def test_a_candle_off_the_grid_is_never_dropped_silently(moment: timedelta) -> None:
    candles = pl.concat(
        [stored([0, 1, 2]), stored([3]).with_columns(open_time=pl.lit(at(2) + moment, TIME))]
    )
    with pytest.raises(StorageError, match=r"4 stored 1m candles .* found 3 there: that of 202"):
        fill_candles(candles, None, [], MINUTE, at(0), at(10))


def test_before_the_range_lies_what_is_carried_and_nothing_else() -> None:
    with pytest.raises(StorageError, match=r"on the grid from 2024-01-31 23:01.* found 1 there"):
        fill_candles(stored([0, 1]), None, [], MINUTE, at(1), at(5))
    with pytest.raises(StorageError, match="that of 2024-01-31 23:02"):
        fill_candles(stored([3]), Carry(stored([2]), at(0)), [], MINUTE, at(1), at(5))


grids = st.sets(st.integers(0, 120), min_size=1, max_size=40)
bounds = st.lists(st.integers(0, 120), max_size=8, unique=True).map(sorted)


def ranges_between(bounds: list[int]) -> list[tuple[int, int]]:
    return list(pairwise(bounds))[::2]


@settings(deadline=None, max_examples=200)
@given(grids, bounds)
def test_filling_is_the_walk_over_the_grid(minutes: set[int], bounds: list[int]) -> None:
    ranges = ranges_between(bounds)
    filled = fill(sorted(minutes), *ranges)
    found = filled.select("open_time", "close", "is_filled", "segment").rows()
    assert found == expected_rows(minutes, ranges)


@settings(deadline=None, max_examples=200)
@given(grids, bounds, st.integers(0, 121))
def test_the_result_does_not_depend_on_the_cut_into_months(
    minutes: set[int], bounds: list[int], cut: int
) -> None:
    ranges = ranges_between(bounds)
    before, after = sorted(m for m in minutes if m < cut), sorted(m for m in minutes if m >= cut)
    first, carry = FILLED_SCHEMA.to_frame(), None
    if before:
        first = fill(before, *ranges, end=cut if after else max(before) + 1)
        times = stored(before)["open_time"]
        carry = Carry(stored(before[-1:]), segment_of_last(times, quiet(*ranges), MINUTE))
    end = max(*after, cut) + 1 if after else cut
    second = fill_candles(stored(after), carry, quiet(*ranges), MINUTE, at(cut), at(end))
    whole = fill(sorted(minutes), *ranges)
    assert pl.concat([first, second]).equals(whole)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(grids, bounds, st.integers(0, 121)), max_size=5))
def test_ranges_filled_together_are_the_walks_over_their_grids(
    series: list[tuple[set[int], list[int], int]],
) -> None:
    sparse, expected = [], []
    for minutes, bounds, cut in series:
        ranges = ranges_between(bounds)
        before, after = (
            sorted(m for m in minutes if m < cut),
            sorted(m for m in minutes if m >= cut),
        )
        end = max(*after, cut) + 1 if after else cut
        carry = None
        if before:
            known = fill(before, *ranges)
            carry = Carry(stored(before[-1:]), known["segment"][-1])
        sparse.append(Sparse(stored(after), carry, quiet(*ranges), MINUTE, at(cut), at(end)))
        later = [at(minute) for minute in range(cut, 121)]
        expected.append([row for row in expected_rows(minutes, ranges) if row[0] in later])
    found = fill_together(sparse)
    told = ("open_time", "close", "is_filled", "segment")
    assert [frame.select(told).rows() for frame in found] == expected


def test_ranges_of_other_timeframes_are_filled_together() -> None:
    hour = to_timeframe("1h")
    hourly = Sparse(stored([0, 120]), None, [], hour, at(0), at(180))
    found = fill_together([hourly, Sparse(stored([0, 2]), None, [], MINUTE, at(0), at(3)), hourly])
    assert [offsets(frame) for frame in found] == [[0, 60, 120], [0, 1, 2], [0, 60, 120]]


@settings(deadline=None, max_examples=200)
@given(grids, bounds, st.data())
def test_later_candles_change_no_row(
    minutes: set[int], bounds: list[int], data: st.DataObject
) -> None:
    ranges = ranges_between(bounds)
    now = data.draw(st.sampled_from(sorted(minutes)))
    known = fill(sorted(m for m in minutes if m <= now), *ranges)
    whole = fill(sorted(minutes), *ranges)
    assert known.equals(whole.filter(pl.col("open_time") <= at(now)))


def test_whether_the_eleventh_candle_comes_changes_none_of_the_ten() -> None:
    came, stayed_away = fill([0, 11, 30]), fill([0, 12, 30])
    assert came.head(11).equals(stayed_away.head(11))


@settings(deadline=None, max_examples=50)
@given(grids, bounds)
def test_the_segment_of_the_last_candle_is_found_without_filling(
    minutes: set[int], bounds: list[int]
) -> None:
    ranges = ranges_between(bounds)
    times = pl.Series([at(m) for m in sorted(minutes)], dtype=TIME)
    found = segment_of_last(times, quiet(*ranges), MINUTE)
    assert found == expected_rows(minutes, ranges)[-1][3]


def lent(minutes: Sequence[int]) -> pl.DataFrame:
    """Return the backup's candles, whose prices no own candle has."""
    return stored(minutes).with_columns(pl.col("open", "high", "low", "close") + 1000.0)


def test_the_backup_stands_in_its_gaps_alone_and_never_over_an_own_candle() -> None:
    backed = add_backup(stored([0, 1, 5, 9]), lent(range(12)), quiet((1, 4), (7, 9)), "okx")
    assert offsets(backed) == [0, 1, 2, 3, 5, 7, 8, 9]
    own = backed.filter(pl.col("fill_method").is_null()).select(CANDLE_SCHEMA.names())
    assert own.equals(stored([0, 1, 5, 9]))
    taken = backed.filter(pl.col("fill_method") == "backup:okx").select(CANDLE_SCHEMA.names())
    assert taken.equals(lent([2, 3, 7, 8]))


@settings(deadline=None, max_examples=200)
@given(grids, grids, bounds, bounds, st.integers(0, 121))
def test_no_row_sees_what_comes_later_not_even_of_the_backup(
    own: set[int], theirs: set[int], gaps: list[int], still: list[int], cut: int
) -> None:
    open_gaps, silent = ranges_between(gaps), ranges_between(still)

    def filled_until(minute: int) -> pl.DataFrame:
        mine = stored(sorted(it for it in own if it < minute))
        other = lent(sorted(it for it in theirs if it < minute))
        backed = add_backup(mine, other, quiet(*open_gaps), "okx")
        first = min(own)
        backed = backed.filter(pl.col("open_time") >= at(first))
        return fill_candles(backed, None, quiet(*silent), MINUTE, START, at(minute))

    whole = filled_until(122)
    known = whole.filter(pl.col("open_time") < at(cut))
    assert filled_until(cut).equals(known)
