from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.candles import empty_candles
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.quality.rule import RuleInput
from data_platform.quality.trailing import (
    history_candles,
    recent_candles,
    trailing_candles,
    with_history,
)
from data_platform_tests.quality.conftest import END


@pytest.mark.parametrize(
    ("name", "trailing", "recent"),
    [("1m", 1440, 60), ("5m", 288, 27), ("15m", 100, 15), ("1h", 100, 8), ("1d", 100, 2)],
)
def test_a_window_is_a_day_or_a_hundred_candles(name: str, trailing: int, recent: int) -> None:
    timeframe = to_timeframe(name)
    assert (trailing_candles(timeframe), recent_candles(timeframe)) == (trailing, recent)


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_the_history_holds_both_windows(timeframe: Timeframe) -> None:
    assert history_candles(timeframe) > trailing_candles(timeframe) + recent_candles(timeframe)


def test_rows_know_what_they_follow_and_which_are_judged(
    hour: pl.DataFrame, minute: Timeframe
) -> None:
    holey = pl.concat([hour[:5], hour[8:12]])
    rows = with_history(RuleInput(holey[5:], holey[:5], minute, END)).collect()
    assert rows["is_judged"].to_list() == [False] * 5 + [True] * 4
    assert rows["previous"].to_list()[1:] == holey["close"].to_list()[:-1]
    assert rows["steps"].to_list() == [None, 1, 1, 1, 1, 4, 1, 1, 1]


def test_times_that_go_back_count_as_one_step(hour: pl.DataFrame, minute: Timeframe) -> None:
    back = hour.head(2).with_columns(open_time=pl.col("open_time") - timedelta(minutes=5))
    rows = with_history(RuleInput(back, hour.head(1), minute, END)).collect()
    assert rows["steps"].to_list() == [None, 1, 1]


def test_numbers_that_cannot_be_true_spoil_nothing(hour: pl.DataFrame, minute: Timeframe) -> None:
    bad = hour.head(2).with_columns(close=float("nan"), low=0.0, volume=float("inf"))
    rows = with_history(RuleInput(bad, empty_candles(), minute, END)).collect()
    assert rows.select("close", "low", "volume", "previous").null_count().row(0) == (2, 2, 2, 2)
