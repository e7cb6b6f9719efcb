import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.indicators.indicator import ALL
from data_platform.operations.lake import Lake
from data_platform.operations.past_rows import from_start, most, since, with_history
from data_platform.operations.recipes import filled_recipe
from data_platform_tests.factories import (
    candles_at,
    grid,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line

SERIES = series_of()
READ = ("ohlcv", SERIES)
FEBRUARY = TimeRange(time("2024-02"), time("2024-03"))


def test_a_month_comes_with_the_rows_before_it(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-30", "2024-03-02")))
    (frame,) = with_history(lake, "ohlcv", [(SERIES, FEBRUARY)], 5)
    assert frame["open_time"][0] == time("2024-01-31 19:00")
    assert frame["open_time"][-1] == time("2024-02-29 23:00")
    assert since(READ, frame, FEBRUARY.start, 5) == {READ: time("2024-01-31 19:00")}
    assert from_start(frame, FEBRUARY.start).height == 29 * 24
    day = TimeRange(FEBRUARY.start, time("2024-02-02"))
    (cut,) = with_history(lake, "ohlcv", [(SERIES, day)], 0, ["close", "open_time"])
    assert (cut.columns, cut.height) == (["close", "open_time"], 24)


def test_who_needs_more_than_there_is_depends_on_everything_older(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-30", "2024-03-02")))
    (frame,) = with_history(lake, "ohlcv", [(SERIES, FEBRUARY)], 49)
    assert frame["open_time"][0] == time("2024-01-30")
    assert since(READ, frame, FEBRUARY.start, 49) == {}


def test_all_rows_are_those_of_the_segment(lake: Lake) -> None:
    times = [it for it in grid("2024-01-20", "2024-02-02") if it.day != 25]
    store_candles(lake, SERIES, candles_at(times))
    derive_line(lake, SERIES, [month_of("2024-01"), month_of("2024-02")], [filled_recipe()])
    read = ("filled", SERIES)
    (frame,) = with_history(lake, "filled", [(SERIES, FEBRUARY)], ALL)
    assert frame["open_time"][0] == time("2024-01-26")
    assert since(read, frame, FEBRUARY.start, ALL) == {read: time("2024-01-26")}
    asked = [(SERIES, FEBRUARY), (SERIES, TimeRange(time("2024-01-22"), time("2024-01-23")))]
    chosen, before = with_history(lake, "filled", asked, ALL, ["open_time", "segment"])
    assert before["open_time"].to_list() == grid("2024-01-20", "2024-01-23")
    assert chosen.equals(frame.select("open_time", "segment"))
    assert since(read, pl.DataFrame(), FEBRUARY.start, ALL) == {}


def test_without_rows_the_month_itself_is_what_matters(lake: Lake) -> None:
    (frame,) = with_history(lake, "ohlcv", [(SERIES, FEBRUARY)], 0)
    assert frame.is_empty()
    assert since(READ, frame, FEBRUARY.start, 0) == {READ: FEBRUARY.start}


def test_everything_is_the_larger_need() -> None:
    assert most(3, 5) == 5
    assert most(3, ALL) == most(ALL, 3) == ALL
