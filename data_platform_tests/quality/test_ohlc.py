from dataclasses import replace

import polars as pl
import pytest

from data_platform.domain.candles import empty_candles
from data_platform.domain.timeframes import Timeframe
from data_platform.quality.ohlc import (
    find_disordered_prices,
    find_impossible_prices,
    find_impossible_volumes,
)
from data_platform.quality.rule import RuleInput
from data_platform_tests.quality.conftest import END


@pytest.fixture
def flat(hour: pl.DataFrame, minute: Timeframe) -> RuleInput:
    price = pl.col("close")
    candles = hour.with_columns(open=price, high=price, low=price, volume=pl.lit(0.0))
    return RuleInput(candles, empty_candles(), minute, END)


def test_a_flat_candle_without_volume_is_possible(flat: RuleInput) -> None:
    assert find_disordered_prices(flat, {}).is_empty()
    assert find_impossible_prices(flat, {}).is_empty()
    assert find_impossible_volumes(flat, {}).is_empty()


def test_the_prices_at_fault_are_shown(flat: RuleInput) -> None:
    broken = replace(flat, candles=flat.candles.head(1).with_columns(low=1e9))
    found = find_disordered_prices(broken, {})
    assert found.columns == ["open_time", "open", "high", "low", "close"]
    assert found["low"].to_list() == [1e9]
