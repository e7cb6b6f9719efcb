from datetime import UTC, datetime
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
    return CliRunner().invoke(main, ["snapshot", *arguments])


def show(*more: str) -> str:
    words = ("show", "okx/BTC-USDT", "1h", "--start", "2024-01-01", "--end", "2024-02-01", *more)
    return CliRunner().invoke(main, words).stdout


def test_a_snapshot_is_made_listed_read_compared_and_removed(
    lake: Path, store_candles: StoreCandles
) -> None:
    store_candles(SERIES, START, 2)
    made = run("create", "before", "--exchange", "okx", "--layer", "ohlcv")
    assert (made.exit_code, made.stdout) == (0, "before: 1 partitions, 2 rows pinned\n")
    store_candles(SERIES, START, 5)
    assert "2 rows" in show("--snapshot", "before")
    assert "5 rows" in show()
    assert run("create", "after").exit_code == 0
    assert "2 snapshots" in run("list").stdout
    diff = run("diff", "before", "after").stdout
    assert "differs" in diff
    assert "1 partitions differ" in diff
    assert run("verify", "before").stdout == "before: 1 partitions, 0 damaged\n"
    assert run("delete", "before").stdout == "before: removed; 1 files are not pinned any more\n"
    assert "1 snapshot\n" in run("list").stdout
    assert (lake / "ohlcv").is_dir()


def test_damage_is_named_and_exit_one(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 2)
    run("create", "one")
    (pinned,) = (lake / "snapshots" / "files").rglob("*.parquet")
    pinned.unlink()
    pinned.write_bytes(b"PAR1")
    found = run("verify", "one")
    assert found.exit_code == 1
    assert "okx/ohlcv_1h BTC-USDT|2024-01: the bytes of" in found.stderr
    assert found.stdout.endswith("1 damaged\n")


@pytest.mark.parametrize("words", [("create", "../x"), ("create", "one", "--pair", "XRP/USDT")])
@pytest.mark.usefixtures("lake")
def test_what_cannot_be_meant_exits_two(
    store_candles: StoreCandles, words: tuple[str, ...]
) -> None:
    store_candles(SERIES, START, 2)
    assert run(*words).exit_code == 2


@pytest.mark.usefixtures("lake")
def test_nothing_there_exits_one(store_candles: StoreCandles) -> None:
    assert run("list").exit_code == 1
    store_candles(SERIES, START, 2)
    assert run("verify", "one").exit_code == 1
    assert run("create", "one", "--exchange", "kraken").exit_code == 1
    assert run("list").stdout == "0 snapshots\n"
