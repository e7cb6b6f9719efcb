"""Candles brought in by people's own code: from an exchange that a test scripts, and by hand."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from data_platform.api import load_ohlcv
from data_platform.domain.errors import ForeignFileError, SourceError, WrongUseError
from data_platform.domain.timeframes import to_timeframe
from data_platform.intake import fetch_ohlcv, save_ohlcv
from data_platform.simulator.server import run_simulator
from data_platform.storage.layout import Layout
from data_platform.storage.quarantine import list_refused
from data_platform_tests.factories import candles_at, grid, time
from data_platform_tests.simulator.simulated import config
from data_platform_tests.sources.wire import MINUTE, NOW, Reply, Wire, price, wire_server

CONFIG = """
exchanges:
  binance:
    base_url: {url}
    start: 2024-01-01
    pairs: [BTC/USDT]
    timeframes: [1m, 1h, 4h]
    derive: {{4h: 1h}}
    rate_limit: 600000
"""
DAY = ("2024-01-01", "2024-01-02")


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    with wire_server() as server:
        (tmp_path / "platform.yaml").write_text(CONFIG.format(url=server.url))
        monkeypatch.setenv("DATA_PLATFORM_CONFIG", str(tmp_path / "platform.yaml"))
        monkeypatch.setenv("DATA_PLATFORM_DATA", str(tmp_path / "data"))
        monkeypatch.delenv("DATA_PLATFORM_STATE", raising=False)
        yield server


def test_candles_are_fetched_over_many_pages_and_none_is_stored(wire: Wire, tmp_path: Path) -> None:
    found = fetch_ohlcv("binance/BTCUSDT", "1m", "2024-02-20", "2024-02-21T10:00Z")
    times = [time("2024-02-20") + MINUTE * index for index in range(34 * 60)]
    assert found["open_time"].to_list() == times
    assert found["low"].to_list() == [price(it) for it in times]
    assert len(wire.queries) == 3
    assert not list(tmp_path.glob("data/ohlcv/**/*.parquet"))


def test_what_has_not_closed_is_left_out(wire: Wire) -> None:
    assert wire.now == NOW
    found = fetch_ohlcv("binance/BTC-USDT", "1m", NOW - 3 * MINUTE, NOW + timedelta(days=9))
    assert [str(it.time())[:5] for it in found["open_time"]] == ["11:58", "11:59"]
    assert fetch_ohlcv("binance/BTC-USDT", "1m", "2030-01-01", "2030-01-02").is_empty()


def test_answer_that_is_none_raises(wire: Wire) -> None:
    wire.always = lambda _: Reply("", status=451)
    with pytest.raises(SourceError, match="451"):
        fetch_ohlcv("binance/BTC-USDT", "1m", "2024-02-20", "2024-02-21")


def test_time_that_an_exchange_does_not_hand_out_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_CONFIG", str(tmp_path / "platform.yaml"))
    monkeypatch.setenv("DATA_PLATFORM_DATA", str(tmp_path / "data"))
    with run_simulator(config(NOW)) as simulator:
        text = CONFIG.format(url=f"{simulator.url}/kraken")
        (tmp_path / "platform.yaml").write_text(
            text.replace("USDT", "USD").replace("binance", "kraken")
        )
        with pytest.raises(WrongUseError, match=r"does not hand out .* ask from 2024-01-31 12:00"):
            fetch_ohlcv("kraken/BTC-USD", "1h", "2024-01-01", "2024-02-10")
        found = fetch_ohlcv("kraken/BTC-USD", "1h", "2024-01-31T12:00Z", "2024-02-10")
    assert found["open_time"].to_list() == grid("2024-01-31 12:00", "2024-02-10")


def test_row_that_cannot_be_true_raises(wire: Wire) -> None:
    at = time("2024-02-20")
    ms = int(at.timestamp() * 1000)
    wire.scripted = [Reply(f'[[{ms}, "9", "8", "7", "8", "1", {ms + 59_999}]]')] * 3
    with pytest.raises(SourceError, match=r"1 rows of the answer cannot be true, .* 2024-02-20"):
        fetch_ohlcv("binance/BTC-USDT", "1m", at, at + MINUTE)


@pytest.mark.usefixtures("wire")
def test_saved_candles_are_read_back_and_each_is_counted() -> None:
    rows = candles_at(grid(*DAY))
    report = save_ohlcv(rows, "binance/BTCUSDT", "1H", source="notebook")
    assert (report.added, report.refused) == (24, 0)
    assert load_ohlcv("binance/BTC-USDT", "1h", *DAY).equals(rows)
    other = rows.with_columns(pl.col("volume") + 1)
    assert save_ohlcv(other, "binance/BTCUSDT", "1h", source="notebook").kept == 24
    assert load_ohlcv("binance/BTC-USDT", "1h", *DAY).equals(rows)
    told = save_ohlcv(other, "binance/BTCUSDT", "1h", source="notebook", replaces=True)
    assert told.changed == 24
    assert load_ohlcv("binance/BTC-USDT", "1h", *DAY).equals(other)


@pytest.mark.usefixtures("wire")
def test_frame_of_pandas_is_saved_by_its_index() -> None:
    rows = candles_at(grid(*DAY))
    frame = rows.to_pandas().rename(columns=str.title).set_index("Open_Time")
    frame.index = pd.DatetimeIndex(frame.index, name="Open time").tz_convert("Europe/Berlin")
    assert save_ohlcv(frame, "binance/BTC-USDT", "1h", source="vectorbt").added == 24
    assert load_ohlcv("binance/BTC-USDT", "1h", *DAY).equals(rows)


def test_row_that_cannot_be_true_is_kept_in_quarantine(wire: Wire, tmp_path: Path) -> None:
    assert wire.url
    rows = candles_at(grid(*DAY)).with_columns(low=pl.lit(-1.0))
    report = save_ohlcv(rows, "binance/BTC-USDT", "1h", source="notebook")
    assert (report.added, report.refused) == (0, 24)
    [file] = list_refused(Layout(tmp_path / "data"))
    assert file.rows.height == 24


@pytest.mark.usefixtures("wire")
def test_what_cannot_be_meant_is_refused() -> None:
    rows = candles_at(grid(*DAY))
    for market, timeframe, source, message in (
        ("binance/DOGEUSDT", "1h", "x", "DOGE"),
        ("binance/BTC-USDT", "4h", "x", f"{to_timeframe('4h')}: expected a configured timeframe"),
        ("binance/BTC-USDT", "1h", "../x", "expected a name without /"),
        ("binance/BTC-USDT", "1h", " ", "expected a name without /"),
    ):
        with pytest.raises(WrongUseError, match=message):
            save_ohlcv(rows, market, timeframe, source=source)
    with pytest.raises(WrongUseError, match="a derived one is computed"):
        fetch_ohlcv("binance/BTC-USDT", "4h", *DAY)
    with pytest.raises(ForeignFileError, match="one column for volume, found none"):
        save_ohlcv(rows.drop("volume"), "binance/BTC-USDT", "1h", source="x")
