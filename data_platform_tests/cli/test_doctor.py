import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.doctor import to_repair_orders
from data_platform.cli.main import main
from data_platform.domain.markets import Pair
from data_platform.domain.periods import to_period
from data_platform.settings import load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import run_simulator
from data_platform_tests.damage import damage
from data_platform_tests.factories import files_of

PAIR = Pair("BTC/USDT")


def run(*arguments: str, agreed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], input=agreed)


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with a config and days of one pair, whose exchange still answers."""
    folder = tmp_path_factory.mktemp("downloaded")
    simulated = SimulatorConfig({"okx": SimulatedExchange("okx", (PAIR,))})
    with run_simulator(simulated) as simulator:
        config = folder / "platform.yaml"
        config.write_text(
            f"exchanges:\n  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
            " timeframes: [1d], history_days: 40}\n"
        )
        places = {"CONFIG": config, "DATA": folder / "data"}
        environment = {f"DATA_PLATFORM_{name}": str(path) for name, path in places.items()}
        environment["DAGSTER_HOME"] = str(folder / "home")
        assert CliRunner().invoke(main, ["download"], env=environment).exit_code == 0
        yield folder


@pytest.fixture
def stored(lake: Path, downloaded: Path) -> Path:
    """Return the root of a copy of what was downloaded; config and environment point to it."""
    shutil.copy(downloaded / "platform.yaml", "configs/platform.yaml")
    shutil.copytree(downloaded / "data", lake)
    return lake


def first_month(lake: Path) -> Path:
    return min(lake.glob("ohlcv/exchange=okx/**/candles.parquet"))


def test_damage_is_told_asked_about_cured_and_then_gone(stored: Path) -> None:
    path = first_month(stored)
    before = path.read_bytes()
    damage(path, "torn")
    dry = run("--dry-run")
    assert dry.exit_code == 1
    assert "restore okx/ohlcv_1d BTC-USDT|" in dry.stdout
    files = files_of(stored)
    refused = run(agreed="n\n")
    assert refused.exit_code == 1
    assert files_of(stored) == files
    done = run("--json", "--yes")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["remaining"] == []
    assert any("repaired, the same" in line for line in told["done"])
    assert path.read_bytes() == before
    again = run()
    assert again.exit_code == 0
    assert again.stdout.startswith("Nothing to do")
    assert json.loads(run("--json", "--dry-run").stdout)["steps"] == []


def test_a_lost_state_is_begun_anew_and_nothing_is_fetched_twice(stored: Path) -> None:
    path = first_month(stored)
    content, before = path.read_bytes(), path.stat()
    for each in stored.glob("state.db*"):
        each.unlink()
    assert run("--dry-run").stdout.splitlines()[1].startswith("  begin the state database anew")
    assert not (stored / "state.db").exists()
    done = run("--yes")
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("All is sound.\n")
    assert path.stat() == before
    assert path.read_bytes() == content


@pytest.mark.usefixtures("lake")
def test_without_a_lake_there_is_nothing_to_mend() -> None:
    done = run("--yes")
    assert done.exit_code == 2
    assert "there is no lake" in done.stderr
    as_json = run("--json", "--yes")
    assert as_json.exit_code == 2
    assert "there is no lake" in json.loads(as_json.stdout)["error"]
    assert run("--json").exit_code == 2


@pytest.mark.usefixtures("lake")
def test_what_is_missing_becomes_one_order_an_exchange() -> None:
    months = frozenset((PAIR, to_period(month)) for month in ("2024-01", "2024-03"))
    (order,) = to_repair_orders(load_settings(), {"okx": months})
    assert [period.key for period in order.periods] == ["2024-01", "2024-02", "2024-03"]
    assert order.pairs == (PAIR,)
    assert not order.full


def test_a_lake_that_was_only_copied_needs_nothing(stored: Path) -> None:
    copy = stored.with_name("copy")
    shutil.copytree(stored, copy)
    done = CliRunner().invoke(main, ["doctor"], env={"DATA_PLATFORM_DATA": str(copy)})
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Nothing to do")
