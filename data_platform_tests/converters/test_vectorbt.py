from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from data_platform.converters.converter import ExportFile
from data_platform.converters.vectorbt import CONVERTER
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import to_period
from data_platform.domain.timeframes import to_timeframe

TIMES = [datetime(2024, 1, 31, 23, tzinfo=UTC), datetime(2024, 2, 1, 1, tzinfo=UTC)]


def export_file(symbol: str = "BTC/USDT", month: str = "2024-01") -> ExportFile:
    return ExportFile(Series("binance", Pair(symbol), to_timeframe("1h")), to_period(month))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [(TIMES[0], 1.1, 1.4, 1.0, 1.2, 7.0), (TIMES[1], 1.2, 1.3, 0.9, 1.25, 0.0)]
    # The later month first: the folder's order is that of the names.
    for month, row in (("2024-02", rows[1]), ("2024-01", rows[0])):
        file = export_file(month=month)
        path = tmp_path / CONVERTER.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        CONVERTER.write(pl.DataFrame([row], schema=CANDLE_SCHEMA, orient="row"), file, path)
    # What a writer at work, or one that was killed, has lying there.
    (path.parent / f".{path.name}.0123456789abcdef.tmp").write_bytes(b"PAR1 half")
    return path.parent


def test_pandas_opens_it_as_vectorbts_own_frame(folder: Path) -> None:
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
    pd.testing.assert_frame_equal(pd.read_parquet(folder), expected)


def test_one_column_can_be_read_with_its_index(folder: Path) -> None:
    close = pd.read_parquet(folder, columns=["Close"])["Close"]
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
    assert path.as_posix() == f"vectorbt/binance/1h/{name}/2024-01.parquet"


def test_months_together_have_no_file() -> None:
    with pytest.raises(ExportError, match="a month each; name the month"):
        CONVERTER.path(replace(export_file(), period=None))


def test_a_filter_by_time_gives_the_frame_of_its_month(folder: Path) -> None:
    late = pd.read_parquet(folder, filters=[("Open time", ">=", TIMES[1])])
    assert late.index.to_list() == [pd.Timestamp(TIMES[1])]
