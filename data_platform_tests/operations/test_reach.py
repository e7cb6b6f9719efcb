"""A corrected candle: exactly what rests on it is stale at one look, made again, and nothing else.

The dependency set is found here in another way: every layer is made from scratch of the candles
before and after the correction, and the months whose content differs are the ones that depend.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.features.feature_set import FeatureSet
from data_platform.features.markets import MarketColumns
from data_platform.operations.backlog import Scope
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.operations.stale import find_stale
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    content,
    grid,
    lake_at,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line

NAMES = ("sma_5", "rsi_2")
JOINED = FeatureSet(
    "joined",
    1,
    returns=(1, 30),
    indicators=("sma_5", "sma_40"),
    joins={series_of(timeframe="1h").timeframe: {series_of(timeframe="4h").timeframe: ("sma_5",)}},
    markets=(MarketColumns("btc", Pair("BTC/USDT"), returns=(1,)),),
)
PLAIN = FeatureSet("plain", 1, returns=(1,))
MONTHS = [month_of(f"2024-0{number}") for number in (1, 2, 3, 4)]
BTC, ETH = Pair("BTC/USDT"), Pair("ETH/USDT")
EVERY = [
    series_of("binance", pair, timeframe)
    for timeframe in ("4h", "1h")
    for pair in ("BTC/USDT", "ETH/USDT")
]
NOW = time("2024-05-05")


def recipes_of(series: Series) -> list[Recipe]:
    return [
        filled_recipe(),
        indicators_recipe(NAMES),
        features_recipe(JOINED, series.timeframe, NAMES),
        features_recipe(PLAIN, series.timeframe, NAMES),
    ]


RECIPES = {series.timeframe: recipes_of(series) for series in EVERY}
SCOPE = Scope("binance", {BTC: time("2024-01"), ETH: time("2024-01")}, [], GRACE, RECIPES, ())


def candles_of(series: Series) -> pl.DataFrame:
    times = grid("2024-01-01", "2024-05-01", series.timeframe)
    gone = ("2024-02-29 21:00", "2024-03-01 02:00"), ("2024-03-10", "2024-03-12")
    kept = [it for it in times if not any(time(a) <= it < time(b) for a, b in gone)]
    return candles_at(kept).with_columns(close=pl.col("close") + pl.int_range(pl.len()) % 13)


def corrected(moment: str) -> pl.DataFrame:
    return candles_at([time(moment)], 700.0)


def opened(root: Path) -> Lake:
    root.mkdir()
    return lake_at(root)


def fill_lake(lake: Lake, series: Series, moment: str | None = None) -> Lake:
    for each in EVERY:
        store_candles(lake, each, candles_of(each))
        if each == series and moment:
            store_candles(lake, each, corrected(moment))
    make(lake, [(each, month) for each in EVERY for month in MONTHS])
    return lake


def make(lake: Lake, cells: Sequence[tuple[Series, Period]]) -> set[str]:
    """Make months again as one run does, layer by layer; return what was written."""
    found = set()
    for layer in ("filled", "indicators", "features"):
        for series in EVERY:
            months = sorted({month for each, month in cells if each == series})
            line = [it for it in RECIPES[series.timeframe] if it.layer == layer]
            for recipe in line:
                report = derive_line(lake, series, months, [recipe])[layer]
                assert not report.failures
                found |= {str(it.partition) for it in report.partitions if it.outcome == "written"}
    return found


def hashes(lake: Lake) -> dict[str, str | None]:
    found = {}
    for series in EVERY:
        for recipe in RECIPES[series.timeframe]:
            for month in MONTHS:
                partition = Partition(recipe.layer, series, month, recipe.feature_set)
                found[str(partition)] = content(lake, partition)
    return found


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    lake = fill_lake(lake_at(tmp_path_factory.mktemp("before")), EVERY[0])
    found = hashes(lake)
    lake.state.close()
    return found


CORRECTIONS = [
    ("1h", "BTC/USDT", "2024-02-10 05:00", {"2024-02"}),
    ("1h", "BTC/USDT", "2024-02-29 20:00", {"2024-02", "2024-03"}),
    ("1h", "ETH/USDT", "2024-03-31 22:00", {"2024-03", "2024-04"}),
    ("4h", "BTC/USDT", "2024-03-31 20:00", {"2024-03", "2024-04"}),
    ("1h", "BTC/USDT", "2024-04-30 23:00", {"2024-04"}),
]


@pytest.mark.parametrize(("timeframe", "pair", "moment", "months"), CORRECTIONS)
def test_exactly_the_dependency_set_is_stale_at_one_look_and_made_again(
    tmp_path: Path,
    before: dict[str, str | None],
    timeframe: str,
    pair: str,
    moment: str,
    months: set[str],
) -> None:
    series = series_of("binance", pair, timeframe)
    rebuilt = fill_lake(opened(tmp_path / "rebuilt"), series, moment)
    after = hashes(rebuilt)
    depends = {name for name in after if after[name] != before[name]}
    assert {name.rpartition("|")[2] for name in depends} == months

    lake = fill_lake(opened(tmp_path / "lake"), series)
    store_candles(lake, series, corrected(moment))
    cells = find_stale(lake, SCOPE, NOW)
    wanted = [(each, month) for pair_, month in cells for each in EVERY if each.pair == pair_]
    assert make(lake, wanted) == depends
    assert hashes(lake) == after
    assert find_stale(lake, SCOPE, NOW) == {}
    named = {(name.split(" ")[1].partition("|")[0], name.rpartition("|")[2]) for name in depends}
    assert {(each.key, str(month)) for each, month in cells} == named
    for each in (rebuilt, lake):
        each.state.close()
