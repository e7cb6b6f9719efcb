import csv
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from data_platform.converters.converter import ExportFile
from data_platform.converters.nautilus_csv import CSV
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.factories import time

FILE = ExportFile(Series("binance", Pair("BTC/USDT"), to_timeframe("4h")), None)


def candles(*rows: tuple[datetime, float, float, float, float, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def test_bars_are_stamped_by_their_close_in_the_order_the_wrangler_takes(tmp_path: Path) -> None:
    path = tmp_path / "bars"
    CSV.write(
        candles((time("2024-02-29 20:00"), 42000.13, 42001.0, 41999.5, 42000.0, 0.1)), FILE, path
    )
    assert path.read_text().splitlines() == [
        "timestamp,open,high,low,close,volume",
        "2024-03-01T00:00:00Z,42000.13,42001.0,41999.5,42000.0,0.1",
    ]


def test_every_float_and_every_gap_survives(tmp_path: Path) -> None:
    values = (0.30000000000000004, 1.2345e-9, 1e-16, 191.98938999999996, 12345678901234.5)
    frame = candles((time("2024-01-01"), *values), (time("2024-01-01 12:00"), *values))
    CSV.write(frame, FILE, tmp_path / "bars")
    with (tmp_path / "bars").open(newline="") as file:
        found = [(it[0], *map(float, it[1:])) for it in list(csv.reader(file))[1:]]
    assert found == [("2024-01-01T04:00:00Z", *values), ("2024-01-01T16:00:00Z", *values)]


def test_the_file_is_named_by_its_bar_type() -> None:
    assert str(CSV.path(FILE)) == "nautilus-csv/BTCUSDT.BINANCE-4-HOUR-LAST-EXTERNAL.csv"


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no candle to export"):
        CSV.write(candles(), FILE, tmp_path / "bars")
    assert not list(tmp_path.iterdir())
