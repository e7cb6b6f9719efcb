import json

import pytest

from data_platform.cli.messages import (
    Outcome,
    Report,
    message_from_line,
    message_to_line,
    order_from_line,
    order_to_line,
)
from data_platform.cli.orders import Order
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe


def test_an_order_survives_the_wire() -> None:
    order = Order(
        exchange="okx",
        pairs=(Pair("BTC/USDT"), Pair("1000PEPE/USDT:USDT")),
        timeframes=(to_timeframe("1m"), to_timeframe("1d")),
        layers=("ohlcv", "filled"),
        periods=(Period(2025, 12), Period(2026, 1)),
        full=True,
    )
    line = order_to_line(order)
    assert "\n" not in line
    assert json.loads(line)["periods"] == ["2025-12", "2026-01"]
    assert order_from_line(line) == order


@pytest.mark.parametrize(
    "message",
    [
        Report("okx", candles=5, requests=2, done_partitions=1, total_partitions=7, past_pages=1),
        Outcome("okx", success=True, run_ids=("a", "b")),
        Outcome("okx", success=False, failures=("one\ntwo", "three")),
        Outcome("okx", success=True, refused=3, failed_checks=("okx/ohlcv_1h a", "okx/ohlcv_1h b")),
    ],
)
def test_a_message_survives_the_wire(message: Report | Outcome) -> None:
    line = message_to_line(message)
    assert "\n" not in line
    assert message_from_line(line + "\n") == message


@pytest.mark.parametrize(
    "line", ["", "2026-01-01 DEBUG", "[]", "5", '{"kind": "report"}', '{"kind": "x", "a": 1}', "{"]
)
def test_a_line_that_is_no_message_is_passed_over(line: str) -> None:
    assert message_from_line(line) is None
