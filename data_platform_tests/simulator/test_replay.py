from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import WrongUseError
from data_platform.simulator.replay import read_replay
from data_platform_tests.simulator.simulated import at

CANDLES = pl.DataFrame(
    [[at(2024, 3, 1) + timedelta(minutes=n), 1.0, 2.0, 0.5, 1.5, 0.1 * n] for n in (0, 1, 5, 3)],
    schema=CANDLE_SCHEMA,
    orient="row",
)


def written(frame: pl.DataFrame, folder: Path) -> Path:
    path = folder / "candles.parquet"
    frame.write_parquet(path)
    return path


def test_a_file_comes_back_row_by_row_in_its_order(tmp_path: Path) -> None:
    assert read_replay(written(CANDLES, tmp_path)).equals(CANDLES)


def test_a_time_called_timestamp_of_another_zone_and_unit_is_understood(tmp_path: Path) -> None:
    berlin = pl.col("open_time").dt.convert_time_zone("Europe/Berlin").dt.cast_time_unit("ns")
    other = CANDLES.with_columns(berlin, source=pl.lit("x")).rename({"open_time": "timestamp"})
    assert read_replay(written(other, tmp_path)).equals(CANDLES)


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="missing: volume"):
        read_replay(written(CANDLES.drop("volume"), tmp_path))


def test_times_without_a_zone_are_refused(tmp_path: Path) -> None:
    naive = CANDLES.with_columns(pl.col("open_time").dt.replace_time_zone(None))
    with pytest.raises(WrongUseError, match="expected opening times with a time zone"):
        read_replay(written(naive, tmp_path))


@pytest.mark.parametrize("content", [None, b"no parquet"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "candles.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WrongUseError, match=r"cannot read .*candles\.parquet for a replay"):
        read_replay(path)
