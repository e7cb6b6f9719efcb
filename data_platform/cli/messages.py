"""What a download's processes say to each other: one JSON object a line.

The parent sends an order; the worker answers with reports and one outcome, its last line.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from data_platform.cli.orders import Order
from data_platform.domain.layers import LAYERS_BY_NAME
from data_platform.domain.markets import Pair
from data_platform.domain.periods import to_period
from data_platform.domain.timeframes import to_timeframe


@dataclass(frozen=True, slots=True)
class Report:
    """How far one exchange is; counts since its worker started."""

    exchange: str
    candles: int = 0
    requests: int = 0
    done_partitions: int = 0
    total_partitions: int = 0
    past_pages: int = 0
    """Pages asked for whose candles open before the running month."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one exchange ended."""

    exchange: str
    success: bool
    run_ids: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    """One line each: which series or partition, why, what to do."""
    refused: int = 0
    """Rows that the audit kept out of the lake."""
    failed_checks: tuple[str, ...] = ()
    """Checks that did not pass: `binance/ohlcv_1h no_long_gaps`."""
    stale: int = 0
    """Derived partitions and files of the exchange whose inputs have changed since."""


def order_to_line(order: Order) -> str:
    """Return an order as one line."""
    return json.dumps(
        {
            "exchange": order.exchange,
            "pairs": [pair.symbol for pair in order.pairs],
            "timeframes": [timeframe.name for timeframe in order.timeframes],
            "layers": list(order.layers),
            "periods": [period.key for period in order.periods],
            "full": order.full,
        }
    )


def order_from_line(line: str) -> Order:
    """Return the order of a line that `order_to_line` made."""
    found = json.loads(line)
    return Order(
        exchange=found["exchange"],
        pairs=tuple(Pair(symbol) for symbol in found["pairs"]),
        timeframes=tuple(to_timeframe(name) for name in found["timeframes"]),
        layers=tuple(LAYERS_BY_NAME[name].name for name in found["layers"]),
        periods=tuple(to_period(key) for key in found["periods"]),
        full=found["full"],
    )


def message_to_line(message: Report | Outcome) -> str:
    """Return a report or an outcome as one line."""
    return json.dumps({"kind": type(message).__name__.lower(), **asdict(message)})


def message_from_line(line: str) -> Report | Outcome | None:
    """Return the message of a line, or None when the line is no message of ours."""
    try:
        found = json.loads(line)
        kind = found.pop("kind")
        if kind == "report":
            return Report(**found)
        frozen: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in found.items()
        }
        return Outcome(**frozen)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
