"""How many requests an exchange allows, and what one that asks for more runs into.

An exchange's limit is a row of windows; a limiter keeps the counts of one exchange. Refusals grow
into bans where the exchange bans. Time is monotonic and real, whatever clock the exchange shows.
Stays out: the words of a refusal (dialects), keeping score (`score`).
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from data_platform.domain.errors import WrongUseError
from data_platform.simulator.wire import Question

_INSTANT = 1e-9
"""Seconds; less is rounding."""


@dataclass(frozen=True, slots=True)
class Window:
    """So much may be asked in so many seconds."""

    name: str
    amount: float
    """Requests, or weight where requests weigh."""
    seconds: float
    kind: Literal["sliding", "tumbling", "bucket"] = "sliding"
    """`sliding`: in any such stretch. `tumbling`: in each, one begins when the last has ended.
    `bucket`: at once, and as much again comes back evenly in that time."""
    paths: frozenset[str] | None = None
    """Which requests count; None: all."""

    @property
    def allowed(self) -> float:
        """Return the most that can pass within any `seconds`."""
        return self.amount if self.kind == "sliding" else 2 * self.amount

    def counts(self, question: Question) -> bool:
        """Return whether a request counts."""
        return self.paths is None or question.path in self.paths


@dataclass(frozen=True, slots=True)
class Limit:
    """What one exchange allows."""

    windows: tuple[Window, ...]
    weights: Mapping[str, float] = field(default_factory=dict)
    """Path -> weight of a request; 1 for the others."""
    ban_after: int = 0
    """Refusals without a request allowed between them that end in a ban; 0: it never bans."""
    ban_seconds: float = 0.0
    ban_growth: float = 1.0
    """How many times as long each further ban is."""
    longest_ban_seconds: float = 259_200.0
    used_header: str = ""
    """Of every answer: what is used of the first window."""

    def weight(self, question: Question) -> float:
        """Return what a request costs."""
        return self.weights.get(question.path, 1.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request that is too much."""

    wait_seconds: float
    is_ban: bool = False
    status: int | None = None
    """HTTP status where it is not the exchange's own."""


class Meter(Protocol):
    """The state of one window."""

    used: float
    """What is used of it."""

    def wait(self, now: float, weight: float) -> float:
        """Return the seconds until a request of this weight is allowed; 0: now."""
        ...

    def take(self, now: float, weight: float) -> None:
        """Note a request that was allowed."""
        ...


class SlidingMeter:
    """Counts what was asked in the last seconds."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._taken: deque[tuple[float, float]] = deque()
        self.used = 0.0

    def wait(self, now: float, weight: float) -> float:
        """Return the seconds until a request of this weight is allowed; 0: now."""
        self._forget(now)
        excess = self.used + weight - self._window.amount
        for time, taken in self._taken:
            if excess <= 0:
                break
            excess -= taken
            if excess <= 0:
                return time + self._window.seconds - now
        return 0.0 if excess <= 0 else self._window.seconds

    def take(self, now: float, weight: float) -> None:
        """Note a request, allowed or not."""
        self._forget(now)
        self._taken.append((now, weight))
        self.used += weight

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] + self._window.seconds <= now:
            self.used -= self._taken.popleft()[1]


class TumblingMeter:
    """Counts what was asked since the window began."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._begun = float("-inf")
        self.used = 0.0

    def wait(self, now: float, weight: float) -> float:
        """Return the seconds until a request of this weight is allowed; 0: now."""
        if now >= self._begun + self._window.seconds:
            self._begun, self.used = now, 0.0
        is_allowed = self.used + weight <= self._window.amount
        return 0.0 if is_allowed else self._begun + self._window.seconds - now

    def take(self, now: float, weight: float) -> None:
        """Note a request that was allowed."""
        del now
        self.used += weight


class BucketMeter:
    """Counts what was asked less what has come back since."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._rate = window.amount / window.seconds
        self._seen = float("-inf")
        self.used = 0.0

    def wait(self, now: float, weight: float) -> float:
        """Return the seconds until a request of this weight is allowed; 0: now."""
        self.used = max(0.0, self.used - (now - self._seen) * self._rate)
        self._seen = now
        return max(0.0, self.used + weight - self._window.amount) / self._rate

    def take(self, now: float, weight: float) -> None:
        """Note a request that was allowed."""
        del now
        self.used += weight


METERS: Mapping[str, Callable[[Window], Meter]] = {
    "sliding": SlidingMeter,
    "tumbling": TumblingMeter,
    "bucket": BucketMeter,
}


class Limiter:
    """The counts and bans of one exchange."""

    def __init__(self, limit: Limit | None, clock: Callable[[], float]) -> None:
        """Take the limit to hold, None for bans that are ordered only; and a monotonic clock."""
        self._limit = limit
        self._clock = clock
        windows = limit.windows if limit else ()
        self._meters = [(window, METERS[window.kind](window)) for window in windows]
        self._refusals = 0
        self._bans = 0
        self._banned_until = float("-inf")
        self._ban_status: int | None = None

    def judge(self, question: Question) -> Verdict | None:
        """Return what a request runs into; None: it is allowed, and counted."""
        now = self._clock()
        if now < self._banned_until:
            return Verdict(self._banned_until - now, is_ban=True, status=self._ban_status)
        if self._limit is None:
            return None
        weight = self._limit.weight(question)
        meters = [meter for window, meter in self._meters if window.counts(question)]
        wait = max((meter.wait(now, weight) for meter in meters), default=0.0)
        if wait > _INSTANT:
            return self._refuse(self._limit, wait)
        self._refusals = 0
        for meter in meters:
            meter.take(now, weight)
        return None

    def ban(self, seconds: float, status: int | None = None) -> Verdict:
        """Refuse everything for a while, from now on.

        Args:
            seconds: how long.
            status: HTTP status of the refusals; None: the exchange's own.
        """
        now = self._clock()
        self._banned_until = max(self._banned_until, now + seconds)
        self._ban_status = status
        return Verdict(self._banned_until - now, is_ban=True, status=status)

    def headers(self) -> dict[str, str]:
        """Return the headers in which the exchange tells what is used."""
        if self._limit is None or not self._limit.used_header:
            return {}
        return {self._limit.used_header: f"{self._meters[0][1].used:.0f}"}

    def _refuse(self, limit: Limit, wait: float) -> Verdict:
        self._refusals += 1
        if not limit.ban_after or self._refusals < limit.ban_after:
            return Verdict(wait)
        self._refusals = 0
        seconds = min(limit.ban_seconds * limit.ban_growth**self._bans, limit.longest_ban_seconds)
        self._bans += 1
        return self.ban(seconds)


def adjust_limit(limit: Limit, values: Mapping[str, float], exchange: str) -> Limit:
    """Return a limit with other values.

    Args:
        limit: as the exchange documents it.
        values: by the name of a window its amount; `seconds` of every window; `ban_after`,
            `ban_seconds`, `longest_ban_seconds`.
        exchange: named in errors.

    Raises:
        WrongUseError: an unknown name, or a value that is not above 0.
    """
    own = ("ban_after", "ban_seconds", "longest_ban_seconds")
    names = [window.name for window in limit.windows]
    for name, value in values.items():
        if name not in (*names, "seconds", *own):
            accepted = ", ".join((*names, "seconds", *own))
            raise WrongUseError(f"limits of {exchange}: unknown {name!r}. Accepted: {accepted}.")
        if value <= 0:
            raise WrongUseError(f"limits of {exchange}: {name} must be above 0, found {value}.")
    windows = tuple(
        replace(
            window,
            amount=values.get(window.name, window.amount),
            seconds=values.get("seconds", window.seconds),
        )
        for window in limit.windows
    )
    return replace(
        limit,
        windows=windows,
        ban_after=int(values.get("ban_after", limit.ban_after)),
        ban_seconds=values.get("ban_seconds", limit.ban_seconds),
        longest_ban_seconds=values.get("longest_ban_seconds", limit.longest_ban_seconds),
    )
