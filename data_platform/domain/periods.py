"""Periods: the calendar months in UTC that partition every series.

One length for every timeframe, so that one run can carry all timeframes of a market and every
partition mapping is the identity.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from data_platform.domain.errors import WrongUseError

_KEY = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """One calendar month in UTC, half-open."""

    year: int
    month: int

    @property
    def key(self) -> str:
        """Return the spelling in partition keys and paths: `2024-01`."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def start(self) -> datetime:
        """Return the first instant of the month."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """Return the first instant of the next month."""
        return self.next.start

    @property
    def next(self) -> "Period":
        """Return the following month."""
        return Period(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def previous(self) -> "Period":
        """Return the month before."""
        return Period(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    def __str__(self) -> str:
        return self.key


def period_of(time: datetime) -> Period:
    """Return the month that holds `time` (any aware datetime)."""
    utc = time.astimezone(UTC)
    return Period(utc.year, utc.month)


@lru_cache(maxsize=4096)
def to_period(key: str) -> Period:
    """Return the month of a key such as `2024-01`.

    Raises:
        WrongUseError: the key is not `YYYY-MM`.
    """
    match = _KEY.fullmatch(key)
    if not match:
        raise WrongUseError(f"period {key!r} is not a month in UTC; write it like 2024-01.")
    return Period(int(match[1]), int(match[2]))


def periods_between(start: datetime, end: datetime) -> Iterator[Period]:
    """Yield every month that shares an instant with the half-open range `start` to `end`."""
    period = period_of(start)
    while period.start < end:
        yield period
        period = period.next
