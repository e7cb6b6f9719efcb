import hashlib
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.domain.candles import (
    CANDLE_SCHEMA,
    TIME,
    TimeRange,
    closed_before,
    content_hash,
    empty_candles,
    join_ranges,
    merge_candles,
    missing_ranges,
    places_between,
    subtract_ranges,
)
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.factories import candles_at, grid, time

MINUTE = to_timeframe("1m")
T0 = datetime(2024, 3, 31, 23, 58, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def times(*minutes: int) -> pl.Series:
    return pl.Series([at(minute) for minute in minutes], dtype=TIME)


def test_the_hash_is_the_one_written_down_by_hand() -> None:
    frame = pl.DataFrame({"open_time": times(0), "open": [1.5]})
    expected = hashlib.sha256(b"1")
    expected.update(b"open_time:Datetime(time_unit='ms', time_zone='UTC')")
    expected.update(struct.pack("<q", int(T0.timestamp() * 1000)))
    expected.update(b"open:Float64" + struct.pack("<d", 1.5))
    assert content_hash(frame) == expected.hexdigest()


def test_the_hash_holds_values_with_nulls_as_zero_and_then_which_are_null() -> None:
    frame = pl.DataFrame(
        {
            "open": [None, 1.5, None, -2.0, float("nan")],
            "count": pl.Series([7, None, 1, 2, 3], dtype=pl.Int32),
            "is_up": [True, None, False, True, None],
            "method": ["ab", None, "", "é", None],
            "segment": pl.Series([None, T0, None, T0, T0], dtype=TIME),
            "none": pl.Series([None] * 5, dtype=pl.String),
        }
    )
    ms = int(T0.timestamp() * 1000)
    expected = hashlib.sha256(b"5")
    expected.update(b"open:Float64" + struct.pack("<5d", 0, 1.5, 0, -2, float("nan")))
    expected.update(bytes([1, 0, 1, 0, 0]))
    expected.update(b"count:Int32" + struct.pack("<5i", 7, 0, 1, 2, 3) + bytes([0, 1, 0, 0, 0]))
    expected.update(b"is_up:Boolean" + bytes([1, 0, 0, 1, 0]) + bytes([0, 1, 0, 0, 1]))
    expected.update(b"method:String" + struct.pack("<5I", 2, 0, 0, 2, 0) + "abé".encode())
    expected.update(bytes([0, 1, 0, 0, 1]))
    expected.update(b"segment:Datetime(time_unit='ms', time_zone='UTC')")
    expected.update(struct.pack("<5q", 0, ms, 0, ms, ms) + bytes([1, 0, 1, 0, 0]))
    expected.update(b"none:String" + struct.pack("<5I", 0, 0, 0, 0, 0) + bytes([1] * 5))
    assert content_hash(frame) == expected.hexdigest()


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.none() | st.floats(width=64), min_size=1, max_size=40),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_the_hash_of_a_part_does_not_depend_on_where_it_lies(
    values: list[float | None], first: int, count: int
) -> None:
    flags = [None if value is None else value > 0 for value in values]
    whole = pl.DataFrame({"a": values, "b": flags}, schema={"a": pl.Float64, "b": pl.Boolean})
    part = values[first : first + count], flags[first : first + count]
    alone = pl.DataFrame({"a": part[0], "b": part[1]}, schema=whole.schema)
    assert content_hash(whole.slice(first, count)) == content_hash(alone)


def test_what_lies_under_a_null_does_not_change_the_hash() -> None:
    lies = pl.DataFrame({"a": [3.0, 4.0, 5.0], "b": [True, True, True]})
    hidden = lies.select(pl.when(pl.Series([True, False, True])).then(pl.all()))
    assert content_hash(hidden) == content_hash(
        pl.DataFrame({"a": [3.0, None, 5.0], "b": [True, None, True]})
    )


@pytest.mark.parametrize("values", [[[1]], [{"x": 1}], [Decimal("1.5")]])
def test_values_without_a_size_are_refused_instead_of_hashed_by_their_place(
    values: list[object],
) -> None:
    with pytest.raises(TypeError, match="column 'a' is"):
        content_hash(pl.DataFrame({"a": values}))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": [1.0, None]}, {"a": [1.0, 0.0]}),
        ({"a": [1.0, 2.0]}, {"a": [2.0, 1.0]}),
        ({"a": [1.0]}, {"b": [1.0]}),
        ({"a": ["ab", "c"]}, {"a": ["a", "bc"]}),
        ({"a": [True, None]}, {"a": [True, False]}),
        ({"a": [1.0]}, {"a": [1.0000000000000002]}),
    ],
)
def test_different_content_has_different_hashes(
    left: dict[str, list[float]], right: dict[str, list[float]]
) -> None:
    assert content_hash(pl.DataFrame(left)) != content_hash(pl.DataFrame(right))


def test_chunks_do_not_change_the_hash() -> None:
    whole = pl.DataFrame({"a": [1.0, 2.0, None]})
    parts = pl.concat([whole[:1], whole[1:]], rechunk=False)
    assert content_hash(whole) == content_hash(parts)


def test_a_frame_without_rows_still_has_a_hash_of_its_schema() -> None:
    assert content_hash(CANDLE_SCHEMA.to_frame()) != content_hash(pl.DataFrame({"a": []}))


minutes = st.dictionaries(st.integers(0, 20), st.floats(1, 9), max_size=12)


def rows_of(given: dict[int, float], order: int) -> pl.DataFrame:
    rows = [(at(minute), *[value] * 5) for minute, value in given.items()]
    frame = pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")
    return frame.sample(fraction=1, shuffle=True, seed=order)


@settings(deadline=None, max_examples=200)
@given(minutes, minutes, st.integers(0, 25), st.integers(0, 9))
def test_a_merge_is_what_a_dictionary_makes_of_both(
    older: dict[int, float], newer: dict[int, float], later: int, order: int
) -> None:
    # Often all that is new comes behind all that is stored, as in a lake.
    newer = {minute + later: value for minute, value in newer.items()}
    stored = rows_of(older, order).sort("open_time")
    merged = merge_candles(stored, rows_of(newer, order))
    expected = [(at(minute), value) for minute, value in sorted({**older, **newer}.items())]
    assert merged.select("open_time", "close").rows() == expected
    assert merged.schema == CANDLE_SCHEMA


@pytest.mark.parametrize(
    ("seconds", "closed"), [(0, -1), (4.999, -1), (5, 0), (59, 0), (64.999, 0), (65, 1)]
)
def test_a_candle_is_closed_only_after_its_end_and_grace(seconds: float, closed: int) -> None:
    now = T0 + timedelta(seconds=seconds)
    assert closed_before(now, MINUTE, timedelta(seconds=5)) == at(closed)


def test_a_hole_across_midnight_and_month_is_one_run() -> None:
    found = missing_ranges(times(0, 1, 5, 6), MINUTE, at(0), at(8))
    assert found == [TimeRange(at(2), at(5)), TimeRange(at(7), at(8))]


def test_everything_is_missing_where_nothing_is_stored() -> None:
    assert missing_ranges(times(), MINUTE, at(0), at(3)) == [TimeRange(at(0), at(3))]
    assert missing_ranges(times(-5, 9), MINUTE, at(0), at(3)) == [TimeRange(at(0), at(3))]


def test_nothing_is_missing_where_all_is_stored_or_the_range_is_empty() -> None:
    assert missing_ranges(times(0, 1, 2), MINUTE, at(0), at(3)) == []
    assert missing_ranges(times(), MINUTE, at(3), at(3)) == []


def test_known_parts_are_cut_out_of_ranges() -> None:
    parts = subtract_ranges(
        [TimeRange(at(0), at(10))], [TimeRange(at(2), at(3)), TimeRange(at(8), at(20))]
    )
    assert parts == [TimeRange(at(0), at(2)), TimeRange(at(3), at(8))]


def test_touching_and_overlapping_ranges_become_one() -> None:
    parts = [TimeRange(at(4), at(6)), TimeRange(at(0), at(2)), TimeRange(at(2), at(3))]
    assert join_ranges(parts) == [TimeRange(at(0), at(3)), TimeRange(at(4), at(6))]


@pytest.mark.parametrize(
    ("start", "end", "places"),
    [
        ("2024-01-01 01:00", "2024-01-01 03:00", (1, 3)),
        ("2024-01-01 00:59:59.999", "2024-01-01 03:00:00.001", (1, 4)),
        ("2024-01-01 01:00:00.0005", "2024-01-01 03:00", (2, 3)),
        ("2023-01-01", "2025-01-01", (0, 5)),
        ("2025-01-01", "2026-01-01", (5, 5)),
        ("2024-01-01 03:00", "2024-01-01 01:00", (3, 3)),
    ],
)
def test_places_between_two_times_are_those_that_a_filter_finds(
    start: str, end: str, places: tuple[int, int]
) -> None:
    opened = candles_at(grid("2024-01-01", "2024-01-01 05:00"))["open_time"]
    first, last = time(start), time(end)
    assert places_between(opened, first, last) == places
    assert opened[slice(*places)].to_list() == [it for it in opened if first <= it < last]


def test_nothing_lies_between_two_times_of_nothing() -> None:
    assert places_between(empty_candles()["open_time"], time("2024-01"), time("2024-02")) == (0, 0)
