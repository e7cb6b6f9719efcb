from datetime import UTC, datetime

import polars as pl
import pytest

from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import Timeframe, to_timeframe

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2024, 2, 1, tzinfo=UTC)


@pytest.fixture
def minute() -> Timeframe:
    return to_timeframe("1m")


@pytest.fixture(scope="session")
def month() -> pl.DataFrame:
    market = Market("binance", Pair("BTC/USDT"))
    return generate_candles(7, market, to_timeframe("1m"), START, END).candles


@pytest.fixture
def hour(month: pl.DataFrame) -> pl.DataFrame:
    return month.head(60)
