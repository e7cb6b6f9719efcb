"""When the next request may go out: one budget per exchange for every process of this machine.

All requests from one machine share one address towards the exchange, so the budget lies in a file
of the machine, not of a lake: two lakes, checkouts or users keep one rate together. It is four
numbers under a lock that the kernel frees when its holder dies; nobody serves it, and a file left
behind never blocks. A slot is taken at the moment of sending, never ahead, so whoever is killed or
cancelled while waiting has taken none. Knows neither URLs nor ccxt, whose own limiter stays off:
it counts one process only, and waiting inside it would count against a request's deadline.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from data_platform.domain.errors import PermanentError, RefusedError, TransientError

LATE = 0.025
"""Seconds that a slot may be used late without shifting those after it. A process on two busy
cores wakes up to 10 ms late; without this each such delay would be lost for good, with more of it
okx's 20 requests per 2 s could be exceeded."""

HOLD = 0.1
"""Seconds after a slot in which it is kept for a live request that has said it waits."""

FARTHEST = 16
"""Steps that the next slot may lie ahead, whatever the file says: what lies farther was left
behind by another boot. The costliest request, binance's list of all pairs, takes 10."""

_LOOK = 1.0
"""Seconds after which a waiter looks again at the file, whatever it was told."""

_LOCK_PAUSE = 0.001
_LOCK_PATIENCE = 10.0
"""Seconds to wait for the lock, which is held for microseconds, before something is wrong."""

_LAYOUT = struct.Struct("<8s5d")
_MAGIC = b"budget01"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the file holds. Times are seconds of the monotonic clock, which all processes share."""

    next_slot: float = 0.0
    """No request may go out before."""
    live_until: float = 0.0
    """Until then slots are for live requests only."""
    paused_at: float = 0.0
    """When the exchange asked for a pause, by the monotonic clock."""
    paused_at_wall: float = 0.0
    """The same by the wall clock, UTC: the monotonic one begins anew with each boot."""
    pause: float = 0.0
    """Seconds it asked for."""

    def pause_left(self, now: float, wall: float) -> float:
        """Return the seconds that a pause still lasts, never more than were asked for."""
        passed = now - self.paused_at if now >= self.paused_at else wall - self.paused_at_wall
        return self.pause - max(0.0, passed)

    def paused(self, seconds: float, now: float, wall: float) -> "Ledger":
        """Return the ledger after the exchange has asked for a pause; a longer one stays."""
        if seconds <= self.pause_left(now, wall):
            return self
        return replace(self, paused_at=now, paused_at_wall=wall, pause=seconds)

    def asked(self, ask: "Ask", now: float) -> tuple["Ledger", float]:
        """Return the ledger after somebody asked for a slot, and how long he must wait.

        With no wait (0) the slot is his and the request must go out now.
        """
        farthest = now + FARTHEST * ask.step
        slot = min(max(self.next_slot, now - LATE), farthest)
        if ask.is_live:
            if slot <= now:
                return replace(self, next_slot=slot + ask.cost * ask.step, live_until=0.0), 0.0
            return replace(self, live_until=slot + HOLD), slot - now
        opens = max(slot, min(self.live_until, farthest + HOLD))
        if opens <= now:
            return replace(self, next_slot=slot + ask.cost * ask.step), 0.0
        return self, opens - now


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks for a slot."""

    step: float
    """Seconds between two requests at his rate."""
    cost: float
    """How many ordinary requests this one counts as."""
    is_live: bool
    """Whether it goes before those that are not."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is, in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


def budget_file(address: str) -> Path:
    """Return the file of an address, in the machine's folder for temporary files.

    Shared by all users; `TMPDIR` moves it, as it does every temporary file.
    """
    name = re.sub(r"[^a-z0-9]+", "-", address.lower()).strip("-")[:40]
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / "data-platform" / f"{name}-{digest}.budget"


class RateBudget:
    """Lets this process's requests through one by one, in the order they came."""

    def __init__(
        self,
        path: Path,
        per_minute: float,
        *,
        is_live: bool,
        longest_pause: float,
        clocks: Clocks = Clocks(),
    ) -> None:
        """Take the shared file and this process's own terms.

        Args:
            path: of `budget_file`; made when it is missing.
            per_minute: requests a minute.
            is_live: go before the requests of those who are not.
            longest_pause: seconds of a pause beyond which nobody waits.
            clocks: what time it is.
        """
        self._path = path
        self._step = 60 / per_minute
        self._is_live = is_live
        self._longest_pause = longest_pause
        self._clocks = clocks
        self._queue = asyncio.Lock()

    async def turn(self, cost: float = 1) -> None:
        """Wait until the next request may go out; it must be sent at once.

        Args:
            cost: how many ordinary requests it counts as.

        Raises:
            RefusedError: the exchange asked for a pause longer than anybody should wait for.
                Nothing was sent: asking before a ban ends prolongs it.
            PermanentError: the file cannot be used.
        """
        ask = Ask(self._step, cost, self._is_live)
        async with self._queue:
            while True:
                wait = await self._update(lambda ledger: self._grant(ledger, ask))
                if not wait:
                    return
                await asyncio.sleep(min(wait, _LOOK))

    async def pause(self, seconds: float) -> None:
        """Let nobody through for so many seconds, in any process of this machine.

        Raises:
            PermanentError: the file cannot be used.
        """
        now, wall = self._clocks.monotonic(), self._clocks.wall()
        await self._update(lambda ledger: (ledger.paused(seconds, now, wall), 0.0))

    def _grant(self, ledger: Ledger, ask: Ask) -> tuple[Ledger, float]:
        now, wall = self._clocks.monotonic(), self._clocks.wall()
        left = ledger.pause_left(now, wall)
        if left > self._longest_pause:
            until = datetime.fromtimestamp(wall + left, UTC)
            raise RefusedError(
                f"asked to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC", until=until
            )
        return (ledger, left) if left > 0 else ledger.asked(ask, now)

    async def _update(self, change: Callable[[Ledger], tuple[Ledger, float]]) -> float:
        patience = self._clocks.monotonic() + _LOCK_PATIENCE
        while True:
            with self._opened() as descriptor:
                if _lock(descriptor):
                    before = _read(descriptor)
                    after, wait = change(before)
                    if after != before:
                        os.pwrite(descriptor, _pack(after), 0)
                    return wait
            if self._clocks.monotonic() > patience:
                raise TransientError(
                    f"another process has held {self._path} for {_LOCK_PATIENCE:.0f} s, which "
                    "takes microseconds: look for one that was stopped and continue or end it"
                )
            await asyncio.sleep(_LOCK_PAUSE)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            descriptor = _open(self._path)
        except OSError as error:
            raise PermanentError(
                f"the rate budget {self._path} cannot be used ({error.strerror}); every user of "
                "this machine must be able to write it, or set TMPDIR to a folder of your own"
            ) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        # Without O_CREAT: Linux refuses that for another user's file in a folder open to all.
        return os.open(path, flags)
    except FileNotFoundError:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o1777)
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o666)
        return descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Somebody may have cleaned the folder between the opening and the lock.
    return os.fstat(descriptor).st_nlink > 0


def _read(descriptor: int) -> Ledger:
    found = os.pread(descriptor, _LAYOUT.size, 0)
    if len(found) != _LAYOUT.size or not found.startswith(_MAGIC):
        return Ledger()
    return Ledger(*_LAYOUT.unpack(found)[1:])


def _pack(ledger: Ledger) -> bytes:
    numbers = (ledger.next_slot, ledger.live_until, ledger.paused_at)
    return _LAYOUT.pack(_MAGIC, *numbers, ledger.paused_at_wall, ledger.pause)
