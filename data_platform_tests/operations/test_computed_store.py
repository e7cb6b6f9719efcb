"""The lake as it would be: stored months before a time, computed ones from it on."""

import polars as pl
import pytest

from data_platform.operations.computed_store import Lines, computed_lake, recipe_of
from data_platform.operations.lake import Lake
from data_platform_tests.factories import (
    candles_at,
    grid,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import SMALL, derive_line, recipes_of

SERIES = series_of()
MONTHS = [month_of("2024-01"), month_of("2024-02")]
LINES: Lines = {"binance": {SERIES.timeframe: recipes_of(SERIES)}}
FEBRUARY = time("2024-02")


@pytest.fixture
def stored(lake: Lake) -> Lake:
    store_candles(lake, SERIES, candles_at(grid("2024-01-20", "2024-02-10")))
    derive_line(lake, SERIES, MONTHS)
    return lake


@pytest.mark.parametrize("layer", ["ohlcv", "filled", "indicators", "features"])
def test_what_is_computed_is_what_was_stored(stored: Lake, layer: str) -> None:
    fresh = computed_lake(stored, LINES, FEBRUARY)
    name = SMALL.key if layer == "features" else None
    for start, end, rows in (
        ("2024-01-25", "2024-02-05", 3),
        ("2024-02-03", "2024-02-05", 100),
        ("2024-02-03", "2024-02-03", 5),
        ("2024-01-23", "2024-01-24", 5),
        ("2024-02-01", "2024-02-20", 0),
    ):
        asked = (layer, SERIES, time(start), time(end), rows)
        found = fresh.store.read_with_history(*asked, feature_set=name)
        assert found.equals(stored.store.read_with_history(*asked, feature_set=name))
        chosen = fresh.store.read_with_history(*asked, feature_set=name, columns=["close"])
        assert chosen.equals(found.select("close"))


def test_given_candles_take_the_place_of_stored_ones_from_a_month_on(stored: Lake) -> None:
    given = candles_at(grid("2024-02-01", "2024-02-03"), 500.0)
    fresh = computed_lake(stored, LINES, FEBRUARY, {SERIES: given}).store
    rows = fresh.read_range(
        "features", SERIES, time("2024-01-31"), time("2024-03-01"), feature_set=SMALL.key
    )
    assert rows["open_time"].to_list() == grid("2024-01-31", "2024-02-03")
    assert rows.filter(pl.col("open_time") >= FEBRUARY)["close"].equals(given["close"])
    last = candles_at([time("2024-01-31 23:00")])["close"][0]
    first = rows.filter(pl.col("open_time") == FEBRUARY)
    assert first["return_1"][0] == given["close"][0] / last - 1
    assert fresh.newest("binance")["BTC-USDT", "1h"] == time("2024-02-02 23:00")


def test_given_candles_that_reach_as_far_leave_later_months_there(stored: Lake) -> None:
    store_candles(stored, SERIES, candles_at(grid("2024-03-01", "2024-03-02")))
    own = stored.store.read_range("ohlcv", SERIES, FEBRUARY, time("2024-03"))
    fresh = computed_lake(stored, LINES, FEBRUARY, {SERIES: own}).store
    assert fresh.newest("binance")["BTC-USDT", "1h"] == time("2024-03-01 23:00")
    none = computed_lake(stored, LINES, FEBRUARY, {SERIES: own.clear()}).store
    assert none.newest("binance")["BTC-USDT", "1h"] == time("2024-01-31 23:00")


def test_what_has_no_recipe_is_read_as_stored(stored: Lake) -> None:
    fresh = computed_lake(stored, {}, FEBRUARY).store
    asked = ("indicators", SERIES, time("2024-01-31"), time("2024-02-02"))
    assert fresh.read_range(*asked).equals(stored.store.read_range(*asked))
    assert recipe_of(LINES, "features", SERIES, "other-v1") is None
    assert recipe_of(LINES, "filled", SERIES) is LINES["binance"][SERIES.timeframe][0]
