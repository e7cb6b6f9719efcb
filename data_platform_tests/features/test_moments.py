from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.timeframes import to_timeframe
from data_platform.features.causality import Table
from data_platform.features.moments import telling_moments
from data_platform_tests.features.conftest import START, candles_of

MINUTE, HOUR = to_timeframe("1m"), to_timeframe("1h")


@pytest.fixture(scope="module")
def tables(minutes: pl.DataFrame) -> dict[str, Table]:
    """Return 1m candles with a hole of 5 (from row 1000) and one of 40 (from 2000), and 1h."""
    return {"1m": Table(minutes, MINUTE), "1h": Table(candles_of(HOUR, 60), HOUR)}


def at(row: int) -> datetime:
    return START + row * MINUTE.duration


def test_moments_lie_where_leaks_show(tables: dict[str, Table]) -> None:
    moments = telling_moments(tables, "1m", 24)
    assert 24 <= len(moments) <= 26
    assert moments == telling_moments(tables, "1m", 24) == sorted(set(moments))
    assert moments != telling_moments(tables, "1m", 24, seed=3)
    for first, end in ((1000, 1005), (2000, 2040)):
        assert any(at(first) <= moment <= at(end) for moment in moments)
    assert any(moment < at(20) for moment in moments)
    assert any(moment.minute == 0 for moment in moments)
    assert any(moment.minute == 59 for moment in moments)
    assert telling_moments({"1m": Table(candles_of(MINUTE, 1), MINUTE)}, "1m", 5) == []


@pytest.mark.parametrize("count", [16, 32])
def test_the_ends_of_months_days_and_weeks_are_among_them(count: int) -> None:
    hours = candles_of(HOUR, 2000)
    moments = telling_moments({"1h": Table(hours, HOUR)}, "1h", count)
    midnights = [it for it in moments if it.hour == 0]
    assert any(it.day == 1 for it in midnights)
    assert any(it.weekday() == 0 for it in midnights)
    assert {it + HOUR.duration for it in midnights} & set(moments)


def test_many_holes_leave_room_for_every_other_kind(tables: dict[str, Table]) -> None:
    rows = tables["1m"].frame.with_row_index()
    holed = rows.filter(pl.col("index") % 200 > 5).drop("index")
    moments = telling_moments({**tables, "1m": Table(holed, MINUTE)}, "1m", 16)
    assert any(moment.minute == 59 for moment in moments)
    assert any(moment < START + timedelta(minutes=20) for moment in moments)
    assert all(moment.tzinfo == UTC or moment.utcoffset() == timedelta(0) for moment in moments)
