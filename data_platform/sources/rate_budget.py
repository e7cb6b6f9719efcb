"""When the next request may go out: one budget per exchange for every process of this machine.

All requests from one machine share one address towards the exchange, so the budget lies in a file
of the machine, not of a lake: two lakes, checkouts or users keep one rate together. It is a short
log of requests (`request_log.py`) under a lock that the kernel frees when its holder dies; nobody
serves it, and a file left behind never blocks. A slot is taken at the moment of sending, never
ahead, so whoever is killed or cancelled while waiting has taken none. Knows neither URLs nor ccxt,
whose own limiter stays off: it counts one process only, and waiting inside it would count against
a request's deadline. pyrate-limiter 4.5.1 with its SQLite bucket, tried in four processes on
2026-11-25, sent a whole window at once, which cost bybit's ban after five seconds; it goes by the
wall clock and knows neither bans nor whose requests go first.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from data_platform.domain.errors import PermanentError, RefusedError, TransientError
from data_platform.sources.request_log import LENGTH, Pace, RequestLog

T = TypeVar("T")

_LOOK = 1.0
"""Seconds after which a waiter looks again at the file, whatever it was told."""

_LOCK_PAUSE = 0.001
_LOCK_PATIENCE = 10.0
"""Seconds to wait for the lock, which is held for microseconds, before something is wrong."""

_NOTE_TRIES = 20
_NOTE_PAUSE = 0.0002


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is, in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to send one request now."""

    entries: range
    """Its numbers in the log."""
    at: float
    """When it was given, by the monotonic clock."""


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
        pace: Pace,
        longest_pause: float,
        clocks: Clocks = Clocks(),
    ) -> None:
        """Take the shared file and this process's own terms.

        Args:
            path: of `budget_file`; made when it is missing.
            pace: the rate, and whether to go before those who are not live.
            longest_pause: seconds of a pause beyond which nobody waits.
            clocks: what time it is.
        """
        self._path = path
        self._pace = pace
        self._longest_pause = longest_pause
        self._clocks = clocks
        self._queue = asyncio.Lock()
        self._fastest = float("inf")

    async def turn(self, cost: int = 1) -> Turn:
        """Wait until the next request may go out; it must be sent at once.

        Args:
            cost: how many ordinary requests it counts as.

        Raises:
            RefusedError: the exchange asked for a pause longer than anybody should wait for.
                Nothing was sent: asking before a ban ends prolongs it.
            PermanentError: the file cannot be used.
        """
        async with self._queue:
            while True:
                turn, wait = await self._update(lambda log: self._ask(log, cost))
                if not wait:
                    return turn
                await asyncio.sleep(min(wait, _LOOK))

    def answered(self, turn: Turn, seconds: float | None) -> None:
        """Note how long after its turn a request was answered; None: not at all.

        What took longer than the fastest one may have arrived that much later: it is counted so,
        or the requests after it would come too close. The fastest one ever: to follow slower ones
        cost bybit's ban when a crowd of eight processes slowed down and recovered. Says nothing
        when the file is gone, or busy for milliseconds.
        """
        if seconds is None:
            delay = self._clocks.monotonic() - turn.at
        else:
            self._fastest = min(self._fastest, seconds)
            delay = seconds - self._fastest

        def note(log: RequestLog) -> bool:
            log.delayed(turn.entries, turn.at, delay)
            return True

        for _ in range(_NOTE_TRIES):
            try:
                if self._attempt(note):
                    return
            except PermanentError:
                return
            time.sleep(_NOTE_PAUSE)

    async def pause(self, seconds: float) -> None:
        """Let nobody through for so many seconds, in any process of this machine.

        Raises:
            PermanentError: the file cannot be used.
        """
        now, wall = self._clocks.monotonic(), self._clocks.wall()

        def note(log: RequestLog) -> bool:
            log.pause_for(seconds, now, wall)
            return True

        await self._update(note)

    def _ask(self, log: RequestLog, cost: int) -> tuple[Turn, float]:
        now, wall, first = self._clocks.monotonic(), self._clocks.wall(), log.count
        left = log.pause_left(now, wall)
        if left > self._longest_pause:
            until = datetime.fromtimestamp(wall + left, UTC)
            raise RefusedError(
                f"asked to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC", until=until
            )
        wait = left if left > 0 else log.ask(self._pace, cost, now)
        return Turn(range(first, log.count), now), wait

    async def _update(self, change: Callable[[RequestLog], T]) -> T:
        patience = self._clocks.monotonic() + _LOCK_PATIENCE
        while True:
            result = self._attempt(change)
            if result is not None:
                return result
            if self._clocks.monotonic() > patience:
                raise TransientError(
                    f"another process has held {self._path} for {_LOCK_PATIENCE:.0f} s, which "
                    "takes microseconds: look for one that was stopped and continue or end it"
                )
            await asyncio.sleep(_LOCK_PAUSE)

    def _attempt(self, change: Callable[[RequestLog], T]) -> T | None:
        """Change the log under the lock and return the result; None when it is taken."""
        with self._opened() as descriptor:
            if not _lock(descriptor):
                return None
            before = os.pread(descriptor, LENGTH, 0)
            log = RequestLog.unpack(before)
            result = change(log)
            after = log.pack()
            if after != before:
                os.pwrite(descriptor, after, 0)
            return result

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
