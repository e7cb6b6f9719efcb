from datetime import UTC, datetime

import polars as pl
import pytest

from data_platform.domain.errors import NotStoredError
from data_platform.operations.lake import Lake
from data_platform.operations.snapshot import create_snapshot, find_differences
from data_platform.storage.manifest import Manifest
from data_platform.storage.snapshots import Snapshots
from data_platform_tests.factories import (
    candles_at,
    grid,
    month_of,
    partition_of,
    series_of,
    store_candles,
)
from data_platform_tests.operations.lines import derive_line

SERIES, OTHER = series_of(), series_of(pair="ETH/USDT")
JANUARY = candles_at(grid("2024-01-01", "2024-02-01"))


def make(lake: Lake, name: str, pair: str | None = None) -> Manifest:
    blank = Manifest(name, datetime(2024, 3, 1, tzinfo=UTC), "0.1", "abc", ())
    return create_snapshot(lake, blank, lambda row: pair in (None, row.series.pair.key))


def test_a_snapshot_holds_every_layer_but_exports_of_what_was_chosen(lake: Lake) -> None:
    store_candles(lake, SERIES, JANUARY)
    store_candles(lake, OTHER, JANUARY)
    derive_line(lake, SERIES, [month_of("2024-01")])
    whole, one = make(lake, "whole"), make(lake, "one", "ETH-USDT")
    layers = [it.partition.layer for it in whole.partitions]
    assert layers == ["features", "filled", "indicators", "ohlcv", "ohlcv"]
    assert [it.partition for it in one.partitions] == [partition_of(OTHER)]


def test_nothing_stored_makes_no_snapshot(lake: Lake) -> None:
    store_candles(lake, SERIES, JANUARY)
    with pytest.raises(NotStoredError, match="nothing of the selection"):
        make(lake, "one", "XRP-USDT")
    assert Snapshots(lake.store.root).names() == []


def test_two_snapshots_differ_in_exactly_what_was_changed_between(lake: Lake) -> None:
    store_candles(lake, SERIES, JANUARY.head(700))
    store_candles(lake, OTHER, JANUARY)
    first = make(lake, "first")
    corrected = JANUARY.with_columns(
        volume=pl.when(pl.int_range(pl.len()) < 3).then(8.0).otherwise("volume")
    )
    store_candles(lake, SERIES, corrected)
    store_candles(lake, SERIES, candles_at(grid("2024-02-01", "2024-02-03")))
    second = make(lake, "second")
    found = list(find_differences(Snapshots(lake.store.root), first, second))
    assert [(it.partition.period.key, it.kind) for it in found] == [
        ("2024-01", "differs"),
        ("2024-02", "only in the second"),
    ]
    assert (found[0].added, found[0].changed, found[0].removed) == (44, 3, 0)
    [_, gone] = find_differences(Snapshots(lake.store.root), second, first)
    assert gone.kind == "only in the first"
    assert list(find_differences(Snapshots(lake.store.root), first, first)) == []
