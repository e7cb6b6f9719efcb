from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.cli.conftest import StoreCandles

COLUMNS = """
import polars as pl

def honest(frame):
    return frame.select("open_time", mean=pl.col("close").rolling_mean(20))

def mixed(frame):
    close = pl.col("close")
    return frame.select("open_time", back=close.shift(1), ahead=close.shift(-1))

def dated(frame):
    return frame.select("open_time", trend=pl.col("open_time").dt.year())

def odd(frame):
    return frame.select("open_time", noise=pl.Series(__import__("os").urandom(frame.height)))
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_columns.py").write_text(COLUMNS)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prove-causal", *arguments])


def test_causal_columns_exit_0() -> None:
    found = run("my_columns:honest")
    assert found.exit_code == 0, found.output
    assert "1 columns at 32 moments of 12000 made-up candles, 1h: every column is causal." in (
        found.output
    )
    fewer = run("my_columns:honest", "--candles", "500").output
    assert "moments of 500 made-up candles" in fewer


def test_what_the_dates_tell_exits_1() -> None:
    found = run("my_columns:dated", "--moments", "4")
    assert found.exit_code == 1
    assert "told by dates" in found.output
    assert "trend is told by the dates" in found.output


def test_a_leak_is_named_with_time_and_probe_and_exits_1() -> None:
    found = run("my_columns.py:mixed", "--moments", "8", "--timeframe", "5m")
    assert found.exit_code == 1
    lines = [[cell.strip() for cell in line.split("│")] for line in found.output.splitlines()]
    rows = [line[1:-1] for line in lines if len(line) > 3]
    assert ["back", "causal", "", "", ""] in rows
    leaks = [row for row in rows if row[0] == "ahead"]
    assert [row[1:2] + row[3:4] for row in leaks] == [
        ["leaks", "perturbation"],
        ["leaks", "truncation"],
    ]
    assert all(row[2].startswith("2023-11-") for row in leaks)
    assert "ahead may not be used, the future shows in it." in found.output


def test_what_cannot_be_reproduced_exits_1() -> None:
    found = run("my_columns:odd", "--moments", "4")
    assert found.exit_code == 1
    assert "not reproducible" in found.output
    assert "noise changes when asked again." in found.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("my_columns",),
        ("my_columns:gone",),
        ("my_columns:honest", "--timeframe", "2m"),
        ("my_columns:honest", "--start", "2024-01-01"),
        ("my_columns:honest", "--market", "okx/BTC-USDT"),
        ("my_columns:honest", "--moments", "0"),
        ("my_columns:honest", "--candles", "199"),
        ("my_columns:honest", "--candles", "500", "--market", "okx/BTC-USDT"),
    ],
)
def test_wrong_use_exits_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.usefixtures("lake")
def test_stored_candles_of_a_market_are_taken(store_candles: StoreCandles) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    store_candles(Series("okx", Pair("BTC/USDT"), to_timeframe("1h")), start, 400)
    asked = ("--market", "okx/BTC-USDT", "--start", "2024-01-01", "--end", "2024-02-01")
    found = run("my_columns:mixed", *asked)
    assert found.exit_code == 1, found.output
    assert "of 400 stored candles of okx/BTC-USDT, 1h: ahead may not be used" in found.output
    assert run("my_columns:honest", *asked).exit_code == 0
