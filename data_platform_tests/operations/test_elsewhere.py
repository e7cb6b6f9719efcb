"""A correction on one exchange reaches the features that join it on another, at one look."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import content_hash
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair
from data_platform.features.feature_set import FeatureSet
from data_platform.features.markets import MarketColumns
from data_platform.operations.backlog import Scope, find_backlog
from data_platform.operations.computed_store import Lines
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.operations.stale import Cell, find_stale
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    grid,
    lake_at,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line, written

OWN, OTHER = series_of("binance", "ETH/USDT"), series_of("okx", "ETH/USDT")
STORED = ("sma_5", "obv")
JANUARY, FEBRUARY, MARCH = MONTHS = [month_of(f"2024-0{number}") for number in (1, 2, 3)]
START, END = time("2024-01-20"), time("2024-03-05")
NOW = time("2024-03-05 00:30")
CROSS = FeatureSet(
    "cross",
    1,
    returns=(1,),
    markets=(MarketColumns("okx", Pair("ETH/USDT"), "okx", returns=(1,), indicators=("sma_5",)),),
)
BELOW: list[Recipe] = [filled_recipe(), indicators_recipe(STORED)]
LINES: Lines = {"okx": {OTHER.timeframe: BELOW}}
LINE = [*BELOW, features_recipe(CROSS, OWN.timeframe, STORED, LINES)]
SCOPE = Scope("binance", {OWN.pair: START}, [], GRACE, {OWN.timeframe: LINE}, ())


def candles(price: float) -> pl.DataFrame:
    return candles_at(grid("2024-01-20", "2024-03-05"), price).with_columns(
        close=pl.col("close") + pl.int_range(pl.len()) % 7
    )


def correct(lake: Lake, *times: str) -> None:
    at = pl.col("open_time").is_in([time(each) for each in times])
    store_candles(lake, OTHER, candles(174.0).filter(at).with_columns(pl.col("close", "high") + 3))


def made(root: Path, *corrected: str) -> Lake:
    """A lake whose lines are made from scratch, the other exchange's first."""
    root.mkdir(exist_ok=True)
    lake = lake_at(root)
    store_candles(lake, OWN, candles(100.0))
    store_candles(lake, OTHER, candles(174.0))
    if corrected:
        correct(lake, *corrected)
    derive_line(lake, OTHER, MONTHS, BELOW)
    derive_line(lake, OWN, MONTHS, LINE)
    return lake


def features(lake: Lake) -> dict[str, str]:
    found = {}
    for month in MONTHS:
        stored = lake.store.read(Partition("features", OWN, month, CROSS.key))
        assert stored is not None
        found[str(month)] = content_hash(stored.frame)
    return found


def look(lake: Lake) -> Mapping[Cell, str]:
    return find_stale(lake, SCOPE, NOW)


@pytest.mark.parametrize(
    ("corrected", "months"),
    [
        ("2024-02-10 05:00", [FEBRUARY]),
        # The first rows of March look back over the edge: one by the return, four by the average.
        ("2024-02-29 23:00", [FEBRUARY, MARCH]),
        ("2024-02-29 20:00", [FEBRUARY, MARCH]),
        ("2024-02-29 18:00", [FEBRUARY]),
        ("2024-03-04 00:00", [MARCH]),
    ],
)
def test_a_correction_elsewhere_is_reached_before_that_exchange_has_made_anything_again(
    tmp_path: Path, corrected: str, months: list[object]
) -> None:
    lake = made(tmp_path / "lake")
    assert look(lake) == {}
    correct(lake, corrected)
    found = look(lake)
    assert found.keys() == {(OWN.pair, month) for month in months}
    assert look(lake) == found
    assert find_backlog(lake, SCOPE, NOW) >= found.keys()
    again = written(derive_line(lake, OWN, MONTHS, LINE))
    assert again == {f"features {month}" for month in months}
    assert features(lake) == features(made(tmp_path / "fresh", corrected))
    # Nothing is asked for twice, neither before the other exchange has followed nor after.
    assert look(lake) == {}
    derive_line(lake, OTHER, MONTHS, BELOW)
    assert look(lake) == {}
    assert written(derive_line(lake, OWN, MONTHS, LINE)) == set()


def test_growth_elsewhere_waits_for_its_refresh(tmp_path: Path) -> None:
    lake = made(tmp_path)
    store_candles(lake, OTHER, candles_at(grid("2024-03-05", "2024-03-05 03:00"), 200.0))
    assert look(lake) == {}
    assert find_backlog(lake, SCOPE, NOW) == set()


def test_a_correction_elsewhere_is_reached_though_the_own_month_has_grown(tmp_path: Path) -> None:
    lake = made(tmp_path)
    store_candles(lake, OWN, candles_at(grid("2024-03-05", "2024-03-05 03:00"), 100.0))
    derive_line(lake, OWN, MONTHS, BELOW)
    assert look(lake) == {}
    correct(lake, "2024-03-04 00:00")
    assert look(lake).keys() == {(OWN.pair, MARCH)}


def test_another_exchange_that_was_never_computed_is_no_correction(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    store_candles(lake, OWN, candles(100.0))
    store_candles(lake, OTHER, candles(174.0))
    derive_line(lake, OWN, MONTHS, LINE)
    assert look(lake) == {}


def test_a_second_correction_gives_another_digest(tmp_path: Path) -> None:
    lake = made(tmp_path)
    correct(lake, "2024-02-10 05:00")
    first = look(lake)
    correct(lake, "2024-02-10 05:00", "2024-02-11 05:00")
    assert look(lake).keys() == first.keys()
    assert look(lake) != first
