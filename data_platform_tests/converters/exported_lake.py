"""A lake of two exchanges, two pairs and three timeframes with gaps, exported by the real line.

The exchanges are simulated ones behind HTTP, who stay there: Freqtrade asks one for its markets.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl

from data_platform.definitions import build_definitions
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import to_period
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lake import opened_lake
from data_platform.runs import Selection, materialize_selection
from data_platform.settings import PROJECT_ROOT, Settings, load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.factories import punch, time

NOW = datetime(2024, 3, 2, 12, 0, 7, tzinfo=UTC)
EXCHANGES, PAIRS = ("binance", "okx"), (Pair("BTC/USDT"), Pair("ETH/USDT"))
TIMEFRAMES = tuple(to_timeframe(name) for name in ("1h", "4h", "1d"))
PROGRAMS = ("vectorbt", "freqtrade", "nautilus")

# A candle, a night over the month's end, four days: of BTC/USDT at both exchanges.
HOLES = (
    ("2024-02-03 07:00", "2024-02-03 08:00"),
    ("2024-02-29 20:00", "2024-03-01 04:00"),
    ("2024-02-10 00:00", "2024-02-14 00:00"),
)

MARKETS = "{start: 2024-02-01, pairs: [BTC/USDT, ETH/USDT], timeframes: [1h, 4h, 1d]}"
CONFIG = f"exchanges: {{binance: {MARKETS}, okx: {MARKETS}}}\n"


@dataclass(frozen=True)
class ExportedLake:
    """The lake, and the exchanges that it came from."""

    settings: Settings
    simulator: Simulator

    @property
    def exports(self) -> Path:
        return self.settings.data_root / "exports"

    def candles(self, series: Series) -> pl.DataFrame:
        with opened_lake(self.settings.data_root, self.settings.state_url) as lake:
            return lake.store.read_range("ohlcv", series, time("2024-02-01"), time("2024-04-01"))


def all_series() -> list[Series]:
    return [
        Series(exchange, pair, timeframe)
        for exchange in EXCHANGES
        for pair in PAIRS
        for timeframe in TIMEFRAMES
    ]


@contextmanager
def open_exported_lake(root: Path) -> Iterator[ExportedLake]:
    """Give the lake, in a folder."""
    (root / "home").mkdir()
    (root / "home/dagster.yaml").write_text((PROJECT_ROOT / "configs/dagster.yaml").read_text())
    (root / "platform.yaml").write_text(CONFIG)
    served = SimulatorConfig(
        {name: SimulatedExchange(name, PAIRS) for name in EXCHANGES}, seed=7, clock=lambda: NOW
    )
    with run_simulator(served) as simulator:
        settings = load_settings(
            {
                **os.environ,
                "DATA_PLATFORM_CONFIG": str(root / "platform.yaml"),
                "DATA_PLATFORM_DATA": str(root / "data"),
                "DATA_PLATFORM_SIMULATOR": simulator.url,
            }
        )
        lake = ExportedLake(settings, simulator)
        with dg.DagsterInstance.from_config(str(root / "home")) as instance:
            for exchange in EXCHANGES:
                _materialize(lake, instance, exchange, ("ohlcv",))
                _punch(lake, exchange)
                _materialize(lake, instance, exchange, PROGRAMS)
        yield lake


def _materialize(
    lake: ExportedLake, instance: dg.DagsterInstance, exchange: str, layers: tuple[str, ...]
) -> None:
    months = (to_period("2024-02"), to_period("2024-03"))
    selection = Selection(exchange, PAIRS, TIMEFRAMES, layers, *months)
    definitions = build_definitions(lake.settings, clock=lambda: NOW)
    outcome = materialize_selection(definitions, selection, PAIRS, instance)
    assert outcome.success, outcome.failures


def _punch(lake: ExportedLake, exchange: str) -> None:
    with opened_lake(lake.settings.data_root, lake.settings.state_url) as opened:
        for timeframe in TIMEFRAMES:
            series = Series(exchange, PAIRS[0], timeframe)
            for start, end in HOLES:
                punch(opened, series, timeframe.ceil(time(start)), timeframe.ceil(time(end)))
