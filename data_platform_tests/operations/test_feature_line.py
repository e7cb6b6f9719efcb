"""Feature sets over a lake: computed on the fly, of other markets, under another fill policy."""

from dataclasses import replace

import polars as pl
import pytest

from data_platform.domain.candles import TIME
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.features.feature_set import FeatureSet, feature_schema
from data_platform.features.markets import MarketColumns
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform_tests.factories import (
    candles_at,
    content,
    grid,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line, written

ETH, BTC = series_of("binance", "ETH/USDT"), series_of("binance", "BTC/USDT")
OKX = series_of("okx", "ETH/USDT")
MONTHS = [month_of("2024-01"), month_of("2024-02")]
TIMES = grid("2024-01-28", "2024-02-04")
STORED = ("sma_5",)


def moving(price: float) -> pl.DataFrame:
    """Candles whose closes no two series share."""
    return candles_at(TIMES, price).with_columns(close=pl.col("close") + pl.int_range(pl.len()) % 7)


def line_of(one: FeatureSet, series: Series = ETH) -> list[Recipe]:
    own = features_recipe(one, series.timeframe, STORED)
    return [filled_recipe(), indicators_recipe(STORED), own]


def rows_of(lake: Lake, one: FeatureSet, series: Series = ETH) -> pl.DataFrame:
    start, end = time("2024-01"), time("2024-03")
    return lake.store.read_range("features", series, start, end, feature_set=one.key)


@pytest.fixture
def three(lake: Lake) -> Lake:
    """Give a lake with the indicators of two pairs and of one of them elsewhere."""
    for number, series in enumerate((ETH, BTC, OKX)):
        store_candles(lake, series, moving(100.0 + 37 * number))
        derive_line(lake, series, MONTHS, line_of(FeatureSet("bare", 1), series)[:2])
    return lake


def test_an_indicator_that_is_not_stored_is_the_same_as_a_stored_one(three: Lake) -> None:
    names = ("sma_5", "rsi_14", "sma_33")
    one = FeatureSet("mine", 1, indicators=names)
    derive_line(three, ETH, MONTHS, line_of(one))
    everything = [
        filled_recipe(),
        indicators_recipe(names),
        features_recipe(replace(one, name="held"), ETH.timeframe, names),
    ]
    computed = rows_of(three, one)
    derive_line(three, ETH, MONTHS, everything)
    held = rows_of(three, replace(one, name="held"))
    assert computed.select(names).equals(held.select(names))
    assert computed["sma_33"].null_count() == 32


def test_a_coarser_indicator_need_not_be_stored_either(three: Lake) -> None:
    four = series_of("binance", "ETH/USDT", "4h")
    store_candles(three, four, candles_at(grid("2024-01-28", "2024-02-04", "4h"), 500.0))
    derive_line(three, four, MONTHS, line_of(FeatureSet("bare", 1), four)[:2])
    one = FeatureSet("mine", 1, joins={ETH.timeframe: {four.timeframe: ("sma_5", "sma_7")}})
    derive_line(three, ETH, MONTHS, line_of(one))
    rows = rows_of(three, one)
    close = candles_at(grid("2024-01-28", "2024-02-04", "4h"), 500.0)["close"]
    expected = close.rolling_mean(7)
    # At 2024-02-01 00:00 the candle that has closed last is that of 20:00 the day before.
    beside = rows.filter(pl.col("open_time") == time("2024-02-01"))["sma_7_4h"][0]
    assert beside == pytest.approx(expected[4 * 6 - 1], rel=1e-12)


MARKETS = FeatureSet(
    "cross",
    1,
    returns=(1,),
    markets=(
        MarketColumns("btc", Pair("BTC/USDT"), returns=(1, 24), indicators=("sma_5", "sma_9")),
        MarketColumns("okx", Pair("ETH/USDT"), "okx", returns=(1,)),
    ),
)


def test_other_markets_are_joined_across_months_and_exchanges(three: Lake) -> None:
    derive_line(three, ETH, MONTHS, line_of(MARKETS))
    rows = rows_of(three, MARKETS)
    assert rows.schema == feature_schema(MARKETS, ETH.timeframe)
    assert rows["open_time"].to_list() == TIMES
    for name, price in (("btc", 137.0), ("okx", 174.0)):
        close = moving(price)["close"]
        expected = (close / close.shift(1) - 1).alias(f"return_1_{name}")
        assert rows[f"return_1_{name}"].equals(expected)
    close = moving(137.0)["close"]
    assert rows["return_24_btc"].equals((close / close.shift(24) - 1).alias("return_24_btc"))
    assert rows["sma_9_btc"].to_list()[8:] == pytest.approx(close.rolling_mean(9).to_list()[8:])
    assert rows["has_btc"].to_list() == [False] * 24 + [True] * (len(TIMES) - 24)


def test_a_market_that_is_not_stored_is_absent_and_found_once_it_is(lake: Lake) -> None:
    store_candles(lake, ETH, moving(100.0))
    derive_line(lake, ETH, MONTHS, line_of(MARKETS))
    rows = rows_of(lake, MARKETS)
    assert rows["return_1_btc"].null_count() == rows["return_1_okx"].null_count() == len(TIMES)
    assert not rows["has_btc"].any()
    for series in (BTC, OKX):
        store_candles(lake, series, moving(137.0))
        derive_line(lake, series, MONTHS, line_of(MARKETS, series)[:2])
    again = derive_line(lake, ETH, MONTHS, line_of(MARKETS))
    assert written(again) == {"features 2024-01", "features 2024-02"}
    assert rows_of(lake, MARKETS)["return_1_okx"].null_count() == 1


def test_what_another_market_has_beyond_the_own_rows_does_not_count(three: Lake) -> None:
    derive_line(three, ETH, MONTHS, line_of(MARKETS))
    later = candles_at(grid("2024-02-04", "2024-02-05"), 137.0)
    store_candles(three, BTC, later)
    derive_line(three, BTC, MONTHS, line_of(MARKETS, BTC)[:2])
    assert written(derive_line(three, ETH, MONTHS, line_of(MARKETS))) == set()


def test_the_own_market_may_be_joined_to_itself(three: Lake) -> None:
    derive_line(three, BTC, MONTHS, line_of(MARKETS, BTC))
    rows = rows_of(three, MARKETS, BTC)
    assert rows["return_1_btc"].equals(rows["return_1"].alias("return_1_btc"))
    store_candles(three, BTC, moving(300.0).filter(pl.col("open_time") == time("2024-01-31 20:00")))
    found = written(derive_line(three, BTC, MONTHS, line_of(MARKETS, BTC)))
    assert "features 2024-02" in found


def test_without_filling_a_gap_breaks_what_carrying_bridges(lake: Lake) -> None:
    gone = (time("2024-01-31 22:00"), time("2024-01-31 23:00"), time("2024-02-01 00:00"))
    store_candles(lake, ETH, moving(100.0).filter(~pl.col("open_time").is_in(gone)))
    carried = FeatureSet("carried", 1, returns=(1,), indicators=("sma_5",))
    honest = replace(carried, name="honest", fill="none")
    derive_line(lake, ETH, MONTHS, [*line_of(carried), line_of(honest)[-1]])
    rows = rows_of(lake, honest)
    assert rows["open_time"].to_list() == [it for it in TIMES if it not in gone]
    assert rows_of(lake, carried)["open_time"].to_list() == TIMES
    after = rows.filter(pl.col("open_time") == time("2024-02-01 01:00"))
    assert after.select("return_1", "sma_5").row(0) == (None, None)
    bridged = rows_of(lake, carried).filter(pl.col("open_time") == time("2024-02-01 01:00"))
    assert None not in bridged.select("return_1", "sma_5").row(0)
    # The grid's own segment is what is stored: it has no break.
    assert rows["segment"].unique().to_list() == [time("2024-01-28")]
    assert rows.schema["segment"] == TIME


@pytest.mark.parametrize("one", [MARKETS, FeatureSet("honest", 1, returns=(3,), fill="none")])
def test_months_one_by_one_are_the_same_as_at_once(three: Lake, one: FeatureSet) -> None:
    for month in MONTHS:
        derive_line(three, ETH, [month], line_of(one))
    apart = [content(three, Partition("features", ETH, it, one.key)) for it in MONTHS]
    again = replace(one, name="again")
    derive_line(three, ETH, list(reversed(MONTHS)), line_of(again))
    assert [content(three, Partition("features", ETH, it, again.key)) for it in MONTHS] == apart


def test_two_versions_lie_side_by_side_and_are_both_read(three: Lake) -> None:
    first, second = FeatureSet("mine", 1, returns=(1,)), FeatureSet("mine", 2, returns=(2,))
    derive_line(three, ETH, MONTHS, [*line_of(first), line_of(second)[-1]])
    assert "return_1" in rows_of(three, first).columns
    assert "return_2" in rows_of(three, second).columns
    paths = {
        str(it.relative_to(three.store.root))
        for it in three.store.files("features", ETH, MONTHS, first.key)
    }
    assert {path.split("/")[1] for path in paths} == {"set=mine-v1"}


def test_a_changed_definition_under_the_same_version_is_refused(three: Lake) -> None:
    first = FeatureSet("mine", 1, returns=(1,))
    derive_line(three, ETH, MONTHS[:1], line_of(first))
    stored = rows_of(three, first)
    changed = line_of(replace(first, returns=(1, 2)))
    failures = derive_line(three, ETH, MONTHS, changed)["features"].failures
    assert len(failures) == 2
    for reason in failures.values():
        assert "mine-v1 is stored with other parameters" in reason
        assert "raise `version`" in reason
    assert rows_of(three, first).equals(stored)
    raised = derive_line(three, ETH, MONTHS, line_of(replace(first, version=2, returns=(1, 2))))
    assert raised["features"].failures == {}


def test_parameters_are_spelt_alike_whatever_a_later_program_knows() -> None:
    one = FeatureSet("mine", 1, returns=(1,), indicators=("sma_5",))
    assert one.parameters == '{"indicators": ["sma_5"], "returns": [1]}'
    assert replace(one, name="other", version=7).parameters == one.parameters
    assert "none" in replace(one, fill="none").parameters
    assert '"alias": "btc"' in MARKETS.parameters
    assert '"pair": "BTC/USDT"' in MARKETS.parameters
