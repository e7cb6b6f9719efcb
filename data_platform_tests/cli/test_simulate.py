import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_platform.cli.main import main
from data_platform.cli.simulate import to_simulator_config
from data_platform.config.scenario import Scenario
from data_platform.domain.markets import Pair
from data_platform.settings import load_settings

COLUMNS = ("requests", "candles", "in flight", "rejected", "banned", "early", "followed")
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
def simulating(config: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "data_platform.cli.main", "simulate"]
    process = subprocess.Popen(
        [*command, "--config", str(config), "--port", "0", *more], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def test_it_serves_what_is_configured_and_stops_cleanly(config: Path) -> None:
    with simulating(config) as (process, url):
        candles = get(f"{url}/mine/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=3")
        assert isinstance(candles, list)
        assert len(candles) == 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_it_prints_the_score_of_each_exchange_when_it_stops(config: Path) -> None:
    with simulating(config) as (process, url):
        for _ in range(3):
            get(f"{url}/mine/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=3")
        get(f"{url}/mine/api/v3/time")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    lines = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in rest.splitlines()]
    assert [line for line in lines if line] == [
        ["exchange", *COLUMNS, "most within a window"],
        ["kraken", *"0000000", "counter 0 of 30 in 15 s"],
        ["mine", "4", "3", "1", "0", "0", "0", "0", "weight 7 of 12,000 in 60 s"],
    ]


def test_a_scenario_limits_and_latency_are_taken_up(config: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "limits: {mine: {weight: 4}}\nlatency_ms: 1\n"
        "faults: [{name: http_500, exchange: mine, first: 1}]\n"
    )
    address = "mine/api/v3/klines?symbol=BTCUSDT&interval=1h"
    more = ("--scenario", str(scenario), "--latency", "150")
    with simulating(config, *more) as (_, url):
        begun = time.monotonic()
        assert status(f"{url}/{address}") == 500
        assert time.monotonic() - begun >= 0.15
        assert [status(f"{url}/{address}") for _ in range(2)] == [200, 429]
    with simulating(config, "--limits") as (_, url):
        assert [status(f"{url}/kraken/0/public/Time") for _ in range(16)] == [200] * 16
        assert "Too many requests" in json.dumps(get(f"{url}/kraken/0/public/Time"))


def test_a_scenario_of_an_exchange_that_is_not_configured_is_wrong_use(
    config: Path, tmp_path: Path
) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("faults: [{name: http_500, exchange: okx}]\n")
    command = ["simulate", "--config", str(config), "--scenario", str(scenario), "--port", "0"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "exchange 'okx' is not simulated. Simulated: kraken, mine" in done.stderr


def test_every_configured_pair_is_simulated_under_our_name(config: Path) -> None:
    simulated = to_simulator_config(load_settings({}, config=config), Scenario(seed=7))
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
