"""Coverage as shapes: each kind of cell at its exact place, neighbours joined."""

from datetime import date

import polars as pl
import pytest

from data_platform.rendering.cells import Grid, day_paths, grid_of, month_paths
from data_platform_tests.rendering.report_facts import SERIES, days_of

FULL = {"stored": 24}


def test_a_grid_runs_from_the_first_month_of_any_series_to_the_last() -> None:
    other = ("okx", "ETH/USDT", "1d")
    days = pl.concat(
        [days_of(date(2023, 11, 30), [FULL]), days_of(date(2025, 2, 1), [FULL], other)]
    )
    grid = grid_of(days)
    assert grid == Grid((2023, 11), 16)
    assert grid.years == [(2023, 0), (2024, 2), (2025, 14)]


def test_a_grid_that_begins_in_january_names_each_year_once() -> None:
    assert Grid((2020, 1), 24).years == [(2020, 0), (2021, 12)]
    assert Grid((2020, 1), 12).years == [(2020, 0)]


def test_no_days_have_no_shapes() -> None:
    none = days_of(date(2024, 1, 1), [])
    assert grid_of(none).months == 0
    assert month_paths(none, grid_of(none)) == {}


def test_whole_months_are_one_rectangle() -> None:
    days = days_of(date(2024, 1, 1), [FULL] * 91)
    assert month_paths(days, grid_of(days)) == {SERIES: {"stored": "M0 0h3v4h-3z"}}


def test_a_single_missing_candle_of_a_month_is_a_quarter_of_its_cell() -> None:
    days = days_of(date(2024, 1, 1), [*[FULL] * 40, {"stored": 23, "outage": 1}, *[FULL] * 30])
    strip = month_paths(days, grid_of(days))[SERIES]
    assert strip == {"stored": "M0 0h3v4h-3z", "outage": "M1 0h1v1h-1z"}


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
