"""The circuit breaker of one exchange as a value: closed, open until some time, or half open.

Holds what is known and what it says to people; who asks and where it is kept is others' business.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What is known of an exchange that may have stopped answering."""

    state: State = "closed"
    """`half_open`: one request is under way to see whether it answers again."""
    failures: int = 0
    """Requests in a row that got no answer, each after all its attempts."""
    opened_at: datetime | None = None
    """When it stopped being asked, UTC; stays until it answers again."""
    until: datetime | None = None
    """When one request may try again, UTC; in `half_open`, when that one is given up."""
    reason: str = ""
    """Why, in the words of the last failure."""

    def is_open(self, now: datetime) -> bool:
        """Tell whether the exchange must not be asked.

        A clock that was set back to before the opening does not prolong it.
        """
        if self.state == "closed" or self.until is None or self.opened_at is None:
            return False
        return self.opened_at <= now < self.until

    def spell(self, exchange: str) -> str:
        """Return one line for people: since when, why, and until when it is left alone."""
        since = f"{self.opened_at:%Y-%m-%d %H:%M:%S}" if self.opened_at else "an unknown time"
        until = f"{self.until:%Y-%m-%d %H:%M:%S}" if self.until else "an unknown time"
        then = "one request is under way to see, until" if self.state == "half_open" else "until"
        return f"{exchange} is not asked since {since} UTC, {then} {until} UTC: {self.reason}"


CLOSED = BreakerState()
"""The exchange answers."""
