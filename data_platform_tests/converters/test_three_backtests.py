"""One lake in three programs: every bar equal, and the same trades for the same signals.

As `test_consumers.py`, by each program's own environment. Their conventions differ in when an order
fills: NautilusTrader at the close of the bar that told, Freqtrade at the next candle's opening,
VectorBT as it is told; so it is held against both.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from data_platform.converters import freqtrade, vectorbt
from data_platform.converters.converter import Converter, ExportFile
from data_platform.converters.nautilus import to_bar_type
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, to_period
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.converters.exported_lake import (
    EXCHANGES,
    PAIRS,
    ExportedLake,
    all_series,
    open_exported_lake,
)
from data_platform_tests.converters.programs import ask, bar_rows, hex_rows, normal

pytestmark = pytest.mark.slow

HOUR = to_timeframe("1h")
MEAN = 24
MONTHS = (to_period("2024-02"), to_period("2024-03"))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExportedLake]:
    with open_exported_lake(tmp_path_factory.mktemp("exported")) as opened:
        yield opened


def find_trades(candles: pl.DataFrame) -> pl.DataFrame:
    """Return alternating entries and exits: the close crosses its mean, hours on both sides."""
    close, mean = pl.col("close"), pl.col("close").rolling_mean(MEAN)
    hour = pl.duration(hours=1)
    follows = pl.col("open_time").diff() == hour
    marked = candles.with_columns(
        above=close > mean,
        safe=follows & (pl.col("open_time").shift(-1) - pl.col("open_time") == hour),
        next_time=pl.col("open_time").shift(-1),
        next_open=pl.col("open").shift(-1),
    ).filter(pl.col("above").is_not_null(), pl.col("safe"))
    turns = marked.filter(pl.col("above") != pl.col("above").shift(1))
    first = turns["above"].arg_true()[0]
    pairs = turns.slice(first)
    return pairs.head(pairs.height // 2 * 2)


def trades_at(turns: pl.DataFrame, time: str, price: str, late: int = 0) -> list[list[Any]]:
    rows = [
        [at.isoformat(), value]
        for at, value in turns.select(pl.col(time).dt.offset_by(f"{late}h"), price).rows()
    ]
    return [[*rows[at], *rows[at + 1]] for at in range(0, len(rows), 2)]


def signals(folder: Path, turns: pl.DataFrame, name: str, late: int = 0) -> str:
    times = [it.isoformat() for it in turns["open_time"].dt.offset_by(f"{late}h").to_list()]
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"entries": times[::2], "exits": times[1::2]}))
    return str(path)


def folder_of(exports: Path, series: Series) -> Path:
    """Return VectorBT's folder of a pair."""
    return exports / vectorbt.CONVERTER.path(ExportFile(series, MONTHS[0])).parent


def near(found: list[list[Any]], expected: list[list[Any]]) -> bool:
    times = [[row[0], row[2]] for row in found] == [[row[0], row[2]] for row in expected]
    prices = [row[at] for row in found for at in (1, 3)]
    return times and prices == pytest.approx(
        [row[at] for row in expected for at in (1, 3)], rel=1e-12
    )


@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_three_programs_trade_alike(lake: ExportedLake, tmp_path: Path, exchange: str) -> None:
    series = Series(exchange, PAIRS[0], HOUR)
    turns = find_trades(lake.candles(series))
    at_close = trades_at(turns, "open_time", "close")
    at_next_open = trades_at(turns, "next_time", "next_open")
    assert len(at_close) > 10
    given = signals(tmp_path, turns, "by_open")

    folder = str(folder_of(lake.exports, series))
    by_vectorbt = ask("vectorbt", "trade_vectorbt.py", folder, "1h", given)
    assert near(by_vectorbt["close"], at_close)
    assert near(by_vectorbt["next_open"], at_next_open)

    closing = signals(tmp_path, turns, "by_close", late=1)
    name = to_bar_type(series)
    catalog = str(lake.exports / "nautilus")
    by_nautilus = ask("nautilus", "trade_nautilus.py", catalog, name, closing)
    late = [[*row] for row in trades_at(turns, "open_time", "close", late=1)]
    assert near(by_nautilus, late)

    folder = str(lake.exports / f"freqtrade/{exchange}")
    api = f"{lake.simulator.url}/binance/api/v3"
    by_freqtrade = ask(
        "freqtrade",
        "trade_freqtrade.py",
        *(folder, str(tmp_path / "user"), "BTC/USDT", "1h", given, api),
    )
    for trade in by_freqtrade:
        trade[0], trade[2] = (trade[at].replace(" ", "T") for at in (0, 2))
    assert near(by_freqtrade, at_next_open)


def test_every_bar_of_every_series_is_equal_in_all_three(lake: ExportedLake) -> None:
    for exchange in EXCHANGES:
        own = [series for series in all_series() if series.exchange == exchange]
        names = [f"{it.pair.symbol} {it.timeframe}" for it in own]
        folder = str(lake.exports / f"freqtrade/{exchange}")
        by_freqtrade = ask("freqtrade", "bars_freqtrade.py", folder, "feather", *names)
        folders = [str(folder_of(lake.exports, it)) for it in own]
        by_vectorbt = ask("vectorbt", "bars_vectorbt.py", *folders)
        bar_types = [to_bar_type(it) for it in own]
        catalog = str(lake.exports / "nautilus")
        by_nautilus = ask("nautilus", "bars_nautilus.py", catalog, *bar_types)
        for at, series in enumerate(own):
            candles = lake.candles(series)
            assert candles.height > 20
            assert by_freqtrade[at] == hex_rows(candles)
            assert by_vectorbt[at] == hex_rows(candles)
            assert normal(by_nautilus[at]) == bar_rows(candles, series.timeframe)


def write_files(root: Path, converter: Converter, series: Series, candles: pl.DataFrame) -> Path:
    """Write a program's files and return their folder."""
    months: list[Period | None] = [None] if converter.scope == "pair" else [*MONTHS]
    for month in months:
        file = ExportFile(series, month)
        path = root / converter.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        part = pl.lit(value=True)
        if month:
            part = pl.col("open_time").is_between(month.start, month.end, closed="left")
        converter.write(candles.filter(part), file, path)
    return path.parent


def test_the_comparison_fails_where_a_file_is_wrong(lake: ExportedLake, tmp_path: Path) -> None:
    series = Series("binance", PAIRS[0], HOUR)
    candles = lake.candles(series)
    expected = hex_rows(candles)
    shifted = candles.with_columns(pl.col("open_time").dt.offset_by("1h"))
    dropped = candles.with_row_index("at").filter(pl.col("at") != 100).drop("at")
    for wrong in (shifted, dropped):
        for converter, words in (
            (freqtrade.CONVERTER, ("feather", "BTC/USDT 1h")),
            (vectorbt.CONVERTER, ()),
        ):
            folder = write_files(tmp_path, converter, series, wrong)
            [found] = ask(converter.name, f"bars_{converter.name}.py", str(folder), *words)
            assert found == hex_rows(wrong)
            assert found != expected


def test_freqtrade_makes_nothing_of_times_that_are_numbers(
    lake: ExportedLake, tmp_path: Path
) -> None:
    series = Series("binance", PAIRS[0], HOUR)
    numbers = (
        lake.candles(series)
        .rename({"open_time": "date"})
        .with_columns(pl.col("date").dt.epoch("ms"))
    )
    numbers.write_ipc(tmp_path / "BTC_USDT-1h.feather")
    [found] = ask("freqtrade", "bars_freqtrade.py", str(tmp_path), "feather", "BTC/USDT 1h")
    assert found == []


def test_bars_stamped_by_their_opening_trade_an_hour_too_early(
    lake: ExportedLake, tmp_path: Path
) -> None:
    series = Series("okx", PAIRS[1], HOUR)
    turns = find_trades(lake.candles(series))
    catalog = tmp_path / "nautilus"
    shutil.copytree(lake.exports / "nautilus", catalog)
    for path in (catalog / "data/bar" / to_bar_type(series)).iterdir():
        table = pq.read_table(path)
        for name in ("ts_event", "ts_init"):
            early = pc.subtract(table[name], pa.scalar(3600 * 10**9, pa.uint64()))
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(name), early)
        pq.write_table(table, path)
    by_open = signals(tmp_path, turns, "by_open")
    name = to_bar_type(series)
    fills = ask("nautilus", "trade_nautilus.py", str(catalog), name, by_open)
    # The close of a candle, an hour before anybody knew it.
    assert near(fills, trades_at(turns, "open_time", "close"))
    right = ask("nautilus", "trade_nautilus.py", str(lake.exports / "nautilus"), name, by_open)
    assert not near(right, trades_at(turns, "open_time", "close"))
