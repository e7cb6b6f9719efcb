"""The whole border to the outside: what a source of candles is asked and what it answers.

Holds values and one protocol; no network here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

import polars as pl

from data_platform.domain.errors import SourceError
from data_platform.domain.markets import Series

Outcome = Literal["answered", "unavailable", "failed"]


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A contiguous range of one series that is wanted; may span any number of periods."""

    series: Series
    start: datetime
    """First grid time wanted."""
    end: datetime
    """End of the range, exclusive, on the grid."""


@dataclass(frozen=True, slots=True)
class Window:
    """One part of a request and what became of it; windows of a request follow without a hole."""

    start: datetime
    end: datetime
    outcome: Outcome
    """`answered`: the exchange sent a valid page, so a time without a row is confirmed empty.
    `unavailable`: out of the exchange's reach, never to be had. `failed`: no valid answer."""
    fetched_at: datetime
    """When the request was sent, by the exchange's clock."""
    error: SourceError | None = None
    """Why it failed; set exactly when the outcome is `failed`."""
    evidence: str = "a valid answer held no candle"
    """What tells of a time without a row, where the window was answered."""
    is_listed: bool = True
    """Whether the exchange trades the pair now: one that it does not gets no new candles."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """One window with its candles."""

    request: FetchRequest
    window: Window
    candles: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted; inside the window, closed. May still hold what an audit refuses:
    nulls, NaN, duplicate or off-grid times; detection is the audit's business."""


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """When an exchange has answered so far, and how soon."""

    last: datetime | None = None
    """When its newest valid answer came, by the machine's clock; None: none did."""
    usual: timedelta | None = None
    """From sending a request to the first byte of its answer, the median of the newest ones."""


class CandleSource(Protocol):
    """Gives the candles of one exchange."""

    def now(self) -> datetime:
        """Return the exchange's clock, UTC.

        Raises:
            SourceError: the exchange cannot be reached.
        """
        ...

    def fetch(self, requests: Sequence[FetchRequest]) -> Iterator[FetchResult]:
        """Yield every window of every request; those of one request in time order.

        A window that fails does not end the walk of its request, nor of the others.
        Memory stays bounded: pages wait until the consumer takes them.
        """
        ...

    def close(self) -> None:
        """Release connections; further calls are an error."""
        ...

    @property
    def requests_made(self) -> int:
        """Return how many candle requests went out so far (retries included)."""
        ...

    @property
    def faults(self) -> Mapping[str, int]:
        """Return how many attempts failed so far, by the kind of error (`SourceError.kind`)."""
        ...

    @property
    def answer_times(self) -> AnswerTimes:
        """Return when the exchange has answered so far, and how soon; of requests of any kind."""
        ...
