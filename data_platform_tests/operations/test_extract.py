"""What is handed out reads back as the same rows, to the last bit, by readers that are not ours."""

import csv
import json
import random
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import StorageError
from data_platform.operations.extract import KINDS, Cut, write_cut
from data_platform_tests.factories import grid, series_of, time

START, END = time("2024-01-01"), time("2024-01-11")


def cut(kind: str) -> Cut:
    return Cut(series_of(), "ohlcv", START, END, kind)


def awkward() -> pl.DataFrame:
    numbers = random.Random(4)
    rows = [
        (at, *(numbers.random() * 10.0 ** numbers.randint(-12, 12) for _ in range(5)))
        for at in grid("2024-01-01", "2024-01-11")
    ]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def read(path: Path) -> list[tuple[datetime, ...]]:
    """Read a file by the standard library or by pandas."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            header, *lines = csv.reader(file)
        assert header == CANDLE_SCHEMA.names()
        return [(_at(line[0]), *map(float, line[1:])) for line in lines]  # type: ignore[arg-type]
    if path.suffix == ".json":
        objects = json.loads(path.read_text())
        return [(_at(row.pop("open_time")), *row.values()) for row in objects]
    frame = pd.read_feather(path) if path.suffix == ".feather" else pd.read_parquet(path)
    return [(at.to_pydatetime(), *values) for at, *values in frame.itertuples(index=False)]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_survives(tmp_path: Path, kind: str) -> None:
    rows = awkward()
    path = write_cut(rows, cut(kind), tmp_path)
    assert read(path) == rows.rows()


def test_file_is_named_by_pair_timeframe_and_days(tmp_path: Path) -> None:
    path = write_cut(awkward(), cut("parquet"), tmp_path)
    assert path == tmp_path / "binance/BTCUSDT_1h_20240101_20240110.parquet"
    until = Cut(series_of(), "features", START, END + timedelta(hours=1), "csv")
    assert until.place == Path("binance/features/BTCUSDT_1h_20240101_20240111.csv")


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT:USDT", "BTC-USDT%3AUSDT"),
        ("1000SATS/USDT", "1000SATSUSDT"),
        ("$X/USD", "%24X-USD"),
    ],
)
def test_pair_of_other_signs_is_named_by_its_key(symbol: str, name: str) -> None:
    place = Cut(series_of(pair=symbol), "ohlcv", START, END, "csv").place
    assert place == Path(f"binance/{name}_1h_20240101_20240110.csv")


def test_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    old = write_cut(awkward(), cut("csv"), tmp_path).read_bytes()
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        write_cut(awkward(), cut("csv"), blocked)
    again = write_cut(awkward(), cut("csv"), tmp_path)
    assert again.read_bytes() == old
    assert [it.name for it in again.parent.iterdir()] == [again.name]
