import math
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_platform.domain.candles import empty_candles
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.quality.outliers import (
    RULES,
    find_outlying_returns,
    find_price_jumps,
    find_volume_spikes,
)
from data_platform.quality.rule import RuleInput
from data_platform.quality.schema import PRICES
from data_platform.quality.trailing import history_candles
from data_platform_tests.factories import candles_at, grid
from data_platform_tests.quality.conftest import END

JUMPS, SPIKES, RETURNS = (rule.limits for rule in RULES)
AT = 2000
Given = Callable[..., RuleInput]


def times(given: RuleInput, *rows: int) -> list[object]:
    return [given.candles["open_time"][row] for row in rows]


def scaled(factor: float, first: int, last: int, *names: str) -> list[pl.Expr]:
    here = pl.int_range(pl.len()).is_between(first, last)
    return [pl.when(here).then(pl.col(name) * factor).otherwise(name).alias(name) for name in names]


@pytest.fixture
def given_of(month: pl.DataFrame, minute: Timeframe) -> Given:
    def given(*changes: pl.Expr, rows: int = 4000) -> RuleInput:
        candles = month.head(rows).with_columns(*changes)
        return RuleInput(candles, empty_candles(), minute, END)

    return given


def test_a_leap_that_is_taken_back_is_told_once(given_of: Given) -> None:
    given = given_of(*scaled(1.2, AT, AT, *PRICES))
    assert find_price_jumps(given, JUMPS)["open_time"].to_list() == times(given, AT)
    assert find_outlying_returns(given, RETURNS)["open_time"].to_list() == times(given, AT)


def test_a_level_that_stays_and_then_returns_is_told_twice(given_of: Given) -> None:
    given = given_of(*scaled(1.2, AT, AT + 9, *PRICES))
    assert find_price_jumps(given, JUMPS)["open_time"].to_list() == times(given, AT, AT + 10)


@pytest.mark.parametrize("share", [0.099, 0.101])
def test_a_jump_begins_beyond_the_limit(given_of: Given, share: float) -> None:
    here = pl.int_range(pl.len()) == AT
    high = pl.when(here).then(pl.col("close").shift(1) * (1 + share)).otherwise("high")
    found = find_price_jumps(given_of(high.alias("high")), JUMPS)
    assert found["change"].to_list() == ([pytest.approx(0.101, rel=1e-3)] if share > 0.1 else [])


def test_what_walked_during_a_hole_has_not_leapt(given_of: Given) -> None:
    moved = given_of(*scaled(1.2, AT, 4000, *PRICES))
    candles, at = moved.candles, AT - 5
    holey = replace(moved, candles=pl.concat([candles[:at], candles[AT:]]))
    assert find_price_jumps(holey, JUMPS).is_empty()


def test_after_a_hole_a_candle_is_still_held_against_its_own_open(given_of: Given) -> None:
    given, first = given_of(*scaled(1.11, AT, AT, "high")), AT - 60
    rows = pl.concat([given.candles[:first], given.candles[AT:]])
    holey = replace(given, candles=rows)
    assert find_price_jumps(holey, JUMPS)["open_time"].to_list() == times(given, AT)


def test_a_volume_is_held_against_the_mean_ahead_of_it(given_of: Given) -> None:
    mean = pl.col("volume").slice(AT - 1440, 1440).mean()
    here = pl.int_range(pl.len()) == AT
    for factor, count in ((59.0, 0), (61.0, 1)):
        volume = pl.when(here).then(mean * factor).otherwise("volume").alias("volume")
        found = find_volume_spikes(given_of(volume), SPIKES)
        assert found["times"].to_list() == [pytest.approx(factor)] * count


def test_nothing_is_told_before_half_a_window_or_of_a_dead_market(given_of: Given) -> None:
    young = given_of(*scaled(1e6, 700, 700, "volume"), rows=719)
    assert find_volume_spikes(young, SPIKES).is_empty()
    dead = given_of(pl.when(pl.int_range(pl.len()) == AT).then(1.0).otherwise(0.0).alias("volume"))
    assert find_volume_spikes(dead, SPIKES).is_empty()


def test_an_outlier_does_not_hide_the_next_one(given_of: Given) -> None:
    given = given_of(*scaled(1.5, AT, 4000, *PRICES))
    both = replace(given, candles=given.candles.with_columns(*scaled(1.04, AT + 5, 4000, *PRICES)))
    found = find_outlying_returns(both, RETURNS)
    assert found["open_time"].to_list() == times(given, AT, AT + 5)
    assert found["log_return"].to_list() == pytest.approx([0.405, 0.0392], rel=0.05)


def test_a_small_return_is_no_outlier_however_still_the_market(given_of: Given) -> None:
    still = [pl.lit(100.0).alias(name) for name in PRICES]
    given = given_of(*still)
    for factor, count in ((1.029, 0), (1.032, 1)):
        moved = given.candles.with_columns(*scaled(factor, AT, AT, *PRICES))
        assert find_outlying_returns(replace(given, candles=moved), RETURNS).height == count


def test_in_a_wild_market_the_deviation_decides(given_of: Given) -> None:
    factor = pl.when(pl.int_range(pl.len()) % 2 == 0).then(0.985).otherwise(1.0)
    wild = given_of(*[(100 * factor).alias(name) for name in PRICES])
    moved = wild.candles.with_columns(*scaled(1.06, AT, 4000, *PRICES))
    assert find_outlying_returns(replace(wild, candles=moved), RETURNS).is_empty()


@pytest.mark.parametrize(("step", "count"), [(0.12, 0), (0.13, 1)])
def test_a_return_is_no_part_of_what_it_is_held_against(step: float, count: int) -> None:
    # 100 returns of 2.5 %, up and down: five deviations are 12.5 %, with the last one 13.4 %.
    logs = [0.025 * (row % 2) for row in range(150)] + [0.025 + step]
    hours = candles_at(grid("2024-01-01", "2024-01-07 07:00")).with_columns(
        pl.Series(name, [100 * math.exp(it) for it in logs]) for name in PRICES
    )
    given = RuleInput(hours, hours.clear(), to_timeframe("1h"), END)
    assert find_outlying_returns(given, RETURNS).height == count


@pytest.mark.parametrize("cut", [1, AT - 1, AT, AT + 1, 3999])
def test_a_verdict_does_not_depend_on_the_month_s_edge(
    given_of: Given, minute: Timeframe, cut: int
) -> None:
    leap = given_of(*scaled(1.2, AT, AT, *PRICES), *scaled(100.0, 3000, 3001, "volume"))
    whole = replace(leap, candles=leap.candles.with_columns(*scaled(0.8, 3000, 3500, "low")))
    known = history_candles(minute)
    for rule in RULES:
        found = rule.find(whole, rule.limits)
        assert not found.is_empty()
        ahead = replace(whole, candles=whole.candles[:cut])
        before, after = whole.candles[:cut].tail(known), whole.candles[cut:]
        behind = replace(whole, before=before, candles=after)
        parts = pl.concat([rule.find(part, rule.limits) for part in (ahead, behind)])
        assert_frame_equal(parts, found)
