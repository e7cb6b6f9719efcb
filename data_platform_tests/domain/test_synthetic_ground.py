from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.synthetic_ground import (
    PLANT_SCHEMA,
    Ground,
    delivery_of,
    label_of,
    places,
)
from data_platform.domain.timeframes import to_timeframe

START = datetime(2024, 1, 10, tzinfo=UTC)
DAYS = 3
DAY = 1440


def ground_of(timeframe: str = "1m", seed: int = 1) -> Ground:
    def made(exchange: str, name: str) -> pl.DataFrame:
        market, end = Market(exchange, Pair("BTC/USDT")), START + DAYS * timedelta(days=1)
        return generate_candles(seed, market, to_timeframe(name), START, end).candles

    candles = made("binance", timeframe)
    elsewhere = made("okx", timeframe)
    return Ground(candles, to_timeframe(timeframe), made("binance", "1m"), elsewhere, 20.0)


@pytest.mark.parametrize("length", [1, 60, 119])
def test_runs_keep_apart_and_stay_in_their_day(length: int) -> None:
    for seed in range(200):
        found = places(ground_of(), np.random.default_rng(seed), length)
        assert len(found) == 5
        assert min(found) >= 1
        assert all(row // DAY == (row + length - 1) // DAY for row in found)
        assert all(b - a >= length + 60 for a, b in pairwise(found))
        assert found[-1] + length <= DAYS * DAY


def test_a_label_reaches_from_the_first_candle_to_after_the_last() -> None:
    label = label_of(ground_of(), 10, 3)
    assert label["start"] == label["slot"] == START + timedelta(minutes=10)
    assert label["end"] == START + timedelta(minutes=13)
    delivery = delivery_of(ground_of().candles, [label])
    assert delivery.planted.schema == PLANT_SCHEMA
