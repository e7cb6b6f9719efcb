from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from data_platform.converters.converter import ExportFile
from data_platform.converters.freqtrade import CONVERTER
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe


def export_file(symbol: str = "BTC/USDT", timeframe: str = "1h") -> ExportFile:
    return ExportFile(Series("kraken", Pair(symbol), to_timeframe(timeframe)), None)


def test_pandas_reads_freqtrades_columns(tmp_path: Path) -> None:
    rows = [(datetime(2024, 3, 31, 1, tzinfo=UTC), 1.1, 1.4, 1.0, 1.2, 7.0)]
    frame = pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")
    CONVERTER.write(frame, export_file(), tmp_path / "pair.feather")
    expected = pd.DataFrame(
        {
            "date": pd.DatetimeIndex(["2024-03-31T01:00"], tz="UTC").as_unit("ms"),
            "open": [1.1],
            "high": [1.4],
            "low": [1.0],
            "close": [1.2],
            "volume": [7.0],
        }
    )
    pd.testing.assert_frame_equal(pd.read_feather(tmp_path / "pair.feather"), expected)


# The right-hand names are those of Freqtrade 2026.9's own `_pair_data_filename`.
@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT", "BTC_USDT-1h.feather"),
        ("BTC/USDT:USDT", "futures/BTC_USDT_USDT-1h-futures.feather"),
        ("A.B C/D$E@F+G", "A_B_C_D_E_F_G-1h.feather"),
        ("币安人生/USDT", "币安人生_USDT-1h.feather"),
        ("BTC/USD:BTC-240329", "futures/BTC_USD_BTC-240329-1h-futures.feather"),
    ],
)
def test_files_are_named_as_freqtrade_names_them(symbol: str, name: str) -> None:
    assert CONVERTER.path(export_file(symbol)).as_posix() == f"freqtrade/kraken/{name}"


@pytest.mark.parametrize("symbol", ["A\0B/C", "A\nB/C", "A\\B/C"])
def test_signs_that_no_file_name_holds_are_refused(symbol: str) -> None:
    with pytest.raises(ExportError, match="Freqtrade has no file name for it"):
        CONVERTER.path(export_file(symbol))
