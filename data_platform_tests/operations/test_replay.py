from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.operations.lake import Lake
from data_platform.operations.replay import find_refused, store_refused
from data_platform.storage.quarantine import RefusedFile, keep_refused, list_refused
from data_platform_tests.factories import (
    candles_at,
    gaps_in,
    grid,
    partition_of,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.scripted import ScriptedSource
from data_platform_tests.operations.venues import rules_of

SERIES = series_of()
MONTH = [partition_of(SERIES)]
WHOLE = candles_at(grid("2024-01-01", "2024-02-01"))
NOON = time("2024-01-10 12:00")
AT_NOON = pl.col("open_time") == NOON
LATER = time("2024-03-01")


def refuse(lake: Lake, rows: pl.DataFrame, layer: str = "ohlcv") -> RefusedFile:
    with_reason = rows.with_columns(reason=pl.lit("planted"))
    keep_refused(lake.store.layout, partition_of(SERIES, layer=layer), with_reason)
    return list_refused(lake.store.layout)[-1]


def replay(lake: Lake, file: RefusedFile) -> tuple[int, int, int]:
    result = store_refused(lake, file, rules_of(MONTH), LATER)
    return result.added, result.changed, result.refused


def test_rows_that_pass_today_are_stored_and_their_gap_is_closed(lake: Lake) -> None:
    source = ScriptedSource({SERIES: WHOLE.filter(~AT_NOON)})
    source.update(lake, MONTH)
    assert gaps_in(lake, SERIES) == [("2024-01-10 12:00", "2024-01-10 13:00", "outage", True)]
    file = refuse(lake, WHOLE.filter(AT_NOON))
    assert replay(lake, file) == (1, 0, 0)
    assert stored(lake, SERIES).equals(WHOLE)
    assert gaps_in(lake, SERIES) == []
    row = lake.store.journal(MONTH[0])
    assert row is not None
    assert (row.reason, row.source) == ("repair", f"quarantine:{file.name}")


def test_the_rest_of_a_gap_stays(lake: Lake) -> None:
    hole = pl.col("open_time").is_between(NOON, NOON + timedelta(hours=2))
    ScriptedSource({SERIES: WHOLE.filter(~hole)}).update(lake, MONTH)
    assert replay(
        lake, refuse(lake, WHOLE.filter(pl.col("open_time") == NOON + timedelta(hours=1)))
    )
    assert [row[:2] for row in gaps_in(lake, SERIES)] == [
        ("2024-01-10 12:00", "2024-01-10 13:00"),
        ("2024-01-10 14:00", "2024-01-10 15:00"),
    ]


def test_rows_that_fail_again_change_nothing(lake: Lake) -> None:
    store_candles(lake, SERIES, WHOLE.filter(~AT_NOON))
    broken = WHOLE.filter(AT_NOON).with_columns(high=pl.lit(0.5))
    assert replay(lake, refuse(lake, broken)) == (0, 0, 1)
    assert stored(lake, SERIES).equals(WHOLE.filter(~AT_NOON))


def test_what_a_later_fetch_brought_wins(lake: Lake) -> None:
    file = refuse(lake, WHOLE.filter(AT_NOON).with_columns(volume=pl.lit(77.0)))
    source = ScriptedSource({SERIES: WHOLE}, clock=file.kept_at + timedelta(hours=1))
    source.update(lake, MONTH)
    result = store_refused(lake, file, rules_of(MONTH), source.clock)
    assert (result.changed, result.outdated) == (0, 1)
    assert stored(lake, SERIES).equals(WHOLE)


def test_what_has_not_closed_is_refused_again(lake: Lake) -> None:
    file = refuse(lake, WHOLE.filter(AT_NOON))
    result = store_refused(lake, file, rules_of(MONTH), NOON + timedelta(minutes=59))
    assert (result.added, result.refused) == (0, 1)


def test_a_file_is_named_by_its_beginning(lake: Lake) -> None:
    with pytest.raises(WrongUseError, match="the quarantine is empty"):
        find_refused([], "abcd")
    one = refuse(lake, WHOLE.head(1))
    other = refuse(lake, WHOLE.head(2))
    files = [one, other]
    assert find_refused(files, one.name[:6]) == one
    for name in ("", one.name[:2], "zzzzzz"):
        with pytest.raises(WrongUseError, match=f"{one.name}.*|{other.name}"):
            find_refused(files, name)


def test_computed_rows_are_not_replayed(lake: Lake) -> None:
    with pytest.raises(WrongUseError, match="materialize it again"):
        replay(lake, refuse(lake, WHOLE.head(1), layer="filled"))
