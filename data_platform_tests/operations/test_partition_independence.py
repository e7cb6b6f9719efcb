"""The same columns whether history is computed whole, in months or in ticks of one candle.

Over every column of every set: the shipped ones, and one with what they do not use. Also by
recursive indicators the bits are the same, since each states how many rows it needs for that.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.features.feature_set import FeatureSet, feature_schema
from data_platform.features.markets import MarketColumns
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.settings import PROJECT_ROOT, load_settings
from data_platform_tests.factories import (
    candles_at,
    grid,
    lake_at,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line

SETTINGS = load_settings({}, config=PROJECT_ROOT / "configs/platform.yaml")
ETH, BTC = series_of("binance", "ETH/USDT"), series_of("binance", "BTC/USDT")
FOUR, DAY = (series_of("binance", "ETH/USDT", each) for each in ("4h", "1d"))
EVERY = (DAY, FOUR, BTC, ETH)
WIDE = FeatureSet(
    "wide",
    1,
    volatility=(7,),
    indicators=("ema_9", "adx_5", "obv", "sma_33"),
    joins={ETH.timeframe: {FOUR.timeframe: ("ema_5", "sma_3")}},
    markets=(MarketColumns("btc", Pair("BTC/USDT"), None, (1, 5), (10,), ("rsi_5",)),),
)
SETS = (*SETTINGS.feature_sets, WIDE, replace(WIDE, name="unfilled", fill="none"))
MONTHS = [month_of(month) for month in ("2023-12", "2024-01", "2024-02")]
FIRST_TICK, END = "2024-01-31 21:00", "2024-02-01 04:00"
GONE = {time("2024-01-20 03:00"), time("2024-01-31 22:00"), time("2024-01-31 23:00")}


def recipes_of(series: Series) -> list[Recipe]:
    stored = SETTINGS.indicators
    features = [features_recipe(one, series.timeframe, stored) for one in SETS]
    return [filled_recipe(), indicators_recipe(stored), *features]


def candles_of(series: Series, start: str, end: str) -> pl.DataFrame:
    gone = GONE if series.timeframe == ETH.timeframe else set()
    times = [it for it in grid("2023-12-20", END, series.timeframe) if it not in gone]
    hours = pl.col("open_time").dt.epoch("s") // 3600
    price = 100 + (hours * 7919) % 31 + hours % 5 / 3 + len(series.pair.key)
    moving = candles_at(times).with_columns(close=price, high=price + 3.5, low=price - 2.5)
    inside = (pl.col("open_time") >= time(start)) & (pl.col("open_time") < time(end))
    is_closed = pl.col("open_time") <= time(END) - series.timeframe.duration
    return moving.with_columns(volume=1.0 + hours % 11).filter(inside & is_closed)


def derive(lake: Lake, months: Sequence[Period] = MONTHS) -> None:
    for layer in ("filled", "indicators", "features"):
        for each in EVERY:
            for recipe in (it for it in recipes_of(each) if it.layer == layer):
                report = derive_line(lake, each, months, [recipe])[layer]
                assert not report.failures, report.failures


def rows_of(lake: Lake, one: FeatureSet) -> pl.DataFrame:
    start, end = time("2024-01"), time("2024-03")
    return lake.store.read_range("features", ETH, start, end, feature_set=one.key)


def whole(lake: Lake) -> None:
    for series in EVERY:
        store_candles(lake, series, candles_of(series, "2023-12-20", END))
    derive(lake)


def months(lake: Lake) -> None:
    for start, end in (("2023-12-20", "2024-02-01"), ("2024-02-01", END)):
        for series in EVERY:
            store_candles(lake, series, candles_of(series, start, end))
        derive(lake)


def ticks(lake: Lake) -> None:
    for series in EVERY:
        store_candles(lake, series, candles_of(series, "2023-12-20", FIRST_TICK))
    derive(lake)
    for opens in grid(FIRST_TICK, END):
        close = opens + ETH.timeframe.duration
        for series in EVERY:
            # A candle comes at its close: that of 4h with its last hour.
            start = close - series.timeframe.duration
            if series.timeframe.floor(start) == start:
                came = candles_of(series, f"{start:%Y-%m-%d %H:%M}", f"{close:%Y-%m-%d %H:%M}")
                store_candles(lake, series, came.head(1))
        derive(lake, MONTHS[1:])


WAYS = {"whole": whole, "months": months, "ticks": ticks}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    lakes = {name: lake_at(tmp_path_factory.mktemp(name)) for name in WAYS}
    for name, lake in lakes.items():
        WAYS[name](lake)
    return lakes


@pytest.mark.parametrize("way", ["months", "ticks"])
@pytest.mark.parametrize("one", SETS, ids=lambda it: it.key)
def test_every_column_has_the_same_bits(ways: dict[str, Lake], one: FeatureSet, way: str) -> None:
    expected, other = rows_of(ways["whole"], one), rows_of(ways[way], one)
    assert expected.columns == feature_schema(one, ETH.timeframe).names()
    assert expected["open_time"].to_list() == other["open_time"].to_list()
    assert expected["open_time"][-1] == time("2024-02-01 03:00")
    assert [name for name in expected.columns if not expected[name].equals(other[name])] == []


def test_the_columns_are_known_where_it_matters(ways: dict[str, Lake]) -> None:
    late = rows_of(ways["whole"], WIDE).tail(3)
    assert [name for name in late.columns if late[name].null_count()] == []
