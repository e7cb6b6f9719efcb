from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from data_platform.converters.converter import ExportFile
from data_platform.converters.vectorbt import CONVERTER
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe

TIMES = [datetime(2024, 1, 31, 23, tzinfo=UTC), datetime(2024, 2, 1, 1, tzinfo=UTC)]


def export_file(symbol: str = "BTC/USDT") -> ExportFile:
    return ExportFile(Series("binance", Pair(symbol), to_timeframe("1h")), None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = [(TIMES[0], 1.1, 1.4, 1.0, 1.2, 7.0), (TIMES[1], 1.2, 1.3, 0.9, 1.25, 0.0)]
    frame = pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")
    CONVERTER.write(frame, export_file(), tmp_path / "pair.parquet")
    return tmp_path / "pair.parquet"


def test_pandas_opens_it_as_vectorbts_own_frame(path: Path) -> None:
    expected = pd.DataFrame(
        {
            "Open": [1.1, 1.2],
            "High": [1.4, 1.3],
            "Low": [1.0, 0.9],
            "Close": [1.2, 1.25],
            "Volume": [7.0, 0.0],
        },
        index=pd.DatetimeIndex(
            ["2024-01-31T23:00", "2024-02-01T01:00"], tz="UTC", name="Open time"
        ).as_unit("ms"),
    )
    pd.testing.assert_frame_equal(pd.read_parquet(path), expected)


def test_one_column_can_be_read_with_its_index(path: Path) -> None:
    close = pd.read_parquet(path, columns=["Close"])["Close"]
    assert close.to_dict() == {pd.Timestamp(TIMES[0]): 1.2, pd.Timestamp(TIMES[1]): 1.25}


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT", "BTC_USDT"),
        ("BTC/USDT:USDT", "BTC-USDT%3AUSDT"),
        ("A_B/C", "A_B-C"),
        ("A/B_C", "A-B_C"),
    ],
)
def test_paths_name_exchange_timeframe_and_pair(symbol: str, name: str) -> None:
    path = CONVERTER.path(export_file(symbol))
    assert path.as_posix() == f"vectorbt/binance/1h/{name}.parquet"
