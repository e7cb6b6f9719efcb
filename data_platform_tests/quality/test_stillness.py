from dataclasses import replace

import polars as pl
import pytest

from data_platform.domain.candles import empty_candles
from data_platform.domain.timeframes import Timeframe
from data_platform.quality.rule import RuleInput
from data_platform.quality.schema import PRICES
from data_platform.quality.stillness import RULES, find_fallen_silent, find_still_prices
from data_platform_tests.quality.conftest import END

STILL, SILENT = (rule.limits for rule in RULES)


@pytest.fixture
def given(month: pl.DataFrame, minute: Timeframe) -> RuleInput:
    traded = month.head(4000).with_columns(volume=1.0)
    return RuleInput(traded, empty_candles(), minute, END)


def frozen(given: RuleInput, first: int, candles: int) -> RuleInput:
    here = pl.int_range(pl.len()).is_between(first, first + candles - 1)
    rows = given.candles.with_columns(
        pl.when(here).then(77.7).otherwise(name).alias(name) for name in PRICES
    )
    return replace(given, candles=rows)


@pytest.mark.parametrize(("candles", "runs"), [(60, 0), (61, 1), (1000, 1)])
def test_a_run_is_told_with_its_edges_beyond_the_limit(
    given: RuleInput, candles: int, runs: int
) -> None:
    found = find_still_prices(frozen(given, 500, candles), STILL)
    times = given.candles["open_time"]
    expected = [(times[500], times[500 + candles - 1], candles, 77.7)] * runs
    assert found.rows() == expected


def test_a_run_over_the_month_s_edge_is_told_where_it_has_become_long(given: RuleInput) -> None:
    rows = frozen(given, 500, 80).candles
    ahead = replace(given, candles=rows[:540])
    later = replace(given, before=rows[:540], candles=rows[540:])
    after = replace(given, before=rows[:580], candles=rows[580:])
    assert find_still_prices(ahead, STILL).is_empty()
    assert find_still_prices(later, STILL)["candles"].to_list() == [80]
    assert find_still_prices(after, STILL).is_empty()


def test_a_market_is_silent_as_it_used_to_be(given: RuleInput) -> None:
    quiet = pl.when(pl.int_range(pl.len()) % 3 == 0).then(1.0).otherwise(0.0)
    used = replace(given, candles=given.candles.with_columns(volume=quiet))
    assert find_fallen_silent(used, SILENT).is_empty()


def test_a_market_that_falls_silent_is_told_until_it_is_used_to_it(given: RuleInput) -> None:
    quiet = pl.when(pl.int_range(pl.len()) >= 2000).then(0.0).otherwise("volume")
    changed = replace(given, candles=given.candles.with_columns(volume=quiet))
    found = find_fallen_silent(changed, SILENT)
    times = given.candles["open_time"]
    # Silent 16 of 60 is more than a quarter; used to it when an hour ahead was three quarters so.
    assert found["open_time"][0] == times[2015]
    assert found["open_time"][-1] == times[2000 + 60 + 44 - 1]


def test_nothing_is_told_before_the_usual_is_known(given: RuleInput) -> None:
    quiet = pl.when(pl.int_range(pl.len()) >= 700).then(0.0).otherwise("volume")
    young = given.candles.head(760).with_columns(volume=quiet)
    assert find_fallen_silent(replace(given, candles=young), SILENT).is_empty()
