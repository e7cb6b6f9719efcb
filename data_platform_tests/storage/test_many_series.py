from dataclasses import replace
from pathlib import Path

import pytest

from data_platform.domain.errors import DamagedFileError
from data_platform.domain.layers import Partition
from data_platform.storage.many_series import Stretch, inputs_of_many, rows_of_many
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    candles_at,
    grid,
    lake_at,
    month_of,
    partitions_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import SMALL, derive_line, recipes_of

HOURS = [series_of(pair=pair) for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT")]
MONTHS = [month_of("2024-01"), month_of("2024-02")]


def test_many_series_are_told_of_as_each_by_itself(root: Path) -> None:
    lake = lake_at(root)
    days = series_of(timeframe="1d")
    for series in (*HOURS[:2], days):
        store_candles(lake, series, candles_at(grid("2024-01-20", "2024-02-10", series.timeframe)))
        derive_line(lake, series, MONTHS)
    for layer in ("ohlcv", "filled", "features"):
        found = rows_of_many(lake.state, layer, HOURS)
        assert [len(rows) for rows in found.values()] == [2, 2, 0]
        for series, rows in found.items():
            asked = (layer, series.exchange, series.timeframe, series.pair)
            assert rows == lake.store.journal_rows(*asked)
    wanted = [it for each in HOURS for it in partitions_of(each, "2024-01", "2024-02", "filled")]
    inputs = inputs_of_many(lake.state, wanted)
    assert list(inputs) == wanted
    assert [len(rows) for rows in inputs.values()] == [4, 5, 4, 5, 0, 0]
    assert all(rows == lake.store.inputs(partition) for partition, rows in inputs.items())
    # Of a feature set only its own.
    plain = Partition("features", HOURS[0], MONTHS[0])
    both = inputs_of_many(lake.state, [plain, replace(plain, feature_set=SMALL.key)])
    assert [len(rows) for rows in both.values()] == [0, 2]
    lake.state.close()


def test_rows_of_many_series_are_read_as_of_each_by_itself(root: Path) -> None:
    lake = lake_at(root)
    days = series_of(timeframe="1d")
    for series in (*HOURS[:2], days):
        store_candles(lake, series, candles_at(grid("2023-12-20", "2024-02-10", series.timeframe)))
        # The first month holds the columns of another configuration.
        derive_line(lake, series, [month_of("2023-12")], recipes_of(series, ("sma_5", "ema_12")))
        derive_line(lake, series, MONTHS)
    wanted = [
        Stretch(series, time(start), time(end), rows)
        for series in (*HOURS, days)
        for start, end, rows in (
            ("2024-01-01", "2024-02-01", 0),
            ("2024-01-01", "2024-02-01", 30),
            ("2024-02-01", "2024-03-01", 10_000),
            ("2024-02-01", "2024-02-01", 1),
            ("2023-12-01", "2024-03-01", 0),
        )
    ]
    for columns in (None, ["close", "ema_12"], ["sma_5", "open_time"]):
        found = lake.store.read_many("indicators", wanted, columns)
        assert len(found) == len(wanted)
        for frame, it in zip(found, wanted, strict=True):
            asked = ("indicators", it.series, it.start, it.end, it.rows)
            alone = lake.store.read_with_history(*asked, columns=columns)
            assert frame.equals(alone)
            assert frame.columns == alone.columns
    assert lake.store.read_many("indicators", []) == []
    [path] = lake.store.files("indicators", HOURS[1], [MONTHS[0]])
    damage(path, "flipped")
    assert lake.store.read_many("indicators", wanted[:5])[0].height == 31 * 24
    with pytest.raises(DamagedFileError, match=r"ETH-USDT\|2024-01"):
        lake.store.read_many("indicators", wanted)
    lake.state.close()
