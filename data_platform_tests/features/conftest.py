from datetime import UTC, datetime

import polars as pl
import pytest

from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.features.fill import fill_candles
from data_platform.indicators.columns import add_indicators

START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = ("sma_20", "rsi_14", "macd_12_26_9")


def candles_of(timeframe: Timeframe, rows: int) -> pl.DataFrame:
    end = START + rows * timeframe.duration
    return generate_candles(5, Market("okx", Pair("BTC/USDT")), timeframe, START, end).candles


def indicators_of(candles: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    end = candles["open_time"][-1] + timeframe.duration
    filled = fill_candles(candles, None, [], timeframe, START, end)
    return add_indicators(filled, NAMES)


@pytest.fixture(scope="session")
def minutes() -> pl.DataFrame:
    """Return two days and a half of 1m candles with a hole of 5 and one of 40."""
    row = pl.int_range(pl.len())
    holes = row.is_between(1000, 1004) | row.is_between(2000, 2039)
    return candles_of(to_timeframe("1m"), 3600).filter(~holes)


@pytest.fixture(scope="session")
def fine(minutes: pl.DataFrame) -> pl.DataFrame:
    return indicators_of(minutes, to_timeframe("1m"))


@pytest.fixture(scope="session")
def coarse() -> dict[Timeframe, pl.DataFrame]:
    """Return the indicators of 5m, of which 20 candles are missing, and of 1h."""
    five, hour = to_timeframe("5m"), to_timeframe("1h")
    sparse = candles_of(five, 720).filter(~pl.int_range(pl.len()).is_between(300, 319))
    return {
        five: indicators_of(sparse, five),
        hour: indicators_of(candles_of(hour, 60), hour),
    }


@pytest.fixture
def minute() -> Timeframe:
    return to_timeframe("1m")
