"""How one exchange is reached: plain values, given by the caller.

Holds values only; where they come from (config, environment) is the caller's business.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from data_platform.domain.exchanges import Exchange


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a request is repeated."""

    tries: int = 3
    """Attempts in all, the first included."""
    pause: timedelta = timedelta(seconds=1)
    """Longest pause after the first failed attempt; doubles with each, jitter from zero up."""
    longest_pause: timedelta = timedelta(seconds=30)
    """No pause between attempts is longer, except one the exchange asks for."""
    longest_refusal: timedelta = timedelta(minutes=2)
    """When the exchange asks for more patience than this (a ban), the request fails at once:
    asking before a ban ends prolongs it."""


@dataclass(frozen=True, slots=True)
class Access:
    """How one exchange is reached, and what it may be asked."""

    exchange: Exchange
    requests_per_minute: float
    """Requests of every kind that this source sends at most."""
    base_url: str | None = None
    """Replaces scheme and host of every URL; its path goes before theirs. None: the exchange's
    own addresses."""
    timeout: timedelta = timedelta(seconds=30)
    """Longest silence of one attempt; an attempt is given up after twice this in all."""
    grace: timedelta = timedelta(seconds=5)
    """How long after its close a candle still counts as unfinished."""
    api_key: str | None = field(default=None, repr=False)
    """Sent with public requests where the exchange takes one; never shown in a message."""
    concurrency: int = 12
    """Requests in flight at once at most."""
    retry: Retry = Retry()

    @property
    def ccxt_id(self) -> str:
        """Return the name of the class in ccxt."""
        return self.exchange.ccxt_id or self.exchange.name

    @property
    def address(self) -> str:
        """Return how a message names where the exchange is reached."""
        if self.base_url:
            return f"{self.exchange.title} at {self.base_url.partition('?')[0]}"
        return f"{self.exchange.title} at its own address"
