from datetime import date

import pytest

from data_platform.domain.markets import Pair
from data_platform.operations.lake import Lake
from data_platform.operations.recheck import old_candles, recent_candles
from data_platform_tests.factories import candles_at, grid, series_of, store_candles, time

NOW = time("2024-03-02 12:00")
PAIRS = tuple(Pair(f"{base}/USDT") for base in ("BTC", "ETH"))
DAY = date(2024, 3, 4)


def fill(lake: Lake, start: str, end: str, timeframe: str = "1d") -> None:
    for pair in ("BTC/USDT", "ETH/USDT", "XRP/USDT"):
        candles = candles_at(grid(start, end, timeframe))
        store_candles(lake, series_of(pair=pair, timeframe=timeframe), candles)


def cells(lake: Lake, day: date = DAY) -> list[str]:
    found = old_candles(lake, "binance", PAIRS, day, NOW)
    assert all(it.since == period.start for it in found for _, period in it.cells)
    return [f"{pair} {period}" for it in found for pair, period in it.cells]


def test_last_three_days_reach_into_the_month_before(lake: Lake) -> None:
    fill(lake, "2024-01-01", "2024-03-02")
    found = recent_candles(lake, "binance", PAIRS, NOW)
    assert found.since == time("2024-02-28")
    months = {(pair.symbol, period.key) for pair, period in found.cells}
    assert months == {
        (pair, month) for pair in ("BTC/USDT", "ETH/USDT") for month in ("2024-02", "2024-03")
    }


def test_what_is_not_stored_cannot_be_compared(lake: Lake) -> None:
    assert recent_candles(lake, "binance", PAIRS, NOW).cells == frozenset()
    fill(lake, "2023-01-01", "2023-02-01")
    assert recent_candles(lake, "binance", PAIRS, NOW).cells == frozenset()
    assert old_candles(lake, "okx", PAIRS, DAY, NOW) == []


@pytest.mark.parametrize(
    ("first", "count"), [("2023-12-01", 1), ("2020-01-01", 1), ("2015-01-01", 3)]
)
def test_one_in_a_hundred_months_is_chosen_and_at_least_one(
    lake: Lake, first: str, count: int
) -> None:
    fill(lake, first, "2024-03-02")
    # February is asked for daily.
    months = (2024 * 12) - int(first[:4]) * 12 + 2 - int(first[5:7])
    assert count == -(-2 * months // 100)
    chosen = cells(lake)
    assert len(set(chosen)) == count
    assert all(it < "ETH/USDT 2024-02" and "2024-02" not in it for it in chosen)


def test_choice_is_the_dates(lake: Lake) -> None:
    fill(lake, "2015-01-01", "2024-03-02")
    assert cells(lake) == cells(lake)
    days = [date(2024, 3, day) for day in (4, 11, 18, 25)]
    assert len({tuple(cells(lake, day)) for day in days}) == 4
    whole = {cell for year in range(2000, 2040) for cell in cells(lake, date(year, 1, 1))}
    assert len(whole) > 60
