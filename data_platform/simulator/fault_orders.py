"""Orders: which fault, on which requests, how often, for how long; and all faults by name.

An order is written the same in Python, in a scenario file and in `POST /_faults`:
`{name: http_500, exchange: binance, symbol: BTC/USDT, endpoint: ohlcv, first: 3}`. Stays out:
what a fault does (its row), which orders are placed (`fault_board`).
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair
from data_platform.simulator.answer_faults import ANSWER_FAULTS
from data_platform.simulator.fault import Fault, Options, to_count, to_moment, to_pair
from data_platform.simulator.market_faults import MARKET_FAULTS
from data_platform.simulator.page_faults import PAGE_FAULTS
from data_platform.simulator.wire import ENDPOINTS, Endpoint, Question

FAULTS: tuple[Fault, ...] = (*ANSWER_FAULTS, *PAGE_FAULTS, *MARKET_FAULTS)

_BY_NAME = {fault.name: fault for fault in FAULTS}


@dataclass(frozen=True, slots=True)
class FaultOrder:
    """One order; without a selection every request, at any time."""

    fault: Fault
    options: Options
    wish: Mapping[str, object]
    """As it was given."""
    exchange: str = ""
    """Our name; empty: every exchange."""
    symbol: Pair | None = None
    endpoint: Endpoint | None = None
    first: int | None = None
    """The first so many requests that match."""
    every: int | None = None
    """Each so-manieth request that matches."""
    share: float | None = None
    """About this share of the requests that match, by `seed`."""
    seed: int = 0
    since: int | None = None
    """By the exchange's clock, UTC ms."""
    until: int | None = None
    """Exclusive."""

    def is_in_force(self, now_ms: int) -> bool:
        """Return whether the exchange's clock lies between `since` and `until`."""
        is_begun = self.since is None or now_ms >= self.since
        return is_begun and (self.until is None or now_ms < self.until)

    def concerns(self, exchange: str, symbol: Pair | None) -> bool:
        """Return whether a market, or a request that names none, is meant."""
        return self.exchange in ("", exchange) and self.symbol in (None, symbol)

    def matches(self, question: Question) -> bool:
        """Return whether the endpoint is meant."""
        meant = (self.endpoint,) if self.endpoint else self.fault.endpoints
        return not meant or question.endpoint in meant

    def strikes(self, number: int) -> bool:
        """Return whether the request of this number, from 1, among those that match is struck."""
        if self.first is not None:
            return number <= self.first
        if self.every is not None:
            return number % self.every == 0
        if self.share is not None:
            return random.Random(f"{self.seed}:{number}").random() < self.share  # noqa: S311
        return True


def _endpoint(value: object) -> Endpoint:
    found = next((endpoint for endpoint in ENDPOINTS if endpoint == value), None)
    if found is None:
        raise WrongUseError(f"unknown endpoint {value!r}. Accepted: {', '.join(ENDPOINTS)}.")
    return found


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise WrongUseError(f"{value!r} is no share above 0, at most 1.")
    return float(value)


def _seed(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongUseError(f"{value!r} is no whole number.")
    return value


_SELECTION: Mapping[str, Callable[[object], Any]] = {
    "exchange": str,
    "symbol": to_pair,
    "endpoint": _endpoint,
    "first": to_count,
    "every": to_count,
    "share": _share,
    "seed": _seed,
    "since": to_moment,
    "until": to_moment,
}
_OF_REQUESTS = ("endpoint", "first", "every", "share", "seed")
_HOW_OFTEN = ("first", "every", "share")


def to_order(wish: Mapping[str, object]) -> FaultOrder:
    """Return the order that is meant.

    Args:
        wish: `name` of a fault; `exchange`, `symbol`, `endpoint` (`ohlcv`, `markets`, `time`);
            one of `first`, `every`, `share` (with `seed`); `since` and `until` by the exchange's
            clock; and the fault's own options.

    Raises:
        WrongUseError: an unknown name or key, a value that cannot be, or one that is missing.
    """
    fault = _fault(wish.get("name"))
    accepted = [name for name in _SELECTION if fault.act or name not in _OF_REQUESTS]
    for key in wish:
        if key not in ("name", *accepted, *fault.options):
            _refuse_key(fault, key, ["name", *accepted, *fault.options])
    given = {key: _read(fault, key, _SELECTION[key], wish[key]) for key in accepted if key in wish}
    options = {
        key: _read(fault, key, option.read, wish[key]) if key in wish else option.default
        for key, option in fault.options.items()
    }
    missing = [key for key, row in fault.options.items() if row.is_required and key not in wish]
    if fault.needs_symbol and "symbol" not in wish:
        missing.append("symbol")
    if missing:
        raise WrongUseError(f"fault {fault.name}: {missing[0]!r} is missing.")
    if sum(key in wish for key in _HOW_OFTEN) > 1:
        raise WrongUseError(f"fault {fault.name}: give one of {', '.join(_HOW_OFTEN)} only.")
    if fault.endpoints and given.get("endpoint", fault.endpoints[0]) not in fault.endpoints:
        raise WrongUseError(
            f"fault {fault.name} strikes only the endpoint {', '.join(fault.endpoints)}."
        )
    return FaultOrder(fault, options, dict(wish), **given)


def to_public(wish: Mapping[str, object]) -> dict[str, object]:
    """Return an order as JSON can hold it."""
    public: dict[str, object] = json.loads(json.dumps(dict(wish), default=str))
    return public


def _fault(name: object) -> Fault:
    fault = _BY_NAME.get(str(name))
    if fault is None:
        near = get_close_matches(str(name), _BY_NAME, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise WrongUseError(f"unknown fault {name!r}.{hint} Accepted: {', '.join(_BY_NAME)}.")
    return fault


def _read(fault: Fault, key: str, read: Callable[[object], Any], value: object) -> Any:  # noqa: ANN401 - as the option says
    try:
        return read(value)
    except WrongUseError as error:
        raise WrongUseError(f"fault {fault.name}: {key}: {error}") from error


def _refuse_key(fault: Fault, key: str, accepted: list[str]) -> None:
    raise WrongUseError(
        f"fault {fault.name}: unknown key {key!r}. Accepted: {', '.join(accepted)}."
    )
