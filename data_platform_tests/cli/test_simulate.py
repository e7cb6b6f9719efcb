import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_platform.cli.main import main
from data_platform.cli.simulate import to_simulator_config
from data_platform.domain.markets import Pair
from data_platform.settings import load_settings

CONFIG = (
    "exchanges:\n"
    "  mine: {ccxt_id: binance, pairs: [BTC/USDT]}\n"
    "  kraken: {pairs: [BTC/USD, ETH/USD]}\n"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "platform.yaml"
    path.write_text(CONFIG)
    return path


@contextmanager
def simulating(config: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "data_platform.cli.main", "simulate"]
    process = subprocess.Popen(
        [*command, "--config", str(config), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def test_it_serves_what_is_configured_and_stops_cleanly(config: Path) -> None:
    with simulating(config) as (process, url):
        candles = get(f"{url}/mine/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=3")
        assert isinstance(candles, list)
        assert len(candles) == 3
        assert get(f"{url}/_score") == {"kraken": 0, "mine": 1}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_every_configured_pair_is_simulated_under_our_name(config: Path) -> None:
    simulated = to_simulator_config(load_settings({}, config=config), seed=7)
    assert simulated.seed == 7
    assert simulated.exchanges["mine"].ccxt_id == "binance"
    assert simulated.exchanges["kraken"].ccxt_id == "kraken"
    assert simulated.exchanges["kraken"].pairs == (Pair("BTC/USD"), Pair("ETH/USD"))


def test_a_port_in_use_is_a_failure_with_a_remedy(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["simulate", "--config", str(config), "--port", str(port)])
    assert done.exit_code == 1
    assert done.stderr == (
        f"data-platform: cannot listen on 127.0.0.1:{port}: {os.strerror(98)}. Choose another "
        "--port, 0 takes a free one.\n"
    )


def test_an_exchange_that_cannot_be_simulated_is_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text("exchanges: {kucoin: {pairs: [BTC/USDT]}}\n")
    done = CliRunner().invoke(main, ["simulate", "--config", str(path), "--port", "0"])
    assert done.exit_code == 2
    assert "'kucoin' cannot be simulated" in done.stderr


def test_a_config_that_is_absent_is_wrong_use(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["simulate", "--config", str(tmp_path / "absent.yaml")])
    assert done.exit_code == 2
    assert "absent.yaml: cannot be read: No such file or directory" in done.stderr
