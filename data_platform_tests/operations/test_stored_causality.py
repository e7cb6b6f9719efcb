"""The proof on stored partitions: what is honest passes, what has seen the future does not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair
from data_platform.features import feature_set as feature_module
from data_platform.features.feature_set import FeatureSet
from data_platform.features.markets import MarketColumns
from data_platform.operations import feature_line
from data_platform.operations.computed_store import Lines
from data_platform.operations.lake import Lake
from data_platform.operations.stored_causality import features_of, prove_partition, sample
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    month_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line, recipes_of

HOURS, FOUR, ETH = series_of(), series_of(timeframe="4h"), series_of("binance", "ETH/USDT")
ONE = FeatureSet(
    "small",
    1,
    returns=(1, 30),
    indicators=("sma_5", "rsi_14"),
    joins={HOURS.timeframe: {FOUR.timeframe: ("sma_5",)}},
    markets=(MarketColumns("eth", Pair("ETH/USDT"), returns=(1,)),),
)
MONTHS = [month_of("2024-01"), month_of("2024-02"), month_of("2024-03")]
LINES: Lines = {
    "binance": {each.timeframe: recipes_of(each, feature_set=ONE) for each in (HOURS, FOUR)}
}
DAY = date(2024, 5, 1)


@pytest.fixture
def stored(lake: Lake) -> Lake:
    """Give a lake with gaps, one of them quiet and one that breaks the segment."""
    gone = ("2024-02-10 03:00", "2024-02-10 08:00"), ("2024-02-20", "2024-02-21 06:00")
    for series in (FOUR, ETH, HOURS):
        times = grid("2024-01-10", "2024-03-05", series.timeframe)
        kept = [it for it in times if not any(time(a) <= it < time(b) for a, b in gone)]
        moving = candles_at(kept).with_columns(close=pl.col("close") + pl.int_range(pl.len()) % 13)
        store_candles(lake, series, moving)
    plant_gaps(lake, gap_of(HOURS, *gone[0], "no_trades", confirmed=True))
    for series in (FOUR, ETH, HOURS):
        derive_line(lake, series, MONTHS, LINES["binance"][series.timeframe])
    return lake


def partition(month: int = 1) -> Partition:
    return Partition("features", HOURS, MONTHS[month], ONE.key)


def test_honest_partitions_pass_on_every_day(stored: Lake) -> None:
    for number in range(4):
        for month in range(3):
            proof = prove_partition(stored, LINES, partition(month), DAY.replace(day=1 + number))
            assert proof is not None
            assert proof.leaks == ()
            assert proof.rows > 90


@pytest.mark.parametrize(
    ("bait", "column"),
    [
        (pl.col("return_1").shift(-1), "return_1"),
        (pl.col("rsi_14") - pl.col("rsi_14").mean(), "rsi_14"),
        (pl.col("return_30").backward_fill(), "return_30"),
        (pl.col("sma_5_4h").shift(-4), "sma_5_4h"),
        (pl.col("return_1_eth").shift(-1), "return_1_eth"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_what_was_stored_with_the_future_is_found_and_named(
    stored: Lake, monkeypatch: pytest.MonkeyPatch, bait: pl.Expr, column: str
) -> None:
    honest = feature_module.build_features

    def leaky(*asked: object) -> pl.DataFrame:
        return honest(*asked).with_columns(bait.alias(column))  # type: ignore[arg-type]

    monkeypatch.setattr(feature_line, "build_features", leaky)
    own = replace(ONE, version=2)
    lines: Lines = {
        "binance": {each.timeframe: recipes_of(each, feature_set=own) for each in (HOURS, FOUR)}
    }
    derive_line(stored, HOURS, MONTHS, lines["binance"][HOURS.timeframe])
    found: Mapping[str, set[str]] = {"columns": set()}
    for number in range(6):
        where = replace(partition(), feature_set=own.key)
        proof = prove_partition(stored, lines, where, DAY.replace(day=1 + number))
        assert proof is not None
        found["columns"].update(leak.column for leak in proof.leaks)
    assert found["columns"] == {column}


def test_what_is_to_be_computed_anew_is_not_judged(stored: Lake) -> None:
    changed = candles_at([time("2024-02-03 05:00")], 900.0)
    store_candles(stored, HOURS, changed)
    assert prove_partition(stored, LINES, partition(), DAY) is None
    assert prove_partition(stored, {}, partition(), DAY) is None
    assert prove_partition(stored, LINES, replace(partition(), feature_set="x-v1"), DAY) is None


def test_the_sample_follows_the_day_and_nothing_else(stored: Lake) -> None:
    rows = features_of(stored, "binance", HOURS.timeframe, frozenset({"BTC-USDT", "ETH-USDT"}))
    assert len(rows) == 6
    days = [date(2024, 5, 1 + number) for number in range(31)]
    chosen = [sample(rows, day) for day in days]
    assert chosen == [sample(list(reversed(rows)), day) for day in days]
    assert len({row.partition for row in chosen if row}) > 3
    assert features_of(stored, "binance", HOURS.timeframe, frozenset({"BTC-USDT"})) == rows[:3]
    assert sample([], DAY) is None
