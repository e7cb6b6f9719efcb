import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.cli.conftest import StoreCandles
from data_platform_tests.damage import damage
from data_platform_tests.read_only import run_powerless

HOUR, DAY = to_timeframe("1h"), to_timeframe("1d")
OKX = Series("okx", Pair("BTC/USDT"), HOUR)
RETIRED = Series("binance", Pair("OLD/USDT"), DAY)
PLACE = "ohlcv/exchange=okx/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["verify", *arguments])


@pytest.fixture
def stored(lake: Path, store_candles: StoreCandles) -> Path:
    for series in (OKX, RETIRED):
        store_candles(series, datetime(2024, 1, 1, tzinfo=UTC), 30)
    store_candles(OKX, datetime(2024, 2, 1, tzinfo=UTC), 30)
    return lake


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("option", ["--quick", "--deep", "--json"])
def test_a_sound_lake_exits_zero(option: str) -> None:
    done = run(option)
    assert done.exit_code == 0, done.output
    assert "sound" in done.stdout


def test_damage_is_named_by_series_and_period_and_exits_one(stored: Path) -> None:
    damage(stored / PLACE, "torn")
    done = run()
    assert done.exit_code == 1
    first, *_, last = done.stdout.splitlines()
    assert first.startswith(f"okx/ohlcv_1h BTC-USDT|2024-01: {PLACE}: ")
    assert "or move the file away and fetch the period again" in first
    assert last.endswith(": 1 damaged")
    assert "hashed in" in last
    assert "MB/s" in last


def test_programs_read_the_same_from_json(stored: Path) -> None:
    damage(stored / PLACE, "torn")
    told = json.loads(run("--json").stdout)
    (finding,) = told["findings"]
    assert told["verdict"] == "damaged"
    assert told["left_out_of_catalog"] == [PLACE]
    assert list(told) == [
        *("verdict", "depth", "lake", "files", "bytes", "hashed_bytes", "seconds"),
        *("mb_per_second", "left_out_of_catalog", "catalog", "error", "unchecked", "findings"),
    ]
    assert list(finding) == [
        *("kind", "path", "layer", "exchange", "timeframe", "pair", "feature_set", "period"),
        *("area", "fault", "remedy"),
    ]
    help_text = " ".join(run("--help").output.split())
    assert all(name in help_text for name in (*told, *finding)), "a field is not documented"


def test_a_part_is_chosen_by_any_spelling_also_of_what_is_retired(stored: Path) -> None:
    damage(stored / PLACE, "torn")
    assert run("--exchange", "OKX", "--pair", "btcusdt", "--timeframe", "1H").exit_code == 1
    assert run("--exchange", "okx", "--start", "2024-02-01").exit_code == 0
    assert run("--exchange", "okx", "--end", "2024-02-01").exit_code == 1
    assert run("--pair", "OLD/USDT").exit_code == 0
    assert run("--layer", "filled").exit_code == 0
    assert run("--exchange", "kucoin").exit_code == 2
    assert run("--quick", "--deep").exit_code == 2


@pytest.mark.parametrize("arguments", [[], ["--exchange", "okx"], ["--json"]])
def test_without_a_lake_nothing_can_be_checked(lake: Path, arguments: list[str]) -> None:
    assert not lake.exists()
    done = run(*arguments)
    assert done.exit_code == 2
    assert "there is no lake" in done.output
    assert not lake.exists()


def test_without_its_state_nothing_can_be_checked(stored: Path) -> None:
    for path in stored.glob("state.db*"):
        path.unlink()
    done = run("--json")
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert told["verdict"] == "unchecked"
    assert "is gone" in told["error"]
    assert len(told) == 13, "a program that reads the fields of a sound lake must find them"


def test_what_may_not_be_read_could_not_be_checked(stored: Path) -> None:
    (stored / PLACE).chmod(0)
    done = run_powerless("-m", "data_platform.cli.main", "verify")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{PLACE}: could not be read (Permission denied)" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(": 1 could not be read")
