import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import GarbageError
from data_platform.domain.exchanges import Exchange, SinceMeaning, exchange_row
from data_platform.domain.timeframes import to_timeframe
from data_platform.sources.pages import (
    Page,
    already_open,
    check_place,
    doubtful_parts,
    inside,
    next_page,
    proven_hole,
    to_candles,
    unproven,
)

MINUTE = to_timeframe("1m")
START = datetime(2024, 1, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def page(start: int, end: int) -> Page:
    return Page(at(start), at(end))


def candles(*minutes: float) -> pl.DataFrame:
    rows = [[int(at(m).timestamp() * 1000), 1.0, 2.0, 0.5, 1.5, 10.0] for m in minutes]
    return to_candles(rows)


def test_pages_follow_one_another_and_end_with_the_range() -> None:
    assert next_page(at(0), at(250), MINUTE, 100) == page(0, 100)
    assert next_page(at(200), at(250), MINUTE, 100) == page(200, 250)


def test_rows_become_sorted_candles_and_keep_twins() -> None:
    frame = candles(2, 0, 1, 1)
    assert frame.schema == CANDLE_SCHEMA
    assert frame["open_time"].to_list() == [at(0), at(1), at(1), at(2)]


def test_no_rows_are_a_frame_of_candles_too() -> None:
    assert to_candles([]).schema == CANDLE_SCHEMA


def test_whole_numbers_and_missing_values_are_kept() -> None:
    rows = [[1_704_067_200_000, 1, None, math.nan, math.inf, 0]]
    assert str(to_candles(rows).rows()[0][1:]) == "(1.0, None, nan, inf, 0.0)"


@pytest.mark.parametrize("time", [None, "1704067200000", 1.5, 0, -5, 10**30])
def test_row_without_a_readable_time_is_garbage(time: object) -> None:
    with pytest.raises(GarbageError):
        to_candles([[time, 1.0, 1.0, 1.0, 1.0, 1.0]])  # type: ignore[list-item]


def test_row_too_short_is_garbage() -> None:
    with pytest.raises(GarbageError):
        to_candles([[1_704_067_200_000, 1.0]])


def test_rows_of_the_future_are_dropped() -> None:
    found = already_open(candles(0, 1, 2, 500_000), at(1.5), MINUTE)
    assert found["open_time"].to_list() == [at(0), at(1), at(2)]
    assert already_open(found, at(1), MINUTE).equals(found)
    assert already_open(candles(), at(0), MINUTE).is_empty()


def test_rows_of_other_pages_are_dropped() -> None:
    assert inside(candles(-1, 0, 9, 10), page(0, 10))["open_time"].to_list() == [at(0), at(9)]


@pytest.mark.parametrize(
    ("meaning", "minutes"),
    [
        ("window", [-2, -1]),
        ("next_rows", [-2, -1]),
        ("window", [990, 999, 1000]),
        ("window", [5, 11, 1000]),
    ],
)
def test_answer_that_ignores_what_was_asked_is_garbage(
    meaning: SinceMeaning, minutes: list[int]
) -> None:
    with pytest.raises(GarbageError, match=r"2024-01-01 00:00\.\.2024-01-01 00:10"):
        check_place(candles(*minutes), page(0, 10), meaning, at(1000), MINUTE)


@pytest.mark.parametrize(
    ("meaning", "minutes"),
    [
        ("window", []),
        ("window", [10]),
        ("window", [-1, 3]),
        ("window", [500, 501]),
        ("window", [0, 5, 1000]),
        ("next_rows", [500]),
        ("next_rows", [1000]),
        ("newest_only", [1000]),
        ("newest_only", [989]),
    ],
)
def test_answer_that_says_something_about_the_page_is_taken(
    meaning: SinceMeaning, minutes: list[int]
) -> None:
    check_place(candles(*minutes), page(0, 10), meaning, at(1000), MINUTE)


def test_newest_candles_that_are_old_are_garbage() -> None:
    with pytest.raises(GarbageError, match=r"of 2024-01-01 16:28 UTC, long before"):
        check_place(candles(500, 988), page(0, 1000), "newest_only", at(1000), MINUTE)


def test_tail_that_begins_with_a_gap_is_taken() -> None:
    check_place(candles(3, 9, 10), page(0, 10), "window", at(10), MINUTE)


def test_whole_page_proves_itself() -> None:
    assert unproven(candles(*range(10)), page(0, 10), MINUTE) == []


def test_page_with_a_gap_proves_its_gap() -> None:
    assert unproven(candles(0, 1, 8), page(0, 10), MINUTE) == []


def test_full_page_of_twins_proves_neither_edge() -> None:
    twins = candles(3, 3, 3, 3, 3, 4, 4, 4, 4, 5)
    assert unproven(twins, page(0, 10), MINUTE) == [page(0, 3), page(6, 10)]


BINANCE, OKX, COINBASE = (exchange_row(name) for name in ("binance", "okx", "coinbase"))


@pytest.mark.parametrize(
    ("exchange", "minutes", "doubtful"),
    [
        # The first rows at or after `since`: only what lies behind the last one is in doubt.
        (BINANCE, range(120), [page(120, 300)]),
        (BINANCE, [*range(120), 300], []),
        (BINANCE, range(180, 300), []),
        (BINANCE, [], [page(0, 300)]),
        (BINANCE, [500], []),
        # A window without quiet candles: both edges, whatever their length.
        (OKX, range(120), [page(120, 300)]),
        (OKX, range(180, 300), [page(0, 180)]),
        (OKX, range(1, 299), [page(0, 1), page(299, 300)]),
        (OKX, [*range(100), *range(150, 300)], []),
        (OKX, [*range(120), 300], []),
        (OKX, [], []),
        # Quiet minutes have no candle: an edge is odd when it is long, and longer than three
        # times the longest other hole of the page.
        (COINBASE, range(120), [page(120, 300)]),
        (COINBASE, range(180, 300), [page(0, 180)]),
        (COINBASE, range(290), []),
        (COINBASE, range(289), [page(289, 300)]),
        (COINBASE, [*range(40), *range(50, 270)], []),
        (COINBASE, [*range(40), *range(50, 269)], [page(269, 300)]),
        (COINBASE, [60], [page(61, 300)]),
        (COINBASE, [75], []),
        (COINBASE, [], []),
    ],
)
def test_edges_of_a_short_page_are_in_doubt_where_a_cut_would_look_the_same(
    exchange: Exchange, minutes: Sequence[int], doubtful: list[Page]
) -> None:
    answer = candles(*minutes)
    assert doubtful_parts(answer, page(0, 300), MINUTE, exchange, at(5000)) == doubtful


@pytest.mark.parametrize("exchange", [BINANCE, OKX, COINBASE], ids=str)
def test_newest_candles_may_be_late_without_a_doubt(exchange: Exchange) -> None:
    def edge(rows: int) -> list[Page]:
        return doubtful_parts(candles(*range(rows)), page(0, 300), MINUTE, exchange, at(300))

    assert edge(290) == []
    assert edge(289) == [page(289, 300)]
    assert edge(0) == []


def test_rows_off_the_grid_and_twins_cast_no_doubt() -> None:
    odd = candles(0, 0, 1.5, 2, *range(3, 10))
    assert doubtful_parts(odd, page(0, 10), MINUTE, OKX, at(5000)) == []


def test_hole_reaches_from_the_page_to_the_first_row_after_it() -> None:
    assert proven_hole(candles(1, 40, 41), page(0, 10), MINUTE) == page(10, 40)
    assert proven_hole(candles(40.5), page(0, 10), MINUTE) == page(10, 40)


def test_without_a_row_after_the_page_no_hole_is_proven() -> None:
    assert proven_hole(candles(1, 2), page(0, 10), MINUTE) is None
    assert proven_hole(candles(), page(0, 10), MINUTE) is None
    assert proven_hole(candles(10), page(0, 10), MINUTE) is None
