"""What the simulated exchanges were asked: a log of the newest requests and a score for each.

The score tells whether a client kept to the exchange's limit, whether or not the limit was
enforced. Stays out: judging requests (`limits`), HTTP.
"""

from collections import deque
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from itertools import islice
from threading import Lock

from data_platform.simulator.limits import Limit, SlidingMeter
from data_platform.simulator.wire import Answer, Question

LOG_LENGTH = 20_000


@dataclass(slots=True)
class LogEntry:
    """One request, from its arrival until it was answered."""

    time: float
    """Arrival, seconds of a monotonic clock."""
    exchange: str
    endpoint: str
    path: str
    symbol: str
    """The pair as people write it, else the name asked for; empty without one."""
    timeframe: str
    since: int | None
    """UTC ms."""
    limit: int | None
    in_flight: int
    """Requests of this exchange being answered at its arrival, this one too."""
    status: int | None = None
    """None: not answered, or not yet."""
    fault: str = ""
    """Of the order that struck it."""
    seconds: float | None = None
    """Until the answer was sent or given up."""


@dataclass(slots=True)
class WindowScore:
    """How much was asked within one window of an exchange's limit."""

    seconds: float
    allowed: float
    most: float = 0.0
    """Of requests or weight, within any so many seconds, refused ones too."""


@dataclass(slots=True)
class Score:
    """What one exchange was asked so far."""

    requests: int = 0
    ohlcv_requests: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    rejected: int = 0
    """Answered with too many requests."""
    banned: int = 0
    """Answered with a ban."""
    early: int = 0
    """Arrived before the time to wait of an earlier answer had passed."""
    followed: int = 0
    """Asked of the other host that a redirect named."""
    windows: dict[str, WindowScore] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request between its arrival and the end of its answer."""

    entry: LogEntry
    answer: Answer
    fault: str
    """Of the order that struck it."""


class _Tally:
    """One exchange's score while it is kept."""

    def __init__(self, limit: Limit) -> None:
        self.score = Score(
            windows={
                window.name: WindowScore(window.seconds, window.allowed) for window in limit.windows
            }
        )
        self._limit = limit
        self._meters = [(window, SlidingMeter(window)) for window in limit.windows]
        self.wait_until = float("-inf")

    def arrive(self, question: Question, now: float) -> None:
        score = self.score
        score.requests += 1
        score.ohlcv_requests += question.endpoint == "ohlcv"
        score.in_flight += 1
        score.max_in_flight = max(score.max_in_flight, score.in_flight)
        score.early += now < self.wait_until
        weight = self._limit.weight(question)
        for window, meter in self._meters:
            if window.counts(question):
                meter.take(now, weight)
                within = score.windows[window.name]
                within.most = max(within.most, meter.used)

    def leave(self, answer: Answer, now: float) -> None:
        self.score.in_flight -= 1
        self.score.rejected += answer.refusal == "rejected"
        self.score.banned += answer.refusal == "banned"
        if answer.wait_seconds:
            self.wait_until = max(self.wait_until, now + answer.wait_seconds)


class Scorer:
    """Keeps log and scores; may be read from any thread."""

    def __init__(self, limits: Mapping[str, Limit], clock: Callable[[], float]) -> None:
        """Take each exchange's limit by our name, and a monotonic clock."""
        self._tallies = {name: _Tally(limit) for name, limit in limits.items()}
        self._clock = clock
        self._log: deque[LogEntry] = deque(maxlen=LOG_LENGTH)
        self._lock = Lock()

    def arrive(self, exchange: str, question: Question, symbol: str) -> LogEntry:
        """Note a request that came in and return its entry in the log."""
        with self._lock:
            now = self._clock()
            tally = self._tallies[exchange]
            tally.arrive(question, now)
            entry = LogEntry(
                time=now,
                exchange=exchange,
                endpoint=question.endpoint,
                path=question.path,
                symbol=symbol,
                timeframe=question.timeframe,
                since=question.since_ms,
                limit=question.limit,
                in_flight=tally.score.in_flight,
            )
            self._log.append(entry)
            return entry

    def leave(self, visit: Visit) -> None:
        """Note what became of a request."""
        entry, answer = visit.entry, visit.answer
        with self._lock:
            now = self._clock()
            self._tallies[entry.exchange].leave(answer, now)
            is_answered = answer.sending in ("whole", "cut", "drip")
            entry.status = answer.status if is_answered else None
            entry.fault = visit.fault
            entry.seconds = now - entry.time

    def follow(self, exchange: str) -> None:
        """Note a request that came to the other host."""
        with self._lock:
            self._tallies[exchange].score.followed += 1

    def ohlcv_requests(self) -> dict[str, int]:
        """Return how many requests for candles each exchange had so far, by our name."""
        return {name: tally.score.ohlcv_requests for name, tally in self._tallies.items()}

    def scores(self) -> dict[str, Score]:
        """Return what each exchange was asked so far, by our name."""
        with self._lock:
            return {name: deepcopy(tally.score) for name, tally in self._tallies.items()}

    def log(self, last: int = LOG_LENGTH, exchange: str = "") -> list[dict[str, object]]:
        """Return the newest requests, oldest first, as JSON can hold them.

        Args:
            last: how many at most.
            exchange: our name; empty: of all.
        """
        with self._lock:
            newest = (entry for entry in reversed(self._log) if exchange in ("", entry.exchange))
            return [asdict(entry) for entry in islice(newest, last)][::-1]
