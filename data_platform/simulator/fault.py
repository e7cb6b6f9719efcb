"""What a fault is: a name, what it does to an answer or to a market, and its options.

Rows stand in `answer_faults`, `page_faults` and `market_faults`. Stays out: when a fault strikes
(`fault_orders`, `fault_board`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair, read_pair
from data_platform.simulator.edits import Standing
from data_platform.simulator.limits import Verdict
from data_platform.simulator.venue import PageChange, Venue
from data_platform.simulator.wire import Answer, Endpoint, Question, to_ms

Options: TypeAlias = Mapping[str, Any]
"""The values of a fault's options, by name, each as its option reads it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that an order may say about a fault."""

    says: str
    """With its unit."""
    read: Callable[[object], object]
    """What was given -> its value; raises `WrongUseError`."""
    default: object = None
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Occasion:
    """One request that a fault strikes."""

    venue: Venue
    question: Question
    url: str
    """Of the simulator, without a path."""
    options: Options
    ban: Callable[[float, int], Verdict]
    """Makes the exchange refuse everything for some seconds, with an HTTP status."""

    def healthy(self) -> Answer:
        """Return the answer as it should be."""
        return self.answer_of(self.venue)

    def with_pages(self, change: PageChange) -> Answer:
        """Return the answer with its page of candles changed."""
        return self.answer_of(self.venue.with_pages(change))

    def answer_of(self, venue: Venue) -> Answer:
        """Return the answer of an exchange that differs from the real one."""
        answer = venue.dialect.answer(venue, self.question)
        if answer is None:
            raise WrongUseError(f"nothing is simulated at {self.question.path}")
        return answer


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault by name: either an act on single answers or a change to a market."""

    name: str
    says: str
    """One line for people: what is on the wire."""
    act: Callable[[Occasion], Answer] | None = None
    """The spoilt answer to one request."""
    change: Callable[[Standing, Options], Standing] | None = None
    """How a market stands while the fault is in force."""
    options: Mapping[str, Option] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
    """Where it can strike; empty: everywhere."""
    dialects: tuple[str, ...] = ()
    """Whose answers it can spoil; empty: everyone's."""
    needs_symbol: bool = False
    needs_second_market: bool = False


def seconds(
    default: float | None = None, says: str = "", *, may_be_negative: bool = False
) -> Option:
    """Return an option that is a length in seconds."""
    read = _finite if may_be_negative else _positive
    return Option(says, read, default, is_required=default is None)


def count(default: int, says: str) -> Option:
    """Return an option that is a whole number from 1."""
    return Option(says, to_count, default)


def factor(default: float, says: str) -> Option:
    """Return an option that is a number above 0 other than 1."""
    return Option(says, _factor, default)


def moment(says: str, *, is_required: bool = True) -> Option:
    """Return an option that is an instant; its value is in UTC milliseconds."""
    return Option(says, to_moment, is_required=is_required)


def pair(says: str) -> Option:
    """Return an option that is a pair."""
    return Option(says, to_pair, is_required=True)


def to_moment(value: object) -> int:
    """Return an instant in UTC ms, given as a datetime or as ISO text; without a zone it is UTC.

    Raises:
        WrongUseError: it is neither.
    """
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(f"{value}")
    except ValueError as error:
        raise WrongUseError(
            f"{value!r} is no time. Accepted: like 2024-03-01T12:00:00Z."
        ) from error
    return to_ms(time if time.tzinfo else time.replace(tzinfo=UTC))


def to_count(value: object) -> int:
    """Return a whole number from 1.

    Raises:
        WrongUseError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise WrongUseError(f"{value!r} is no whole number from 1.")
    return value


def to_pair(value: object) -> Pair:
    """Return a pair, given as one or as people write it.

    Raises:
        WrongUseError: it is none.
    """
    return read_pair(str(value))


def _finite(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float) or not is_number or not math.isfinite(value):
        raise WrongUseError(f"{value!r} is no number.")
    return float(value)


def _positive(value: object) -> float:
    number = _finite(value)
    if number <= 0:
        raise WrongUseError(f"{value!r} is not above 0.")
    return number


def _factor(value: object) -> float:
    number = _positive(value)
    if number == 1:
        raise WrongUseError("a factor of 1 changes nothing.")
    return number
