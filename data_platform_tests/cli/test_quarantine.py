from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe
from data_platform.storage.layout import Layout
from data_platform.storage.quarantine import keep_refused
from data_platform_tests.cli.conftest import StoreCandles
from data_platform_tests.factories import candles_at, grid

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
START = datetime(2024, 1, 1, tzinfo=UTC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["quarantine", *arguments])


def refuse(lake: Path, rows: pl.DataFrame) -> str:
    with_reason = rows.with_columns(reason=pl.lit("high below open, low or close"))
    partition = Partition("ohlcv", SERIES, Period(2024, 1))
    path = keep_refused(Layout(lake), partition, with_reason)
    assert path
    return path.stem[:8]


def test_refused_rows_are_listed_shown_and_replayed(
    lake: Path, store_candles: StoreCandles
) -> None:
    store_candles(SERIES, START, 2)
    name = refuse(lake, candles_at(grid("2024-01-01 02:00", "2024-01-01 04:00")))
    listed = run("list").stdout
    assert "okx/ohlcv_1h BTC-USDT|2024-01" in listed
    assert "high below open" in listed
    assert listed.endswith("1 file of refused rows\n")
    assert "2024-01-01T03:00:00Z" in run("show", name).stdout
    done = run("replay", name)
    assert (done.exit_code, done.stdout.split(": ")[1]) == (
        0,
        "2 candles added, 0 changed, 0 outdone by a later fetch, 0 refused again\n",
    )
    assert "1 file" in run("list").stdout


def test_rows_that_are_refused_again_exit_one(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 2)
    broken = candles_at(grid("2024-01-01 02:00", "2024-01-01 03:00")).with_columns(high=0.5)
    found = run("replay", refuse(lake, broken))
    assert found.exit_code == 1
    assert "1 refused again" in found.stdout


@pytest.mark.usefixtures("lake")
def test_what_is_not_there_is_said(store_candles: StoreCandles) -> None:
    assert run("list").exit_code == 1
    store_candles(SERIES, START, 2)
    assert run("list").stdout == "0 files of refused rows\n"
    found = run("show", "abcdef")
    assert found.exit_code == 2
    assert "the quarantine is empty" in found.stderr
