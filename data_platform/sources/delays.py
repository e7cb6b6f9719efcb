"""How soon an exchange answers: the newest answers of one source."""

from collections import deque
from datetime import UTC, datetime, timedelta
from statistics import median

from data_platform.sources.base import AnswerTimes

_NEWEST = 500
"""Answers that the median is of."""


class Delays:
    """Notes answers as they come."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._seconds: deque[float] = deque(maxlen=_NEWEST)

    def note(self, seconds: float | None) -> None:
        """Note a valid answer that came now, and how long after its request; None: unknown."""
        self._last = datetime.now(UTC)
        if seconds is not None:
            self._seconds.append(seconds)

    @property
    def times(self) -> AnswerTimes:
        """Return what was noted."""
        usual = timedelta(seconds=median(self._seconds)) if self._seconds else None
        return AnswerTimes(self._last, usual)
