from dataclasses import replace
from pathlib import Path

from data_platform.domain.layers import Partition
from data_platform.storage.many_series import inputs_of_many, rows_of_many
from data_platform_tests.factories import (
    candles_at,
    grid,
    lake_at,
    month_of,
    partitions_of,
    series_of,
    store_candles,
)
from data_platform_tests.operations.lines import SMALL, derive_line

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
