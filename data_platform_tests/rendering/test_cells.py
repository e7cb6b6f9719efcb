"""Coverage as shapes: each kind of cell at its exact place, neighbours joined."""

from datetime import date

import polars as pl
import pytest

from data_platform.rendering.cells import Grid, day_paths, grid_of, strip_paths
from data_platform_tests.rendering.report_facts import SERIES, days_of

FULL = {"stored": 24}


def test_a_grid_runs_from_the_first_month_of_any_series_to_the_last() -> None:
    other = ("okx", "ETH/USDT", "1d")
    days = pl.concat(
        [days_of(date(2023, 11, 30), [FULL]), days_of(date(2025, 2, 1), [FULL], other)]
    )
    assert grid_of(days) == Grid((2023, 11), 16)


def test_long_maps_name_years_at_their_januaries() -> None:
    grid = Grid((2022, 11), 40)
    assert grid.unit == "month"
    assert grid.labels == [("2022", 0), ("2023", 2), ("2024", 14), ("2025", 26), ("2026", 38)]
    assert grid.rows == grid.labels
    assert grid.cuts == [2, 14, 26, 38]
    assert Grid((2020, 1), 24).labels == [("2020", 0), ("2021", 12)]


def test_shorter_maps_name_their_quarters_and_part_their_months() -> None:
    grid = Grid((2023, 11), 7)
    assert grid.labels == [("2023-11", 0), ("2024-02", 3), ("2024-05", 6)]
    assert [name for name, _ in grid.rows][1:3] == ["2023-12", "2024-01"]
    assert grid.cuts == [1, 2, 3, 4, 5, 6]


def test_a_map_of_few_months_has_a_cell_for_each_day() -> None:
    grid = Grid((2024, 1), 3)
    assert (grid.unit, grid.columns) == ("day", 31 + 29 + 31)
    assert grid.labels == [("2024-01", 0), ("2024-02", 31), ("2024-03", 60)]
    assert grid.cuts == [31, 60]
    days = days_of(date(2024, 1, 31), [FULL, {"stored": 20, "open": 4}, {"open": 24}])
    assert strip_paths(days, grid)[SERIES] == {
        "stored": "M30 0h2v4h-2z",
        "open": "M31 0h1v1h-1zM32 0h1v4h-1z",
    }


def test_no_days_have_no_shapes() -> None:
    none = days_of(date(2024, 1, 1), [])
    assert grid_of(none).months == 0
    assert strip_paths(none, grid_of(none)) == {}


def test_whole_months_are_one_rectangle() -> None:
    days = days_of(date(2024, 1, 1), [FULL] * 121)
    assert strip_paths(days, grid_of(days)) == {SERIES: {"stored": "M0 0h4v4h-4z"}}


def test_a_single_missing_candle_of_a_month_is_a_quarter_of_its_cell() -> None:
    days = days_of(date(2024, 1, 1), [*[FULL] * 40, {"stored": 23, "outage": 1}, *[FULL] * 80])
    strip = strip_paths(days, grid_of(days))[SERIES]
    assert strip == {"stored": "M0 0h4v4h-4z", "outage": "M1 0h1v1h-1z"}


@pytest.mark.parametrize(
    ("missing", "height"), [(1, 1), (6, 1), (7, 2), (12, 2), (18, 3), (19, 4), (23, 4), (24, 4)]
)
def test_a_mark_is_as_high_as_the_share_that_is_missing(missing: int, height: int) -> None:
    counts = {"stored": 24 - missing, "refused": missing}
    days = days_of(date(2024, 1, 1), [counts])
    assert day_paths(days, grid_of(days))[SERIES]["refused"] == f"M0 0h1v{height}h-1z"


def test_a_calendar_has_a_row_a_month_and_a_cell_a_day() -> None:
    gap = {"never_asked": 24}
    days = days_of(date(2024, 1, 31), [FULL, FULL, gap, gap, FULL])
    assert day_paths(days, grid_of(days))[SERIES] == {
        "stored": "M30 0h1v4h-1zM0 4h1v4h-1zM3 4h1v4h-1z",
        "never_asked": "M1 4h2v4h-2z",
    }


def test_what_should_not_be_there_is_a_base_and_no_mark() -> None:
    reasons = ("before_listing", "unavailable", "no_trades", "awaited", "after_delisting")
    days = days_of(date(2024, 1, 1), [{name: 24} for name in reasons])
    paths = day_paths(days, grid_of(days))[SERIES]
    assert paths == {name: f"M{x} 0h1v4h-1z" for x, name in enumerate(reasons)}


def test_the_reason_of_most_missing_candles_names_the_mark() -> None:
    days = days_of(date(2024, 1, 1), [{"stored": 10, "open": 5, "outage": 9}])
    assert set(day_paths(days, grid_of(days))[SERIES]) == {"stored", "outage"}


def test_series_that_touch_are_drawn_apart() -> None:
    other = ("binance", "BTC/USDT", "4h")
    days = pl.concat(
        [days_of(date(2024, 1, 1), [FULL]), days_of(date(2024, 1, 2), [{"stored": 6}], other)]
    )
    paths = day_paths(days, grid_of(days))
    assert paths == {SERIES: {"stored": "M0 0h1v4h-1z"}, other: {"stored": "M1 0h1v4h-1z"}}
