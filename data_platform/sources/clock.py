"""The exchange's clock, measured now and then and carried on by the machine's monotonic one."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

_MEASURE_EVERY = timedelta(minutes=5)


class ExchangeClock:
    """Tells the exchange's time without asking each time."""

    def __init__(self, measure: Callable[[], Awaitable[datetime]]) -> None:
        """Take what fetches the exchange's time; it may raise a `SourceError`."""
        self._measure = measure
        self._time: datetime | None = None
        self._at = 0.0

    async def now(self) -> datetime:
        """Return the exchange's time, UTC, late by the way of the answer and never early.

        Counted from when the answer came, so that a slow answer cannot make an unfinished candle
        look closed. Measured anew every five minutes: the machine's clock does not matter.
        """
        if self._time is None or self._elapsed() > _MEASURE_EVERY:
            self._time, self._at = await self._measure(), time.monotonic()
        return self._time + self._elapsed()

    def estimate(self) -> datetime:
        """Return the exchange's time as last measured, else the machine's."""
        return self._time + self._elapsed() if self._time else datetime.now(UTC)

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._at)
