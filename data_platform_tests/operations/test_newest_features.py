"""Features that are not stored yet: the same rows that will be stored."""

import pytest

from data_platform.domain.errors import NotStoredError
from data_platform.features.feature_set import FeatureSet
from data_platform.operations.computed_store import Lines
from data_platform.operations.lake import Lake
from data_platform.operations.newest_features import FeatureDesk
from data_platform.storage.complete import Wanted
from data_platform_tests.factories import (
    candles_at,
    files_of,
    grid,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line, recipes_of

HOURS, FOUR = series_of(), series_of(timeframe="4h")
ONE = FeatureSet(
    "small",
    1,
    returns=(1, 30),
    indicators=("sma_5", "rsi_14"),
    joins={HOURS.timeframe: {FOUR.timeframe: ("sma_5", "rsi_14")}},
)
MONTHS = [month_of("2024-01"), month_of("2024-02")]
LINES: Lines = {
    "binance": {each.timeframe: recipes_of(each, feature_set=ONE) for each in (HOURS, FOUR)}
}


def desk(lake: Lake) -> FeatureDesk:
    return FeatureDesk(lake, LINES, HOURS, ONE.key)


def store(lake: Lake, start: str, end: str) -> None:
    for series in (HOURS, FOUR):
        store_candles(lake, series, candles_at(grid(start, end, series.timeframe)))


def derive(lake: Lake) -> None:
    for series in (FOUR, HOURS):
        derive_line(lake, series, MONTHS, LINES["binance"][series.timeframe])


def ask(start: str, end: str) -> Wanted:
    return Wanted("features", HOURS, time(start), time(end), ONE.key)


@pytest.fixture
def behind(lake: Lake) -> Lake:
    """Give a lake whose features end a day and a half before its candles, in the month before."""
    store(lake, "2024-01-10", "2024-01-31 12:00")
    derive_line(lake, FOUR, MONTHS[:1], LINES["binance"][FOUR.timeframe])
    derive_line(lake, HOURS, MONTHS[:1], LINES["binance"][HOURS.timeframe])
    store(lake, "2024-01-31 12:00", "2024-02-02")
    return lake


def test_rows_computed_now_are_the_rows_that_will_be_stored(behind: Lake) -> None:
    before = files_of(behind.store.root)
    fresh = desk(behind).read(ask("2024-01-30", "2024-02-02"))
    assert files_of(behind.store.root) == before
    derive(behind)
    stored = desk(behind).read(ask("2024-01-30", "2024-02-02"))
    assert fresh.equals(stored)
    assert fresh["open_time"].to_list() == grid("2024-01-30", "2024-02-02")
    assert fresh["rsi_14_4h"].null_count() == 0


def test_each_hour_is_known_at_its_close_and_not_before(behind: Lake) -> None:
    asked = ["2024-01-20 13:00", "2024-01-31 12:00", "2024-02-01 09:00", "2024-02-02"]
    found = [desk(behind).known_at(time(it)) for it in asked]
    assert [row["available_at"] for row in found] == [time(it) for it in asked]
    derive(behind)
    assert [desk(behind).known_at(time(it)) for it in asked] == found
    early = desk(behind).known_at(time("2024-02-01 08:59:59"))
    assert early["open_time"] == time("2024-02-01 07:00")
    late = desk(behind).known_at(time("2024-05-01"))
    assert late["open_time"] == time("2024-02-01 23:00")


def test_before_the_first_close_nothing_is_known(behind: Lake) -> None:
    assert desk(behind).known_at(time("2024-01-10 01:00"))["return_1"] is None
    with pytest.raises(NotStoredError, match="no candle that had closed at 2024-01-10 00:59"):
        desk(behind).known_at(time("2024-01-10 00:59:59"))


def test_a_carried_candle_is_passed_over_whatever_comes_later(lake: Lake) -> None:
    store(lake, "2024-01-10", "2024-01-31 12:00")
    store(lake, "2024-01-31 20:00", "2024-02-02")
    derive(lake)
    found = desk(lake).known_at(time("2024-01-31 16:00"))
    assert found["open_time"] == time("2024-01-31 11:00")


def test_a_month_without_any_candle_is_missing_as_before(behind: Lake) -> None:
    with pytest.raises(NotStoredError, match="1 of"):
        desk(behind).read(ask("2024-01-30", "2024-03-02"))
    found = desk(behind).read(ask("2024-01-30", "2024-03-02"), allow_missing=True)
    assert found["open_time"][-1] == time("2024-02-01 23:00")
    with pytest.raises(NotStoredError):
        desk(behind).read(ask("2023-12-30", "2024-02-01"))


def test_features_never_stored_are_not_computed(lake: Lake) -> None:
    store(lake, "2024-01-10", "2024-01-31")
    with pytest.raises(NotStoredError):
        desk(lake).read(ask("2024-01-10", "2024-01-12"))


def test_what_is_stored_is_read_where_nothing_is_newer(behind: Lake) -> None:
    derive(behind)
    [path] = behind.store.files("ohlcv", HOURS, MONTHS[1:])
    path.unlink()
    assert desk(behind).read(ask("2024-01-30", "2024-02-02")).height == 72


def test_daily_rows_are_computed_too(lake: Lake) -> None:
    days = series_of(timeframe="1d")
    lines: Lines = {"binance": {days.timeframe: recipes_of(days)}}
    store_candles(lake, days, candles_at(grid("2024-01-01", "2024-01-20", "1d")))
    derive_line(lake, days, MONTHS[:1])
    store_candles(lake, days, candles_at(grid("2024-01-20", "2024-02-03", "1d")))
    own = FeatureDesk(lake, lines, days, "small-v1")
    row = own.known_at(time("2024-02-02"))
    closes = candles_at(grid("2024-01-28", "2024-02-02", "1d"))["close"]
    assert (row["open_time"], row["sma_5"]) == (time("2024-02-01"), closes.mean())
