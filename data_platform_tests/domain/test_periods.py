from datetime import UTC, datetime, timedelta, timezone

import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.domain.periods import Period, period_of, periods_between, to_period


def test_a_period_is_a_calendar_month_in_utc() -> None:
    period = to_period("2024-02")
    assert (period.start, period.end) == (
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=UTC),
    )


def test_the_year_turns() -> None:
    assert Period(2023, 12).next == Period(2024, 1)
    assert Period(2024, 1).previous == Period(2023, 12)


def test_a_time_elsewhere_belongs_to_its_month_in_utc() -> None:
    nepal = timezone(timedelta(hours=5, minutes=45))
    assert period_of(datetime(2024, 3, 1, 2, tzinfo=nepal)) == Period(2024, 2)


def test_the_end_of_a_range_is_exclusive() -> None:
    start, end = datetime(2023, 11, 30, 23, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    assert [period.key for period in periods_between(start, end)] == [
        "2023-11",
        "2023-12",
        "2024-01",
    ]


@pytest.mark.parametrize("key", ["2024-13", "2024-1", "24-01", "2024", "2024-01-01", ""])
def test_what_is_no_month_is_refused(key: str) -> None:
    with pytest.raises(WrongUseError, match="2024-01"):
        to_period(key)
