"""`data-platform export`, through the real command line."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform_tests.small_line import SmallLine


@pytest.fixture
def line(stored_line: SmallLine, monkeypatch: pytest.MonkeyPatch) -> SmallLine:
    for name, value in stored_line.environment.items():
        if name.startswith("DATA_PLATFORM"):
            monkeypatch.setenv(name, value)
    return stored_line


def run(out: Path, *words: str, end: str = "2024-02-11") -> Result:
    span = ("--start", "2024-02-01", "--end", end, "--out", str(out))
    return CliRunner().invoke(main, ["export", *span, *words])


def test_each_series_is_a_file(line: SmallLine, tmp_path: Path) -> None:
    found = run(tmp_path / "out", "--timeframe", "1H", "--timeframe", "1d", "--pair", "BTCUSDT")
    assert found.exit_code == 0, found.output
    names = {path.name for path in (tmp_path / "out/binance").iterdir()}
    assert names == {
        "BTCUSDT_1h_20240201_20240210.parquet",
        "BTCUSDT_1d_20240201_20240210.parquet",
    }
    assert "BTCUSDT_1h_20240201_20240210.parquet: 240 rows" in found.output.replace("\n", "")
    assert line.root.exists()


def test_features_know_when_they_are_known(line: SmallLine, tmp_path: Path) -> None:
    found = run(tmp_path, "--timeframe", "1h", "--layer", "features", "--format", "csv")
    assert found.exit_code == 0, found.output
    rows = pl.read_csv(tmp_path / "binance/features/ETHUSDT_1h_20240201_20240210.csv")
    assert rows["open_time"][0] == "2024-02-01T00:00:00.000Z"
    assert rows["available_at"][0] == "2024-02-01T01:00:00.000Z"
    assert line.root.exists()


def test_series_that_is_not_whole_is_no_success(line: SmallLine, tmp_path: Path) -> None:
    found = run(tmp_path, "--timeframe", "1h", end="2024-05-01")
    assert found.exit_code == 1
    assert found.output.count("FAILED") == 3
    assert "months are not stored" in found.output
    found = run(tmp_path, "--timeframe", "1h", "--allow-missing", end="2024-05-01")
    assert found.exit_code == 0, found.output
    assert line.root.exists()


def test_selection_of_nothing_is_no_success(line: SmallLine, tmp_path: Path) -> None:
    found = run(tmp_path, "--timeframe", "15m")
    assert found.exit_code == 2
    assert "no configured series" in found.output
    assert line.root.exists()


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("freqtrade-parquet", "freqtrade-parquet/binance/BTC_USDT-1h.parquet"),
        ("nautilus-csv", "nautilus-csv/BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL.csv"),
    ],
)
def test_a_programs_format_lies_where_it_looks(
    line: SmallLine, tmp_path: Path, kind: str, place: str
) -> None:
    words = ("--timeframe", "1h", "--pair", "BTCUSDT", "--format", kind)
    out = tmp_path / "out"
    found = run(out, *words)
    assert found.exit_code == 0, found.output
    assert [str(it.relative_to(out)) for it in out.rglob("*.*")] == [place]
    read = pl.read_csv if kind == "nautilus-csv" else pl.read_parquet
    assert read(out / place).height == 240
    found = run(out, *words, "--layer", "indicators")
    assert found.exit_code == 2
    assert "holds candles" in found.output
    assert line.root.exists()
