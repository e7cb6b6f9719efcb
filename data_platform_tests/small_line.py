"""A whole line on a small scale: its config, its lake, its Dagster instance, its exchange.

The exchange is the simulator behind real HTTP; its clock and the line's own are one, and stand.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from data_platform.assets.line import asset_key
from data_platform.definitions import build_definitions
from data_platform.domain.layers import LAYERS
from data_platform.domain.markets import Pair, Series, from_key
from data_platform.domain.periods import to_period
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lake import Lake, open_lake
from data_platform.runs import RunOutcome, Selection, materialize_selection
from data_platform.settings import PROJECT_ROOT, Settings, load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import Simulator, run_simulator

NOW = datetime(2024, 3, 2, 12, 0, 7, tzinfo=UTC)
"""Seven seconds past noon: the hour's candle has closed, and so has its grace."""

BTC, ETH, SOL = (from_key(key) for key in ("BTC-USDT", "ETH-USDT", "SOL-USDT"))
TIMEFRAMES = ("1h", "4h", "1d")
ALL_LAYERS = tuple(layer.name for layer in LAYERS)

CONFIG = """\
exchanges:
  binance:
    start: 2024-02-01
    pairs: [BTC/USDT, ETH/USDT, SOL/USDT]
    timeframes: [1h, 4h, 1d]
    derive: {4h: 1h}
    rate_limit: 60000
refresh: {candles: 1h, derived: 1h, exports: 1d}
"""


@dataclass
class SmallLine:
    """One line in one folder."""

    root: Path
    simulator: Simulator
    instance: dg.DagsterInstance
    clock: list[datetime]
    """Holds one instant: what the line and the exchange take for now."""

    @property
    def environment(self) -> dict[str, str]:
        """Return what a process needs to work on this line."""
        return {
            "DATA_PLATFORM_CONFIG": str(self.root / "configs/platform.yaml"),
            "DATA_PLATFORM_DATA": str(self.root / "data"),
            "DATA_PLATFORM_SIMULATOR": self.simulator.url,
            "DAGSTER_HOME": str(self.root / "home"),
            "PATH": os.environ["PATH"],
            "TMPDIR": tempfile.gettempdir(),
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.environment)

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings, clock=lambda: self.clock[0])

    def materialize(
        self,
        pairs: Sequence[Pair] = (BTC, ETH, SOL),
        layers: Sequence[str] = ALL_LAYERS,
        timeframes: Sequence[str] = TIMEFRAMES,
        months: tuple[str, str] = ("2024-02", "2024-03"),
    ) -> RunOutcome:
        selection = Selection(
            exchange="binance",
            pairs=tuple(pairs),
            timeframes=tuple(to_timeframe(name) for name in timeframes),
            layers=tuple(layers),
            first=to_period(months[0]),
            last=to_period(months[1]),
        )
        defined = self.settings.exchanges["binance"].pairs
        return materialize_selection(self.definitions, selection, defined, self.instance)

    @contextmanager
    def lake(self) -> Iterator[Lake]:
        lake = open_lake(self.settings.data_root, self.settings.state_url)
        try:
            yield lake
        finally:
            lake.state.close()

    def files(self) -> dict[str, tuple[int, int]]:
        """Return size and time of every file below the lake, but the state database."""
        data = self.root / "data"
        return {
            path.relative_to(data).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in data.rglob("*")
            if path.is_file() and not path.name.startswith("state.db") and path.suffix != ".lock"
        }

    def materialized(self, layer: str, timeframe: str) -> set[str]:
        key = asset_key("binance", layer, to_timeframe(timeframe))
        return set(self.instance.get_materialized_partitions(key))


@contextmanager
def open_small_line(
    root: Path, config: str = CONFIG, simulated: Sequence[Pair] = (BTC, ETH, SOL)
) -> Iterator[SmallLine]:
    """Give a line in a folder, new or copied; stop its exchange at the end.

    Args:
        root: the folder.
        config: the platform config.
        simulated: what is traded at the exchange.
    """
    for name, text in (("configs/platform.yaml", config), ("home/dagster.yaml", None)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or (PROJECT_ROOT / "configs/dagster.yaml").read_text())
    clock = [NOW]
    exchange = SimulatedExchange("binance", tuple(simulated))
    served = SimulatorConfig({"binance": exchange}, seed=7, clock=lambda: clock[0])
    with (
        run_simulator(served) as simulator,
        dg.DagsterInstance.from_config(str(root / "home")) as instance,
    ):
        yield SmallLine(root, simulator, instance, clock)


def waiting_run(
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED, **tags: str
) -> dg.DagsterRun:
    """Return a run that has not ended, as one in the daemon's queue."""
    code = RegisteredCodeLocationOrigin("data_platform.definitions")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(code, "__repository__"), "a_job")
    return dg.DagsterRun("a_job", status=status, tags=tags, remote_job_origin=origin)


def copy_line(source: Path, target: Path) -> None:
    """Copy a line that nobody has open."""
    shutil.copytree(source, target, dirs_exist_ok=True)


def series(pair: Pair, timeframe: str) -> Series:
    return Series("binance", pair, to_timeframe(timeframe))
