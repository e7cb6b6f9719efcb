"""The log of one exchange's newest requests, and whether one more would be too many.

A request may go out when the one `most` before it arrived a window ago: then no window ever holds
more, whether the exchange counts in fixed or in sliding ones. When a request arrived nobody knows;
it is taken to have done so as much later than sent as its answer was later than usual, so that
neither a slow connection nor a busy machine makes the requests after it come too close (okx, 20 in
2 s, on a machine with four times its load: even steps at 97 % of the rate were refused twice a
minute). Pure: bytes in, bytes out; whose file that is and who holds its lock is `rate_budget.py`.
"""

import struct
from array import array
from dataclasses import dataclass, field
from typing import Self

_HEADER = struct.Struct("<8sQ5d")
_MAGIC = b"requests"
_ENTRIES = 1024
_LONGEST_WINDOW = 1000
LENGTH = _HEADER.size + 8 * _ENTRIES
"""Bytes of a log."""

CLOSEST = 0.9
"""Steps between two requests at least, so that none come in a burst after an idle time."""

CATCH_UP = 0.05
"""Seconds by which one who wakes late may make up for it: a busy machine wakes him that late."""

LONGEST_DELAY = 1.0
"""Seconds that a request counts as delayed at most. Where answers take longer it is the exchange
that takes them, mostly, and then it is asked a little less."""

HOLD = 0.1
"""Seconds after a slot in which it is kept for a live request that has said it waits."""


@dataclass(frozen=True, slots=True)
class Pace:
    """On whose terms somebody asks for a slot."""

    most: int
    """Requests in a window."""
    window: float
    """Seconds."""
    is_live: bool
    """Whether he goes before those who are not."""

    @classmethod
    def of(cls, per_minute: float, window: float, *, is_live: bool) -> Self:
        """Return the pace of a rate.

        Args:
            per_minute: requests a minute.
            window: seconds over which about so many are counted; fewer where the log is too short.
            is_live: go before those who are not.
        """
        most = min(max(1, round(per_minute / 60 * window)), _LONGEST_WINDOW)
        return cls(most, most * 60 / per_minute, is_live)

    @property
    def step(self) -> float:
        """Return the seconds between two requests at this rate."""
        return self.window / self.most


@dataclass(slots=True)
class RequestLog:
    """What the file holds. Times are seconds of the monotonic clock, which all processes share."""

    count: int = 0
    """Requests so far."""
    next_at: float = 0.0
    """When the next one may go out, so that they come no closer than `CLOSEST`."""
    live_until: float = 0.0
    """Until then slots are for live requests only."""
    paused_at: float = 0.0
    """When the exchange asked for a pause, by the monotonic clock."""
    paused_at_wall: float = 0.0
    """The same by the wall clock, UTC: the monotonic one begins anew with each boot."""
    pause: float = 0.0
    """Seconds it asked for."""
    arrivals: "array[float]" = field(default_factory=lambda: array("d", bytes(8 * _ENTRIES)))
    """When each of the newest requests arrived at the latest, in a ring."""

    @classmethod
    def unpack(cls, content: bytes) -> Self:
        """Return the log of a file; an empty one of anything that is none."""
        if len(content) != LENGTH or not content.startswith(_MAGIC):
            return cls()
        count, *times = _HEADER.unpack_from(content)[1:]
        log = cls(count, arrivals=array("d", content[_HEADER.size :]))
        log.next_at, log.live_until, log.paused_at, log.paused_at_wall, log.pause = times
        return log

    def pack(self) -> bytes:
        """Return the bytes of the file."""
        numbers = (self.next_at, self.live_until, self.paused_at, self.paused_at_wall, self.pause)
        return _HEADER.pack(_MAGIC, self.count, *numbers) + self.arrivals.tobytes()

    def pause_left(self, now: float, wall: float) -> float:
        """Return the seconds that a pause still lasts, never more than were asked for."""
        passed = now - self.paused_at if now >= self.paused_at else wall - self.paused_at_wall
        return self.pause - max(0.0, passed)

    def pause_for(self, seconds: float, now: float, wall: float) -> None:
        """Note that the exchange has asked for a pause; a longer one stays."""
        if seconds > self.pause_left(now, wall):
            self.paused_at, self.paused_at_wall, self.pause = now, wall, seconds

    def ask(self, pace: Pace, cost: int, now: float) -> float:
        """Return how long a request must wait; with 0 it is noted and must go out now.

        Args:
            pace: his terms.
            cost: how many requests it counts as.
            now: the monotonic clock.
        """
        cost = min(cost, pace.most)
        first = self.count - pace.most
        before = (self.arrivals[it % _ENTRIES] for it in range(first, first + cost))
        # What lies ahead was left behind by another boot and would block until then.
        due = max((it for it in before if it <= now), default=-pace.window) + pace.window
        closest = self.next_at if self.next_at <= now + pace.step else now
        slot = max(due, closest)
        if pace.is_live and slot > now:
            self.live_until = slot + HOLD
        elif not pace.is_live and now <= self.live_until <= now + pace.window + HOLD:
            slot = max(slot, self.live_until)
        if slot > now:
            return slot - now
        for _ in range(cost):
            self.arrivals[self.count % _ENTRIES] = now
            self.count += 1
        self.next_at = max(closest, now - CATCH_UP) + CLOSEST * pace.step
        if pace.is_live:
            self.live_until = 0.0
        return 0.0

    def delayed(self, entries: range, sent_at: float, delay: float) -> None:
        """Note that a request may have arrived so many seconds later than it should.

        Args:
            entries: its numbers.
            sent_at: when it went out.
            delay: seconds.
        """
        arrived = sent_at + min(delay, LONGEST_DELAY)
        for number in entries:
            if 0 <= self.count - 1 - number < _ENTRIES:
                place = number % _ENTRIES
                self.arrivals[place] = max(self.arrivals[place], arrived)
