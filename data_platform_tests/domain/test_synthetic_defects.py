from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.synthetic_defects import DEFECTS, Defect
from data_platform.domain.synthetic_ground import PLANT_SCHEMA, Delivery, Ground
from data_platform_tests.domain.test_synthetic_ground import START, ground_of

DEFECT = {defect.name: defect for defect in DEFECTS}
MINUTE = timedelta(minutes=1)


def planted(name: str, seed: int = 3) -> tuple[Ground, Delivery]:
    ground = ground_of(DEFECT[name].timeframe)
    return ground, DEFECT[name].plant(ground, np.random.default_rng(seed))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_the_same_dice_plant_the_same_and_others_do_not_touch_the_ground(defect: Defect) -> None:
    ground, first = planted(defect.name)
    kept = ground.candles.clone()
    _, again = planted(defect.name)
    assert first.rows.equals(again.rows)
    assert first.planted.equals(again.planted)
    assert ground.candles.equals(kept)
    assert first.rows.schema == CANDLE_SCHEMA
    assert first.planted.schema == PLANT_SCHEMA
    assert not first.planted.is_empty()
    assert (first.planted["start"] < first.planted["end"]).all()


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_what_differs_from_the_clean_candles_lies_at_the_planted_times(defect: Defect) -> None:
    ground, delivery = planted(defect.name)
    rows = delivery.rows.with_columns(pl.selectors.float().fill_nan(-7.0))
    changed = rows.join(ground.candles, on=CANDLE_SCHEMA.names(), how="anti", nulls_equal=True)
    lost = ground.candles.join(rows, on="open_time", how="anti")
    labels = delivery.planted.sort("start")
    beside = changed.sort("open_time").join_asof(labels, left_on="open_time", right_on="start")
    assert (beside["open_time"] < beside["end"]).all()
    spoiled = labels.sort("slot")
    behind = lost.sort("open_time").join_asof(spoiled, left_on="open_time", right_on="slot")
    assert (behind["slot"].is_not_null()).all()


def test_a_gap_s_candles_are_gone_and_their_neighbours_are_not() -> None:
    ground, delivery = planted("gap")
    times = set(delivery.rows["open_time"])
    missing = 0
    for start, end in delivery.planted.select("start", "end").rows():
        missing += (end - start) // MINUTE
        assert not [at for at in times if start <= at < end]
        assert start - MINUTE in times
        assert end in times or end == START + timedelta(days=3)
    assert ground.candles.height - delivery.rows.height == missing


def test_a_spike_leaps_by_at_least_twelve_percent() -> None:
    ground, delivery = planted("spike")
    both = delivery.rows.join(ground.candles, on="open_time", suffix="_clean")
    leapt = both.filter(
        (pl.col("high") / pl.col("high_clean") > 1.119)
        | (pl.col("low") / pl.col("low_clean") < 0.881)
    )
    assert leapt["open_time"].to_list() == delivery.planted["start"].to_list()


def test_a_flat_run_is_a_frozen_feed_after_a_candle_that_moved() -> None:
    _, delivery = planted("flat run")
    for start, end in delivery.planted.select("start", "end").rows():
        inside = delivery.rows.filter(pl.col("open_time").is_between(start, end, closed="left"))
        ahead = delivery.rows.filter(pl.col("open_time") == start - MINUTE)
        assert inside.height == (end - start) // MINUTE > 60
        assert (
            inside.select("open", "high", "low", "close").unique().row(0)
            == (ahead["close"][0],) * 4
        )
        assert inside["volume"].sum() == 0
        assert ahead["high"][0] > ahead["low"][0]


def test_a_copy_is_the_other_exchange_s_number_for_number() -> None:
    ground, delivery = planted("wrong-exchange copy")
    for start, end in delivery.planted.select("start", "end").rows():
        within = pl.col("open_time").is_between(start, end, closed="left")
        assert delivery.rows.filter(within).equals(ground.elsewhere.filter(within))
        assert ground.elsewhere.filter(pl.col("open_time") == start)["volume"][0] > 0


def test_close_stamped_candles_are_named_by_their_close() -> None:
    ground, delivery = planted("close-stamped 1h")
    moved = delivery.rows.with_columns(pl.col("open_time") - timedelta(hours=1))
    assert moved.equals(ground.candles[:-1])


def test_fives_are_whole_sums_of_the_minutes_that_they_stand_for() -> None:
    ground, delivery = planted("5m delivered as 1m")
    assert delivery.rows.height * 5 == ground.candles.height
    assert delivery.rows["volume"].sum() == pytest.approx(ground.candles["volume"].sum())


def test_what_cannot_be_true_is_told_from_what_is_unusual() -> None:
    unusual = {defect.name for defect in DEFECTS if not defect.is_impossible}
    assert unusual == {
        "gap", "spike", "outlying return", "loud volume", "flat run", "fallen silent"
    }  # fmt: skip
