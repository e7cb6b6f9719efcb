"""Decimals of 15 digits from an exchange's answer to whoever reads them, to the last bit."""

import random
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from data_platform.converters import CONVERTERS
from data_platform.converters.converter import ExportFile
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import run_simulator
from data_platform.sources.base import FetchRequest
from data_platform.sources.ccxt_source import CcxtSource
from data_platform.storage.catalog import open_catalog
from data_platform_tests.factories import lake_at, store_candles, stored
from data_platform_tests.sources.wire import access_to

MINUTES = Series("binance", Pair("BTC/USDT"), to_timeframe("1m"))
START = datetime(2024, 2, 1, tzinfo=UTC)
ROWS = 40_000
"""Five numbers each: 200,000."""
END = START + ROWS * timedelta(minutes=1)


def decimal_candles() -> pl.DataFrame:
    """Candles whose numbers are decimals of 15 digits, prices from 1 to 1e10."""
    dice = random.Random(23)
    rows = []
    for number in range(ROWS):
        decimals = dice.randrange(5, 15)
        low, *middle, high = sorted(dice.randrange(10**14, 10**15) for _ in range(4))
        texts = [f"{digits}e-{decimals}" for digits in (middle[0], high, low, middle[1])]
        volume = f"{dice.randrange(10**14, 10**15)}e-{dice.randrange(2, 17)}"
        rows.append((START + number * timedelta(minutes=1), *map(float, texts), float(volume)))
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def changed(found: pl.DataFrame, truth: pl.DataFrame) -> int:
    """Count the numbers whose bits differ."""
    assert found.height == truth.height == ROWS
    assert found["open_time"].to_list() == truth["open_time"].to_list()
    return sum(
        struct.pack("<d", ours) != struct.pack("<d", theirs)
        for name in ("open", "high", "low", "close", "volume")
        for ours, theirs in zip(found[name], truth[name], strict=True)
    )


def test_r23_200_000_decimals_stay_what_they_are_from_the_wire_to_every_reader(
    root: Path, tmp_path: Path
) -> None:
    truth = decimal_candles()
    exchange = SimulatedExchange("binance", (MINUTES.pair,))
    replay = {("binance", MINUTES.pair, MINUTES.timeframe): truth}
    served = SimulatorConfig({"binance": exchange}, clock=END + timedelta(days=1), replay=replay)
    with run_simulator(served) as simulator:
        access = access_to(f"{simulator.url}/binance", exchange_row("binance"), concurrency=8)
        source = CcxtSource(access)
        results = list(source.fetch([FetchRequest(MINUTES, START, END)]))
        source.close()
    fetched = pl.concat([result.candles for result in results])
    assert changed(fetched, truth) == 0

    lake = lake_at(root)
    store_candles(lake, MINUTES, fetched)
    assert changed(stored(lake, MINUTES), truth) == 0
    with open_catalog(root, lake.state) as door:
        for source_of in ("candles", "candles('binance', '1m', 'BTC-USDT')"):
            rows = pl.DataFrame(door.sql(f"FROM {source_of} ORDER BY open_time").to_arrow_table())
            assert changed(rows.cast({"open_time": CANDLE_SCHEMA["open_time"]}), truth) == 0
    lake.state.close()

    for converter in CONVERTERS:
        path = tmp_path / converter.name
        converter.write(fetched, ExportFile(MINUTES, None), path)
        assert changed(converter.read(path), truth) == 0
