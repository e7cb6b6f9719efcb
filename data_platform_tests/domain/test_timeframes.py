from datetime import UTC, datetime, timedelta

import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import TIMEFRAMES, to_timeframe

LEAP_EVE = datetime(2024, 2, 29, 23, 59, 59, 999000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m", 60), ("1H", 3600), ("4H", 14400), ("1D", 86400), (" 15m ", 900)]
)
def test_names_and_upper_case_aliases_are_understood(text: str, seconds: int) -> None:
    assert to_timeframe(text).seconds == seconds


def test_a_capital_m_is_refused_with_the_candidates() -> None:
    with pytest.raises(WrongUseError, match=r"minutes or months.*`1m`.*1m, 5m, 15m, 1h, 4h, 1d"):
        to_timeframe("1M")


def test_an_unknown_timeframe_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(WrongUseError, match=r"unknown timeframe '3m'\. Accepted: 1m, 5m"):
        to_timeframe("3m")


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("1m", datetime(2024, 2, 29, 23, 59, tzinfo=UTC)),
        ("15m", datetime(2024, 2, 29, 23, 45, tzinfo=UTC)),
        ("4h", datetime(2024, 2, 29, 20, tzinfo=UTC)),
        ("1d", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_floor_is_the_grid_time_before(name: str, floor: datetime) -> None:
    assert to_timeframe(name).floor(LEAP_EVE) == floor
    assert to_timeframe(name).ceil(LEAP_EVE) == floor + to_timeframe(name).duration
    assert to_timeframe(name).ceil(floor) == floor


@pytest.mark.parametrize(
    ("year", "month", "days"), [(2024, 2, 29), (2023, 2, 28), (2024, 3, 31), (2023, 12, 31)]
)
def test_r26_months_hold_the_exact_count_of_every_timeframe(
    year: int, month: int, days: int
) -> None:
    start = datetime(year, month, 1, tzinfo=UTC)
    end = start + timedelta(days=days)
    counts = {timeframe.name: timeframe.count(start, end) for timeframe in TIMEFRAMES}
    per_day = {"1m": 1440, "5m": 288, "15m": 96, "1h": 24, "4h": 6, "1d": 1}
    assert counts == {name: days * count for name, count in per_day.items()}


def test_every_grid_divides_the_day() -> None:
    assert all(86_400 % timeframe.seconds == 0 for timeframe in TIMEFRAMES)
