"""`data-platform import`, through the real command line."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform_tests.factories import candles_at, grid

CONFIG = """\
exchanges:
  binance:
    start: 2024-01-01
    pairs: [BTC/USDT]
    timeframes: [1h, 4h]
    derive: {4h: 1h}
"""
TARGET = ("--exchange", "binance", "--pair", "BTCUSDT", "--timeframe")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "platform.yaml").write_text(CONFIG)
    monkeypatch.setenv("DATA_PLATFORM_CONFIG", str(tmp_path / "platform.yaml"))
    monkeypatch.setenv("DATA_PLATFORM_DATA", str(tmp_path / "data"))
    return tmp_path


def run(*words: str | Path, timeframe: str = "1H") -> Result:
    return CliRunner().invoke(main, ["import", *map(str, words), *TARGET, timeframe])


def write(folder: Path, start: str, end: str, name: str = "a.csv") -> Path:
    candles_at(grid(start, end)).write_csv(folder / name)
    return folder / name


def test_files_are_stored_and_can_be_read_back(folder: Path) -> None:
    first, second = write(folder, "2024-01-01", "2024-01-03"), folder / "b.parquet"
    candles_at(grid("2024-01-03", "2024-01-04")).write_parquet(second)
    found = run(first, second)
    assert found.exit_code == 0, found.output
    assert f"{first}: 48 candles: 48 added" in found.output
    assert f"{second}: 24 candles: 24 added" in found.output
    shown = CliRunner().invoke(
        main, ["show", "binance/BTCUSDT", "1h", "--start", "2024-01-01", "--end", "2024-01-04"]
    )
    assert shown.exit_code == 0, shown.output
    assert "72 rows" in shown.output


def test_one_bad_file_fails_alone(folder: Path) -> None:
    (folder / "bad.csv").write_text("time,open\n1,2\n")
    good = write(folder, "2024-01-01", "2024-01-03")
    found = run(folder / "bad.csv", good)
    assert found.exit_code == 1
    assert "bad.csv: FAILED" in found.output
    assert "48 added" in found.output


def test_refused_row_is_no_success(folder: Path) -> None:
    rows = candles_at(grid("2024-01-01", "2024-01-02"))
    rows.with_columns(low=pl.lit(-1.0)).write_csv(folder / "a.csv")
    found = run(folder / "a.csv")
    assert found.exit_code == 1
    assert "24 REFUSED" in found.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("4h",), "derived one is computed"),
        (("1d",), "expected a configured timeframe"),
    ],
)
def test_series_that_takes_none_is_refused(folder: Path, words: tuple[str], message: str) -> None:
    found = run(write(folder, "2024-01-01", "2024-01-02"), timeframe=words[0])
    assert found.exit_code == 2
    assert message in found.output


def test_what_a_file_is_must_be_known(folder: Path) -> None:
    found = run(write(folder, "2024-01-01", "2024-01-02", "candles.txt"))
    assert found.exit_code == 1
    assert "say it by --format" in found.output
    assert run(folder / "candles.txt", "--format", "csv").exit_code == 0
