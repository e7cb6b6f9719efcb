import json
from pathlib import Path

import polars as pl

from data_platform.domain.layers import Partition
from data_platform.operations.column_facts import column_facts
from data_platform.operations.lake import Lake
from data_platform_tests.factories import (
    candles_at,
    grid,
    month_of,
    series_of,
    store_candles,
)
from data_platform_tests.operations.lines import SMALL, derive_line

SERIES = series_of()
MONTHS = [month_of("2024-01")]


def test_null_share_and_range_are_those_of_the_rows(lake: Lake) -> None:
    moving = candles_at(grid("2024-01-01", "2024-01-21")).with_columns(
        close=pl.col("close") + pl.int_range(pl.len()) % 13
    )
    store_candles(lake, SERIES, moving)
    derive_line(lake, SERIES, MONTHS)
    [path] = lake.store.files("features", SERIES, MONTHS, SMALL.key)
    facts = column_facts(path)
    stored = lake.store.read(Partition("features", SERIES, MONTHS[0], SMALL.key))
    assert stored is not None
    assert set(facts) == set(stored.frame.columns) - {"open_time", "close", "is_filled", "segment"}
    sma = [value for value in moving["close"].rolling_mean(5).to_list() if value is not None]
    assert facts["sma_5"]["null_share"] == float(f"{4 / 480:.6g}")
    assert (facts["sma_5"]["min"], facts["sma_5"]["max"]) == (
        float(f"{min(sma):.6g}"),
        float(f"{max(sma):.6g}"),
    )
    assert facts["is_complete"] == {"null_share": 0.0, "min": False, "max": True}
    assert len(json.dumps(facts)) < 2000


def test_column_that_is_known_nowhere_has_no_range(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    schema = {"open_time": pl.Int64(), "x": pl.Float64()}
    pl.DataFrame({"open_time": [1, 2], "x": [None, None]}, schema=schema).write_parquet(path)
    assert column_facts(path) == {"x": {"null_share": 1.0, "min": None, "max": None}}
    assert column_facts(tmp_path / "gone.parquet") == {}
