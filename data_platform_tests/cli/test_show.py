import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.cli.conftest import StoreCandles

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
START = datetime(2024, 1, 1, tzinfo=UTC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["show", "okx/BTC-USDT", "1h", *arguments])


RANGE = ("--start", "2024-01-01", "--end", "2024-02-01")


def test_rows_are_printed_in_each_format(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 2)
    found = run(*RANGE, "--format", "json")
    assert found.exit_code == 0, found.output
    assert [row["close"] for row in json.loads(found.stdout)] == [100.0, 101.0]
    assert run(*RANGE, "--format", "csv").stdout.splitlines()[1].startswith("2024-01-01T00:00:00Z,")
    assert "2 rows" in run(*RANGE).stdout
    assert lake.is_dir()


@pytest.mark.usefixtures("lake")
def test_what_was_known_is_shown(store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 2)
    now = datetime.now(UTC)
    while datetime.now(UTC) - now < timedelta(milliseconds=2):
        pass
    store_candles(SERIES, START, 5)
    assert "5 rows" in run(*RANGE).stdout
    assert "2 rows" in run(*RANGE, "--as-of", f"{now.isoformat()}").stdout


@pytest.mark.usefixtures("lake")
def test_what_is_not_stored_is_one_line_and_exit_one(store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 2)
    found = run("--start", "2024-01-01", "--end", "2024-03-01")
    assert found.exit_code == 1
    assert found.stderr.startswith("data-platform: ohlcv of okx/BTC-USDT/1h: 1 of 2 months")
    assert run("--start", "soon").exit_code == 2
    assert run(*RANGE, "--as-of", "2024-01-01", "--snapshot", "x").exit_code == 2
