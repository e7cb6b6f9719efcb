"""The check of indicator assets: stored values against the library, a sample a day."""

import json
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.layers import Partition
from data_platform.operations.indicator_verdicts import (
    WINDOW_ROWS,
    comparison_verdict,
    renew_comparisons,
)
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.recipes import filled_recipe, indicators_recipe
from data_platform.operations.statements import EQUALS_REFERENCE
from data_platform.operations.verdicts import Judged
from data_platform.quality.standards import Standards
from data_platform.storage.journal import CommitNote
from data_platform_tests.factories import (
    candles_at,
    grid,
    journal_of,
    month_of,
    partition_of,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.lines import derive_line

NAMES = ("sma_20", "rsi_14", "bb_20_2", "obv")
SERIES = series_of()
MONTHS = [month_of("2024-01"), month_of("2024-02")]
LINE = (filled_recipe(), indicators_recipe(NAMES))
NOW = time("2024-03-01 01:00")
DAY = timedelta(days=1)
JUDGED = Judged(
    exchange="binance",
    layer="indicators",
    timeframe=SERIES.timeframe,
    history=History("flat", {SERIES.pair: time("2024-01-01")}),
    limits=Standards({}),
    feature_sets=frozenset(),
)


@pytest.fixture
def computed(lake: Lake) -> Lake:
    # A day is missing: after it a segment begins.
    times = [it for it in grid("2024-01-01", "2024-03-01") if f"{it:%m-%d}" != "01-05"]
    moving = candles_at(times).with_columns(
        close=pl.col("close") + pl.int_range(pl.len()) % 13,
        high=pl.col("close") + 14,
        volume=1.0 + pl.int_range(pl.len()) % 7,
    )
    store_candles(lake, SERIES, moving)
    derive_line(lake, SERIES, MONTHS, LINE)
    return lake


def spoil(lake: Lake, partition: Partition, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Store a partition again as a defective recipe would have made it."""
    read = lake.store.read(partition)
    assert read is not None
    note = CommitNote(
        source="derived",
        code_version=journal_of(lake, partition).code_version,
        inputs=lake.store.inputs(partition),
    )
    lake.store.commit(
        partition,
        change(read.frame),
        merge=None,
        audit=lambda frame: (frame, frame.clear()),
        note=note,
    )


def shifted_average(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(sma_20=pl.col("sma_20").shift(-1))


def one_wrong(at: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        is_it = pl.col("open_time") == time(at)
        return frame.with_columns(
            rsi_14=pl.when(is_it).then(pl.col("rsi_14") + 0.01).otherwise("rsi_14")
        )

    return change


def test_what_is_stored_equals_the_reference_on_every_day(computed: Lake) -> None:
    drawn = set()
    for number in range(8):
        [found] = renew_comparisons(computed, JUDGED, NAMES, NOW + number * DAY)
        assert found.differences.is_empty()
        assert found.rows == WINDOW_ROWS
        drawn.add(found.partition.period.key)
        assert not renew_comparisons(computed, JUDGED, NAMES, NOW + number * DAY + DAY / 2)
    assert drawn == {"2024-01", "2024-02"}
    assert comparison_verdict(computed, JUDGED).count == 0


def test_a_leaking_column_is_found_and_named_with_its_time(computed: Lake) -> None:
    for month in MONTHS:
        spoil(computed, partition_of(SERIES, month.key, "indicators"), shifted_average)
    [found] = renew_comparisons(computed, JUDGED, NAMES, NOW)
    assert found.differences["column"].unique().to_list() == ["sma_20"]
    verdict = comparison_verdict(computed, JUDGED)
    assert verdict.count == found.differences.height > 100
    first = verdict.rows[0]
    assert first["column"] == "sma_20"
    at = time(str(first["open_time"])[:16])
    rows = stored(computed, SERIES, "indicators").filter(pl.col("open_time") == at)
    assert first["stored"] == rows["sma_20"][0]
    assert str(first["reason"]).startswith(f"sma_20 at {at:%Y-%m-%d %H:%M} is ")


def test_a_failure_stays_until_the_whole_partition_passes(computed: Lake) -> None:
    february = partition_of(SERIES, "2024-02", "indicators")
    right = stored(computed, SERIES, "indicators").filter(pl.col("open_time") >= MONTHS[1].start)
    spoil(computed, february, one_wrong("2024-02-28 05:00"))
    day = 0
    while not comparison_verdict(computed, JUDGED).count:
        renew_comparisons(computed, JUDGED, NAMES, NOW + day * DAY)
        day += 1
        assert day < 60
    # Another window is drawn the day after, but all of the partition is looked at.
    found = renew_comparisons(computed, JUDGED, NAMES, NOW + day * DAY)
    [again] = [it for it in found if it.partition == february]
    assert again.rows == journal_of(computed, february).rows
    assert again.differences.select("open_time", "column").rows() == [
        (time("2024-02-28 05:00"), "rsi_14")
    ]
    spoil(computed, february, lambda _: right)
    assert comparison_verdict(computed, JUDGED).count == 1
    renew_comparisons(computed, JUDGED, NAMES, NOW + (day + 1) * DAY)
    assert comparison_verdict(computed, JUDGED).count == 0


def test_a_partition_that_is_to_be_computed_anew_is_left_alone(computed: Lake) -> None:
    corrected = candles_at(grid("2024-01-02", "2024-01-03"), price=150)
    store_candles(computed, SERIES, corrected)
    derive_line(computed, SERIES, MONTHS, LINE[:1])
    assert renew_comparisons(computed, JUDGED, ("sma_20",), NOW) == []
    found = [renew_comparisons(computed, JUDGED, NAMES, NOW + day * DAY) for day in range(6)]
    assert not any(it.partition.period.key == "2024-01" for each in found for it in each)


def test_a_verdict_is_noted_like_every_other(computed: Lake) -> None:
    [found] = renew_comparisons(computed, JUDGED, NAMES, NOW)
    [row] = computed.verdicts.newest("binance", "indicators", SERIES.timeframe).to_dicts()
    assert (row["rule"], row["day"]) == (EQUALS_REFERENCE.name, "2024-03-01")
    assert (row["count"], row["checked"]) == (0, found.rows)
    assert json.loads(row["threshold_json"]) == {"tolerance": 1e-7}


def test_nothing_stored_is_nothing_to_compare(lake: Lake) -> None:
    assert renew_comparisons(lake, JUDGED, NAMES, NOW) == []


def test_without_indicators_there_is_nothing_that_could_differ(computed: Lake) -> None:
    derive_line(computed, SERIES, MONTHS, (filled_recipe(), indicators_recipe(())))
    [found] = renew_comparisons(computed, JUDGED, (), NOW)
    assert found.differences.is_empty()
