from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.errors import StorageError
from data_platform.domain.periods import Period
from data_platform.storage.layout import Layout
from data_platform.storage.quarantine import keep_refused, refused_files
from data_platform_tests.storage.lake import candles, everything, partition

REFUSED = candles([1, 2]).with_columns(reason=pl.lit("high below low"))


def test_refused_rows_are_kept_with_their_reason(tmp_path: Path) -> None:
    path = keep_refused(Layout(tmp_path), partition(), REFUSED)
    assert path is not None
    assert pl.read_parquet(path, hive_partitioning=False).equals(REFUSED)


def test_the_same_rows_again_make_no_further_file(tmp_path: Path) -> None:
    for _ in range(3):
        keep_refused(Layout(tmp_path), partition(), REFUSED)
    keep_refused(Layout(tmp_path), partition(), REFUSED.head(1))
    assert len(everything(tmp_path)) == 2


def test_a_damaged_file_of_the_same_rows_is_written_again(tmp_path: Path) -> None:
    path = keep_refused(Layout(tmp_path), partition(), REFUSED)
    assert path is not None
    path.write_bytes(b"")
    keep_refused(Layout(tmp_path), partition(), REFUSED)
    assert pl.read_parquet(path, hive_partitioning=False).equals(REFUSED)


def test_nothing_refused_makes_no_file(tmp_path: Path) -> None:
    assert keep_refused(Layout(tmp_path), partition(), REFUSED.clear()) is None
    assert everything(tmp_path) == {}


def test_rows_without_a_reason_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="reason"):
        keep_refused(Layout(tmp_path), partition(), candles([1]))


def test_rows_of_any_quality_can_be_kept(tmp_path: Path) -> None:
    odd = REFUSED.with_columns(close=pl.lit(float("nan")), high=pl.lit(None, dtype=pl.Float64))
    path = keep_refused(Layout(tmp_path), partition(), odd)
    assert path is not None
    assert pl.read_parquet(path, hive_partitioning=False).equals(odd)


def test_files_of_candles_are_listed_by_month(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert refused_files(layout, "binance") == {}
    path = keep_refused(layout, partition(), REFUSED)
    other = keep_refused(layout, partition(period=Period(2024, 2)), REFUSED)
    assert path is not None
    assert other is not None
    assert refused_files(layout, "binance") == {
        ("1h", "BTC-USDT", "2024-01"): [path.stem],
        ("1h", "BTC-USDT", "2024-02"): [other.stem],
    }
    assert refused_files(layout, "okx") == {}
