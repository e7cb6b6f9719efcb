"""What a running operation tells the one who watches, and what it may be told: stop.

Values only.
"""

from collections.abc import Callable
from dataclasses import dataclass

from data_platform.domain.errors import DataPlatformError


class StoppedError(DataPlatformError):
    """The operation was asked to stop and did so after its current commit."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one exchange is; counts of this process, growing."""

    exchange: str
    candles: int
    """Candles fetched."""
    requests: int
    """Candle requests sent, retries included."""
    done: int
    """Partitions finished, of every layer."""
    past_pages: int = 0
    """Pages asked for whose candles open before the running month."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Callbacks of the one who watches."""

    report: Callable[[Progress], None]
    should_stop: Callable[[], bool]


def nobody_watches() -> Watch:
    """Return a watch that hears nothing and never stops."""
    return Watch(report=lambda _: None, should_stop=lambda: False)
