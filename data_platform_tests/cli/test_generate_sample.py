from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.candles import CANDLE_SCHEMA


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["generate-sample", "--out", str(folder), "--timeframe", "1h", *arguments]
    )


def test_candles_and_their_labels_lie_side_by_side(tmp_path: Path) -> None:
    done = run(tmp_path, "--pair", "ethusdt", "--gaps", "2", "--spikes", "1", "--flats", "0")
    assert done.exit_code == 0, done.output
    candles = pl.read_parquet(tmp_path / "binance_ETH-USDT_1h_seed1.parquet")
    labels = pl.read_parquet(tmp_path / "binance_ETH-USDT_1h_seed1.labels.parquet")
    assert candles.schema == CANDLE_SCHEMA
    assert sorted(labels["kind"]) == ["gap", "gap", "spike"]
    missing = sum(
        (row["end"] - row["start"]).total_seconds() / 3600
        for row in labels.filter(pl.col("kind") == "gap").to_dicts()
    )
    assert candles.height + missing == 30 * 24
    for row in labels.filter(pl.col("kind") == "gap").to_dicts():
        inside = pl.col("open_time").is_between(row["start"], row["end"], closed="left")
        assert candles.filter(inside).is_empty()
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        str(tmp_path / "binance_ETH-USDT_1h_seed1.parquet"),
        str(tmp_path / "binance_ETH-USDT_1h_seed1.labels.parquet"),
    ]


def test_the_same_options_give_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert run(tmp_path / folder, "--format", "csv").exit_code == 0
    assert run(tmp_path / "a", "--format", "csv", "--seed", "2").exit_code == 0
    first, second, other = (
        (tmp_path / name).read_bytes()
        for name in (
            "a/binance_BTC-USDT_1h_seed1.csv",
            "b/binance_BTC-USDT_1h_seed1.csv",
            "a/binance_BTC-USDT_1h_seed2.csv",
        )
    )
    assert first == second
    assert first != other
    assert first.startswith(b"open_time,open,high,low,close,volume\n2024-01-01T00:00:00Z,")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--start", "2024-02-01", "--end", "2024-02-01"], "--end 2024-02-01 must lie after"),
        (
            ["--timeframe", "1m", "--start", "2010-01-01", "--end", "2024-01-01"],
            "at most 5,300,000",
        ),
        (["--end", "2024-01-02", "--gaps", "50"], "defects need"),
        (["--exchange", "nowhere"], "'nowhere' is not one of"),
        (["--gaps", "-1"], "-1"),
        (["--pair", "BTC"], "'BTC' is no pair"),
    ],
)
def test_what_cannot_be_generated_is_wrong_use(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    done = run(tmp_path, *arguments)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(tmp_path / "file" / "below")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"data-platform: cannot write {tmp_path}/file/below/")
