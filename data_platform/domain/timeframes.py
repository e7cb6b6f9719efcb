"""Timeframes: one row each, and the arithmetic of their grids.

Every timeframe here divides a UTC day, so each grid is aligned to the Unix epoch and each
calendar month starts on it. Months and weeks stay out: they do not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_platform.domain.errors import WrongUseError


@dataclass(frozen=True, slots=True)
class Timeframe:
    """The length of a candle; its grid starts at the Unix epoch."""

    name: str
    """Lower-case name, as ccxt and the asset keys spell it: `1m`, `4h`."""
    seconds: int
    """Length in seconds; divides 86,400."""

    @property
    def ms(self) -> int:
        """Return the length in milliseconds."""
        return self.seconds * 1000

    @property
    def duration(self) -> timedelta:
        """Return the length as a timedelta."""
        return timedelta(seconds=self.seconds)

    def floor(self, time: datetime) -> datetime:
        """Return the newest grid time at or before `time`."""
        since_midnight = time - time.replace(hour=0, minute=0, second=0, microsecond=0)
        return time - since_midnight % self.duration

    def ceil(self, time: datetime) -> datetime:
        """Return the oldest grid time at or after `time`."""
        floor = self.floor(time)
        return floor if floor == time else floor + self.duration

    def count(self, start: datetime, end: datetime) -> int:
        """Return how many grid times lie in the half-open range from `start` to `end`."""
        return max(0, (self.ceil(end) - self.ceil(start)) // self.duration)

    def __str__(self) -> str:
        return self.name


TIMEFRAMES: tuple[Timeframe, ...] = (
    Timeframe("1m", 60),
    Timeframe("5m", 300),
    Timeframe("15m", 900),
    Timeframe("1h", 3600),
    Timeframe("4h", 14_400),
    Timeframe("1d", 86_400),
)

_BY_NAME = {timeframe.name: timeframe for timeframe in TIMEFRAMES}


def to_timeframe(text: str) -> Timeframe:
    """Return the timeframe that a person means by `text`.

    Args:
        text: a name (`1h`) or its upper-case alias (`1H`, `4H`, `1D`).

    Raises:
        WrongUseError: unknown, or ambiguous: `1M` is a month elsewhere and a minute to some.
    """
    stripped = text.strip()
    if stripped in _BY_NAME:
        return _BY_NAME[stripped]
    if stripped.endswith("M"):
        minute = stripped.lower()
        known = f"`{minute}`" if minute in _BY_NAME else "one of the known timeframes"
        raise WrongUseError(
            f"timeframe {text!r} is ambiguous: minutes or months? For minutes write {known}; "
            f"months are not a timeframe here. Accepted: {_accepted(_BY_NAME)}."
        )
    if stripped.lower() in _BY_NAME:
        return _BY_NAME[stripped.lower()]
    raise WrongUseError(f"unknown timeframe {text!r}. Accepted: {_accepted(_BY_NAME)}.")


def _accepted(names: Iterable[str]) -> str:
    return ", ".join(names)
