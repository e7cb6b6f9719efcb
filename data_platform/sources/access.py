"""How one exchange is reached: plain values, given by the caller.

Holds values only; where they come from (config, environment) is the caller's business.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from data_platform.domain.exchanges import Exchange

Priority = Literal["live", "backfill"]


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
    asking before a ban ends prolongs it. A backfill that has begun waits as long for an exchange
    that has stopped answering."""


@dataclass(frozen=True, slots=True)
class Access:
    """How one exchange is reached, and what it may be asked."""

    exchange: Exchange
    requests_per_minute: float
    """Requests of every kind that all processes of this machine send at most."""
    base_url: str | None = None
    """Replaces scheme and host of every URL; its path goes before theirs. None: the exchange's
    own addresses."""
    timeout: timedelta = timedelta(seconds=30)
    """Longest silence of one attempt; an attempt is given up after twice this in all."""
    grace: timedelta = timedelta(seconds=5)
    """How long after its close a candle still counts as unfinished."""
    api_key: str | None = field(default=None, repr=False)
    """Sent with public requests where the exchange takes one; never shown in a message."""
    priority: Priority = "backfill"
    """`live`: the few newest candles; goes before every backfill of the same exchange, and waits
    for nobody who has stopped answering."""
    concurrency: int = 32
    """Requests in flight at once at most; bybit's 118 a second need 24 where an answer takes
    0.2 s."""
    retry: Retry = Retry()

    @property
    def ccxt_id(self) -> str:
        """Return the name of the class in ccxt."""
        return self.exchange.ccxt_id or self.exchange.name

    @property
    def patience(self) -> timedelta:
        """Return how long a fetch that has begun waits for an exchange that stops answering."""
        return self.retry.longest_refusal if self.priority == "backfill" else timedelta(0)

    @property
    def budget_key(self) -> str:
        """Return what all who share one rate limit have in common: the exchange's address."""
        return f"{self.ccxt_id} {self.base_url}" if self.base_url else self.ccxt_id

    @property
    def address(self) -> str:
        """Return how a message names where the exchange is reached."""
        if self.base_url:
            return f"{self.exchange.title} at {self.base_url.partition('?')[0]}"
        return f"{self.exchange.title} at its own address"
