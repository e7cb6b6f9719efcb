import socket
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from data_platform.cli.download import is_success
from data_platform.cli.main import main
from data_platform.cli.messages import Outcome
from data_platform.cli.worker_pool import PoolResult
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.settings import load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import run_simulator

PAIR = Pair("BTC/USDT")
DAY = to_timeframe("1d")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_one_exchange_is_downloaded_though_another_cannot_be_reached(
    lake: Path, closed_port: int
) -> None:
    simulated = SimulatorConfig({"okx": SimulatedExchange("okx", (PAIR,))})
    with run_simulator(simulated) as simulator:
        Path("configs/platform.yaml").write_text(
            "exchanges:\n"
            f"  binance: {{base_url: 'http://127.0.0.1:{closed_port}', pairs: [BTC/USDT],"
            " timeframes: [1d], history_days: 1, timeout: 2s}\n"
            f"  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
            " timeframes: [1d], history_days: 40}\n"
        )
        done = CliRunner().invoke(main, ["download", "--layer", "ohlcv", "--timeframe", "1D"])
        exchange = load_settings().exchanges["okx"]
        truth = simulator.candles(Series("okx", PAIR, DAY), exchange.start, exchange.start.max)
    assert done.exit_code == 1, done.output
    files = sorted(lake.rglob("exchange=okx/**/candles.parquet"))
    stored = pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files])
    assert stored.equals(truth)
    assert truth.height >= 40
    results = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("│")}
    assert f" {truth.height} " in results["okx"]
    assert " done " in results["okx"]
    assert " failed " in results["binance"]
    assert all(line.startswith("data-platform: ") for line in done.stderr.splitlines())
    assert "binance/ohlcv_1d BTC-USDT|" in done.stderr
    assert "Check the network" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--exchange", "binance"], "exchange 'binance' is not in"),
        (["--pair", "XRPUSDT"], "pair 'XRPUSDT' is unknown here. Accepted: BTC/USD, BTC/USDT."),
        (["--timeframe", "2h"], "unknown timeframe '2h'"),
        (["--timeframe", "1m"], "timeframe 1m is not configured. Accepted: 1h, 1d."),
        (["--layer", "candles"], "'candles' is not one of"),
        (["--start", "01/02/2024"], "is no date"),
        (["--start", "2024-02-01", "--end", "2024-01-01"], "--end 2024-01-01 must lie after"),
        (["--end", "2020-01-01"], "nothing configured is that pair, timeframe and time together"),
    ],
)
def test_a_selection_that_means_nothing_is_wrong_use(arguments: list[str], reason: str) -> None:
    done = CliRunner().invoke(main, ["download", *arguments])
    assert done.exit_code == 2
    assert reason in " ".join(done.stderr.split())
    assert not Path(".dagster").exists()


def test_only_all_of_it_unstopped_is_success() -> None:
    good, bad = Outcome("a", success=True), Outcome("b", success=False)
    assert is_success(PoolResult({"a": good}))
    assert not is_success(PoolResult({"a": good, "b": bad}))
    assert not is_success(PoolResult({"a": good}, is_stopped=True))
