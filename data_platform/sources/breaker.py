"""When an exchange that stopped answering is no longer asked, and when one request tries again.

Without it each of a thousand pages, and each tick of the clock, would wait for its own time-outs.
Three failures in a row open it: for one minute, then two, four, up to fifteen, or until a ban ends.
Then exactly one request, of all processes that share the store, tries; an answer closes it. Holds
the rule; where the state is kept is given by the caller.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from data_platform.domain.breaker import CLOSED, BreakerState
from data_platform.domain.errors import RefusedError, SourceError, TransientError

ENOUGH = 3
"""Failures in a row, each of a request after all its attempts."""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=15)

_FRESH = 1.0
"""Seconds for which what was read of the store is believed."""


class LeftAloneError(TransientError):
    """Nothing was sent, because the exchange has stopped answering."""


class BreakerStore(Protocol):
    """Keeps the breakers of exchanges, for all processes that share it."""

    def read(self, exchange: str) -> BreakerState:
        """Return the breaker of an exchange; closed where nothing is known."""
        ...

    def change(
        self, exchange: str, change: Callable[[BreakerState], BreakerState]
    ) -> tuple[BreakerState, BreakerState]:
        """Replace the breaker of an exchange in one step; return it before and after."""
        ...


class MemoryBreakers:
    """Breakers that nobody shares, for a source without a lake."""

    def __init__(self) -> None:
        self._states: dict[str, BreakerState] = {}

    def read(self, exchange: str) -> BreakerState:
        """Return the breaker of an exchange."""
        return self._states.get(exchange, CLOSED)

    def change(
        self, exchange: str, change: Callable[[BreakerState], BreakerState]
    ) -> tuple[BreakerState, BreakerState]:
        """Replace the breaker of an exchange."""
        before = self.read(exchange)
        self._states[exchange] = after = change(before)
        return before, after


def utc_now() -> datetime:
    """Return the machine's clock, UTC."""
    return datetime.now(UTC)


class Breaker:
    """The breaker of one exchange as one source sees it."""

    def __init__(
        self,
        exchange: str,
        store: BreakerStore,
        *,
        probe_time: timedelta,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take the store and this source's own terms.

        Args:
            exchange: our name.
            store: where the state is kept.
            probe_time: how long the one request that tries may take before another one may.
            now: the clock, UTC.
        """
        self._exchange = exchange
        self._store = store
        self._probe_time = probe_time
        self._now = now
        self._known = CLOSED
        self._read_at = -_FRESH
        self._answered_at = -1.0

    async def enter(self, about: str, patience: timedelta) -> bool:
        """Wait until the exchange may be asked; return whether this is the one request that tries.

        Args:
            about: what is to be asked, for the message.
            patience: how long to wait at most.

        Raises:
            LeftAloneError: that will be later.
        """
        while True:
            known, now = self._look(), self._now()
            if known.state == "closed":
                return False
            if not known.is_open(now):
                if self._take_probe(now):
                    return True
                continue
            wait = (known.until or now) - now
            if wait > patience:
                raise LeftAloneError(f"{about}: not asked, because {known.spell(self._exchange)}")
            await asyncio.sleep(min(wait.total_seconds(), _FRESH))

    def answered(self) -> None:
        """Note an answer: the exchange is there."""
        self._answered_at = time.monotonic()
        if self._known != CLOSED:
            self._change(lambda _: CLOSED)

    def failed(self, error: SourceError, since: float, *, is_probe: bool) -> None:
        """Note a request that got no answer.

        Args:
            error: how its last attempt ended. A ban opens at once.
            since: when it was begun, by the monotonic clock. If another one was answered
                meanwhile, the exchange is there, and this one says nothing about it.
            is_probe: it was the one request that tries.
        """
        until = error.until if isinstance(error, RefusedError) else None
        if until is None and not is_probe and self._answered_at >= since:
            return
        now, reason = self._now(), str(error)
        self._change(lambda before: _after_failure(before, now, reason, until, is_probe=is_probe))

    def gave_up(self) -> None:
        """Note that the one request that tries has ended without telling anything."""
        now = self._now()
        self._change(lambda before: replace(before, state="open", until=now))

    def _take_probe(self, now: datetime) -> bool:
        def take(before: BreakerState) -> BreakerState:
            if before.state == "closed" or before.is_open(now):
                return before
            opened = min(before.opened_at or now, now)
            return replace(
                before, state="half_open", opened_at=opened, until=now + self._probe_time
            )

        before, after = self._change(take)
        return before != after

    def _look(self) -> BreakerState:
        if time.monotonic() - self._read_at >= _FRESH:
            self._known = self._store.read(self._exchange)
            self._read_at = time.monotonic()
        return self._known

    def _change(
        self, change: Callable[[BreakerState], BreakerState]
    ) -> tuple[BreakerState, BreakerState]:
        before, after = self._store.change(self._exchange, change)
        self._known, self._read_at = after, time.monotonic()
        return before, after


def _after_failure(
    before: BreakerState, now: datetime, reason: str, until: datetime | None, *, is_probe: bool
) -> BreakerState:
    if until is not None:
        # A ban that is over later than known replaces it; a straggler changes nothing.
        known = before.until if before.is_open(now) and before.until else now
        last = max(until, known)
        return BreakerState(
            "open", max(before.failures, ENOUGH), before.opened_at or now, last, reason
        )
    if before.state != "closed" and not is_probe:
        # Sent before it opened: the pause is counted from the opening.
        return before
    failures = before.failures + 1
    if failures < ENOUGH:
        return replace(before, failures=failures, reason=reason)
    pause = min(FIRST_PAUSE * 2 ** min(failures - ENOUGH, 10), LONGEST_PAUSE)
    return BreakerState("open", failures, before.opened_at or now, now + pause, reason)
