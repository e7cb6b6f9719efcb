"""The orders that are placed: added and removed while the simulator runs, from any thread.

Of the faults that act on single answers one request meets one at most: the first order, in the
order of placing, whose turn it is. Orders behind it do not count that request, so a list of orders
reads like a script. Changes to markets all hold at once. Stays out: HTTP, what a fault does.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair
from data_platform.simulator.edits import UNCHANGED, Standing
from data_platform.simulator.fault_orders import FaultOrder, to_order, to_public
from data_platform.simulator.wire import Question


@dataclass(slots=True)
class Placed:
    """One placed order and what came of it."""

    number: int
    order: FaultOrder
    matched: int = 0
    """Requests that were meant and met no earlier order."""
    applied: int = 0
    """Requests that it struck."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the board must know of an exchange to refuse slips of the pen."""

    dialect: str
    pairs: frozenset[Pair]


class FaultBoard:
    """All placed orders of one simulator."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        """Take the exchanges by our name."""
        self._known = known
        self._placed: list[Placed] = []
        self._next = 1
        self._lock = Lock()

    def add(self, name: str, **wish: object) -> int:
        """Place an order from now on; see `to_order` for what may be said.

        Returns:
            Its number, by which it can be removed.

        Raises:
            WrongUseError: it cannot be, or names an exchange or pair that is not simulated.
        """
        (number,) = self.place(to_order({"name": name, **wish}))
        return number

    def place(self, *orders: FaultOrder) -> list[int]:
        """Place orders from now on, all or none, and return their numbers. Raises as `add`."""
        for order in orders:
            self._check(order)
        with self._lock:
            numbers = [self._next + index for index in range(len(orders))]
            self._next += len(orders)
            self._placed = [*self._placed, *map(Placed, numbers, orders)]
        return numbers

    def remove(self, number: int) -> None:
        """Take an order back.

        Raises:
            WrongUseError: no such order is placed.
        """
        with self._lock:
            kept = [placed for placed in self._placed if placed.number != number]
            if len(kept) == len(self._placed):
                raise WrongUseError(f"no order {number} is placed.")
            self._placed = kept

    def clear(self) -> None:
        """Take all orders back."""
        with self._lock:
            self._placed = []

    def orders(self) -> list[dict[str, object]]:
        """Return all placed orders as they were given, with `id`, `matched` and `applied`."""
        with self._lock:
            return [
                {
                    "id": placed.number,
                    **to_public(placed.order.wish),
                    "matched": placed.matched,
                    "applied": placed.applied,
                }
                for placed in self._placed
            ]

    def strike(
        self, exchange: str, question: Question, symbol: Pair | None, now_ms: Callable[[], int]
    ) -> FaultOrder | None:
        """Return the order that strikes a request, and count it.

        Args:
            exchange: our name.
            question: the request.
            symbol: the pair that it asks for, None when it asks for none.
            now_ms: the exchange's clock, UTC ms.
        """
        if not self._placed:
            return None
        now = now_ms()
        with self._lock:
            for placed in self._placed:
                order = placed.order
                is_meant = (
                    order.fault.act is not None
                    and order.is_in_force(now)
                    and order.concerns(exchange, symbol)
                    and order.matches(question)
                )
                if not is_meant:
                    continue
                placed.matched += 1
                if order.strikes(placed.matched):
                    placed.applied += 1
                    return order
        return None

    def standing(self, exchange: str, symbol: Pair, now_ms: Callable[[], int]) -> Standing:
        """Return how a market stands now.

        Args:
            exchange: our name.
            symbol: the pair by its first name.
            now_ms: the exchange's clock; not asked when no order concerns markets.
        """
        orders = [placed.order for placed in self._placed if placed.order.fault.change]
        if not orders:
            return UNCHANGED
        now = now_ms()
        standing = UNCHANGED
        for order in orders:
            if order.fault.change and order.is_in_force(now) and order.concerns(exchange, symbol):
                standing = order.fault.change(standing, order.options)
        return standing

    def _check(self, order: FaultOrder) -> None:
        fault, meant = order.fault, self._known
        if order.exchange:
            if order.exchange not in meant:
                raise WrongUseError(
                    f"fault {fault.name}: exchange {order.exchange!r} is not simulated. Simulated: "
                    f"{', '.join(meant)}."
                )
            meant = {order.exchange: meant[order.exchange]}
        if fault.dialects:
            others = [name for name, it in meant.items() if it.dialect not in fault.dialects]
            _refuse(fault.name, others, f"only {', '.join(fault.dialects)} can send it")
        if order.symbol:
            named = order.symbol
            new_names = {placed.order.options.get("to") for placed in self._placed}
            is_known = named in new_names or any(named in it.pairs for it in meant.values())
            _refuse(fault.name, [] if is_known else list(meant), f"no pair {named} is traded")
        if fault.needs_second_market:
            single = [name for name, it in meant.items() if len(it.pairs) < 2]  # noqa: PLR2004
            _refuse(fault.name, single, "another pair must be simulated there too")


def _refuse(fault: str, exchanges: Iterable[str], why: str) -> None:
    names = ", ".join(exchanges)
    if names:
        raise WrongUseError(f"fault {fault} cannot be ordered for {names}: {why}.")
