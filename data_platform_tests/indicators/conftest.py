from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import to_timeframe

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 3000


def as_filled(candles: pl.DataFrame, *breaks: int) -> pl.DataFrame:
    """Return candles as rows of the filled layer, with a new segment at each row of `breaks`."""
    row = pl.int_range(pl.len())
    begins = pl.when((row == 0) | row.is_in(breaks)).then("open_time")
    return candles.with_columns(
        is_filled=pl.lit(value=False),
        fill_method=pl.lit(None, pl.String),
        segment=begins.forward_fill(),
    ).select(FILLED_SCHEMA.names())


@pytest.fixture(scope="session")
def candles() -> pl.DataFrame:
    market, minute = Market("binance", Pair("ETH/USDT")), to_timeframe("1m")
    end = START + timedelta(minutes=ROWS)
    return generate_candles(11, market, minute, START, end).candles


@pytest.fixture(scope="session")
def filled(candles: pl.DataFrame) -> pl.DataFrame:
    return as_filled(candles)


@pytest.fixture(scope="session")
def broken(candles: pl.DataFrame) -> pl.DataFrame:
    """Return the same rows in five segments, one of them too short for any indicator."""
    return as_filled(candles, 700, 705, 1500, 1540)


@pytest.fixture(scope="session")
def ta_lib() -> pl.DataFrame:
    """Return candles with columns that TA-Lib made of them: golden/README.md."""
    golden = pl.read_parquet(Path(__file__).parents[1] / "golden" / "ta_lib.parquet")
    return as_filled(golden.with_columns(open=pl.col("close"))).hstack(golden[:, 5:])
