import re
from dataclasses import replace
from pathlib import Path

import pytest

from data_platform.cli.simulate import to_simulator_config
from data_platform.config.scenario import Scenario, read_scenario
from data_platform.domain.errors import ConfigError
from data_platform.settings import PROJECT_ROOT, load_settings
from data_platform.simulator.server import Simulator


def read(folder: Path, text: str) -> Scenario:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return read_scenario(path)


def test_every_key_has_a_default(tmp_path: Path) -> None:
    assert read(tmp_path, "seed: 3\n") == Scenario(seed=3)
    assert read(tmp_path, "latency_ms: 0\n") == Scenario()


def test_a_scenario_is_read_whole(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "latency_ms: 80\n"
        "limits: {okx: true, kraken: false, bybit: {ban_seconds: 30}}\n"
        "faults:\n"
        "  - {name: http_500, exchange: okx, first: 3}\n"
        "  - {name: gap, start: 2024-03-01, end: '2024-03-01T12:00Z'}\n",
    )
    assert found.latency_ms == 80.0
    assert found.limits_of(["okx", "kraken", "bybit"]) == {"okx": {}, "bybit": {"ban_seconds": 30}}
    assert [order.fault.name for order in found.faults] == ["http_500", "gap"]
    assert (found.faults[0].exchange, found.faults[0].first) == ("okx", 3)
    assert found.faults[1].options == {"start": 1_709_251_200_000, "end": 1_709_294_400_000}


def test_limits_may_be_switched_on_for_all() -> None:
    assert Scenario(limits=True).limits_of(["okx", "kraken"]) == {"okx": {}, "kraken": {}}
    assert Scenario().limits_of(["okx"]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fault: []", ":1: fault: unknown key. Did you mean 'faults'? Accepted: seed, latency_ms"),
        ("latency_ms: -1", ":1: latency_ms: "),
        ("faults:\n  - {name: http_500}\n  - {name: http_5}", ":3: faults[1]: unknown fault"),
        ("faults:\n  - {name: gap, start: noon, end: 2024}", ":2: faults[0]: fault gap: start: 'n"),
        ("limits: 3", ":1: limits: expected `true`, `false`, or exchanges"),
        ("limits:\n  okx: fast", ":2: limits.okx: expected `true`, `false` or names with numbers"),
        ("limits:\n  okx: {time: true}", ":2: limits.okx: expected `true`, `false` or names"),
    ],
)
def test_what_cannot_be_is_refused_with_file_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read(tmp_path, text + "\n")


@pytest.mark.parametrize(
    "path", sorted((PROJECT_ROOT / "configs/scenarios").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_scenarios_here_fit_the_demo(path: Path) -> None:
    settings = load_settings({}, config=PROJECT_ROOT / "configs/demo.yaml")
    scenario = read_scenario(path)
    simulator = Simulator(to_simulator_config(settings, scenario))
    assert len(simulator.faults.orders()) == len(scenario.faults) > 0
    assert replace(scenario, faults=()) != Scenario()
