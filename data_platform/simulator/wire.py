"""What passes over the wire: a question as its dialect reads it, and the answer to it.

Stays out: any one exchange's format, and how bytes are sent (`sending`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from data_platform.domain.timeframes import Timeframe

Query: TypeAlias = Mapping[str, str]

Endpoint = Literal["ohlcv", "markets", "time", "other"]
ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)

Sending = Literal["whole", "cut", "drip", "stall", "close", "reset"]
Refusal = Literal["", "rejected", "banned"]

JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Question:
    """One request as its dialect understands it; nothing is judged yet."""

    path: str
    """Below the exchange's prefix."""
    query: Query
    endpoint: Endpoint
    wire_name: str = ""
    """The pair as it was asked for; empty where none is asked for."""
    timeframe: str = ""
    """Our name of it, else what was asked."""
    since_ms: int | None = None
    """UTC milliseconds."""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Where a dialect puts the parts of a question."""

    candles: tuple[str, ...]
    """The paths of candles."""
    others: Mapping[str, Endpoint]
    """Further paths -> what they tell."""
    timeframes: Mapping[str, Timeframe]
    """The dialect's names -> ours."""
    pair: str
    """The parameter that names the pair."""
    timeframe: str
    since: str
    limit: str = ""
    since_unit_ms: int = 1

    def read(self, path: str, query: Query) -> Question:
        """Return the question that a GET of a path below the exchange's prefix asks."""
        if path not in self.candles:
            return Question(path, query, self.others.get(path, "other"))
        asked = query.get(self.timeframe, "")
        since = whole_number(query.get(self.since))
        return Question(
            path,
            query,
            "ohlcv",
            query.get(self.pair, ""),
            self.timeframes[asked].name if asked in self.timeframes else asked,
            None if since is None else since * self.since_unit_ms,
            whole_number(query.get(self.limit)),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire."""

    body: str | bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those that every answer has."""
    sending: Sending = "whole"
    """`cut`: announces more bytes than it sends. `drip`: a byte every `pause_seconds`. `stall`:
    sends nothing until the client leaves. `close`, `reset`: ends the connection without a byte,
    by FIN or RST."""
    pause_seconds: float = 0.0
    refusal: Refusal = ""
    """Whether the exchange says: too many requests."""
    wait_seconds: float = 0.0
    """For how long the exchange wants no further request; 0 where it says nothing."""

    @property
    def payload(self) -> bytes:
        """Return the body as it is sent."""
        return self.body if isinstance(self.body, bytes) else self.body.encode()


def whole_number(text: str | None) -> int | None:
    """Return a query's whole number; None when it is absent, empty or no number."""
    is_number = text is not None and text.isascii() and text.lstrip("-").isdigit()
    return int(text) if text and is_number else None


def whole_number_or(text: str | None, default: int) -> int | None:
    """Return a query's whole number, the default when it is absent, None when it is no number."""
    return default if text is None or text == "" else whole_number(text)


def to_ms(time: datetime) -> int:
    """Return an aware datetime in UTC milliseconds since 1970."""
    return int(time.timestamp() * 1000)
