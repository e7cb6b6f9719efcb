from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.settings import PROJECT_ROOT
from data_platform_tests.cli.conftest import StoreCandles
from data_platform_tests.damage import damage

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
SHIPPED = PROJECT_ROOT / "configs/thresholds.yaml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["retention", *arguments])


@pytest.fixture
def stored(lake: Path, store_candles: StoreCandles) -> Path:
    """Return a lake with two months of hours that ended long ago."""
    for month in (1, 2):
        store_candles(SERIES, datetime(2024, month, 1, tzinfo=UTC), 5)
    return lake


@pytest.fixture
def opted_in(stored: Path) -> Path:
    text = SHIPPED.read_text().replace("# retention: {", "retention: {")
    (stored.parent / "configs/thresholds.yaml").write_text(text)
    return stored


def test_without_opting_in_everything_stays(stored: Path) -> None:
    done = run("--apply")
    assert done.exit_code == 0
    assert done.stdout.endswith("everything stays.\n")
    assert not (stored / "archive").exists()


def test_what_would_go_is_listed_then_moved_then_brought_back(opted_in: Path) -> None:
    listed = run()
    assert listed.exit_code == 0
    (row,) = [line for line in listed.stdout.splitlines() if "ohlcv" in line]
    words = row.replace("│", " ").split()
    assert words[:6] == ["okx/BTC-USDT/1h", "ohlcv", "2024-01", "2024-02", "2", "10"]
    assert "2 partitions, " in listed.stdout
    assert listed.stdout.endswith("would move to archive/ by --apply\n")
    assert not (opted_in / "archive").exists()
    assert run("--apply").stdout.endswith("moved to archive/\n")
    assert len(list((opted_in / "archive").rglob("*.parquet"))) == 2
    assert "\n0 partitions" in f"\n{run().stdout}"
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
    back = run("--restore", "okx/BTCUSDT/1h")
    assert back.stdout == "2 partitions of okx/BTC-USDT/1h moved back among the tables\n"
    assert not list((opted_in / "archive").rglob("*.parquet"))


def test_pinned_months_stay_and_damaged_ones_fail(opted_in: Path) -> None:
    words = ["snapshot", "create", "one", "--end", "2024-02-01"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert "1 partitions stay: a snapshot pins them." in run().stdout
    damage(next((opted_in / "ohlcv").rglob("period=2024-02/*.parquet")), "flipped")
    done = run("--apply")
    assert done.exit_code == 1
    assert "okx/ohlcv_1h BTC-USDT|2024-02: the file" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("0 partitions")


@pytest.mark.usefixtures("opted_in")
def test_what_cannot_be_meant_exits_two() -> None:
    assert run("--restore", "okx").exit_code == 2
    assert run("--restore", "okx/BTC-USDT/1h", "--apply").exit_code == 2


@pytest.mark.usefixtures("lake")
def test_without_a_lake_there_is_nothing_to_keep() -> None:
    assert run().exit_code == 1
