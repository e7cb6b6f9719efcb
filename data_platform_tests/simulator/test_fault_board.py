from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair
from data_platform.simulator.edits import UNCHANGED, Correction, Gap
from data_platform.simulator.fault_board import FaultBoard, Known
from data_platform.simulator.fault_orders import to_order
from data_platform.simulator.wire import Question

BTC, ETH = Pair("BTC/USDT"), Pair("ETH/USDT")
OHLCV = Question("candles", {}, "ohlcv")
TIME = Question("time", {}, "time")


def board() -> FaultBoard:
    both = frozenset({BTC, ETH})
    return FaultBoard({"okx": Known("okx", both), "mine": Known("binance", both)})


def struck(
    placed: FaultBoard, question: Question = OHLCV, symbol: Pair | None = BTC, now: int = 0
) -> str:
    order = placed.strike("okx", question, symbol, lambda: now)
    return order.fault.name if order else ""


def test_an_empty_board_strikes_nothing_and_asks_no_clock() -> None:
    def never() -> int:
        raise AssertionError

    assert board().strike("okx", OHLCV, BTC, never) is None
    assert board().standing("okx", BTC, never) == UNCHANGED


def test_orders_follow_one_another_like_a_script() -> None:
    placed = board()
    placed.add("http_500", first=2)
    placed.add("empty_body", first=1)
    placed.add("html_200", every=2)
    assert [struck(placed) for _ in range(7)] == [
        *("http_500", "http_500", "empty_body", "", "html_200", "", "html_200")
    ]
    counts = [(each["matched"], each["applied"]) for each in placed.orders()]
    assert counts == [(7, 2), (5, 1), (4, 2)]


def test_only_requests_that_are_meant_are_counted() -> None:
    placed = board()
    placed.add("http_500", exchange="okx", symbol="BTC/USDT", endpoint="ohlcv", first=1)
    placed.add("http_451", exchange="mine")
    assert [struck(placed, TIME, None), struck(placed, OHLCV, ETH)] == ["", ""]
    assert placed.orders()[0]["matched"] == 0
    assert [struck(placed), struck(placed)] == ["http_500", ""]


def test_an_order_waits_for_its_time() -> None:
    placed = board()
    placed.add("maintenance", since="1970-01-01T00:00:01Z", until="1970-01-01T00:00:02Z")
    assert [struck(placed, now=now) for now in (999, 1000, 1999, 2000)] == [
        *("", "maintenance", "maintenance", "")
    ]


def test_orders_are_taken_back_by_number_or_all() -> None:
    placed = board()
    first, second = placed.add("http_500"), placed.add("http_451")
    placed.remove(first)
    assert [each["id"] for each in placed.orders()] == [second]
    assert struck(placed) == "http_451"
    with pytest.raises(WrongUseError, match=f"no order {first} is placed"):
        placed.remove(first)
    placed.clear()
    assert (placed.orders(), struck(placed)) == ([], "")


def test_orders_are_told_as_they_were_given() -> None:
    placed = board()
    number = placed.add("http_429_retry_after", exchange="okx", seconds=3, every=2)
    assert placed.orders() == [
        {
            "id": number,
            "name": "http_429_retry_after",
            "exchange": "okx",
            "seconds": 3,
            "every": 2,
            "matched": 0,
            "applied": 0,
        }
    ]


def test_several_are_placed_all_or_none() -> None:
    placed = board()
    good = to_order({"name": "http_500"})
    with pytest.raises(WrongUseError):
        placed.place(good, to_order({"name": "http_500", "exchange": "nowhere"}))
    assert placed.orders() == []
    assert placed.place(good, good) == [1, 2]


def test_changes_to_markets_hold_at_once_and_in_order() -> None:
    placed = board()
    placed.add("gap", start="1970-01-01T00:01", end="1970-01-01T00:03")
    placed.add("correction", symbol="BTC/USDT", time="1970-01-01T00:05", since="1970-01-01T01:00")
    placed.add("delisting", exchange="mine", symbol="BTC/USDT")
    gap, correction = Gap(60_000, 180_000), Correction(300_000, 360_000, 1.01)
    assert placed.standing("okx", BTC, lambda: 0).edits == (gap,)
    assert placed.standing("okx", BTC, lambda: 3_600_000).edits == (gap, correction)
    assert placed.standing("okx", ETH, lambda: 3_600_000).edits == (gap,)
    assert [placed.standing(name, BTC, lambda: 0).is_delisted for name in ("okx", "mine")] == [
        False,
        True,
    ]
    assert struck(placed) == "", "no single answer is spoilt"


@pytest.mark.parametrize(
    ("name", "wish", "message"),
    [
        ("http_500", {"exchange": "kraken"}, "exchange 'kraken' is not simulated. Simulated: okx"),
        ("http_500", {"symbol": "LTC/USDT"}, "for okx, mine: no pair LTC/USDT is traded"),
        ("binance_500_code_1000", {"exchange": "okx"}, "for okx: only binance can send it"),
        ("binance_500_code_1000", {}, "for okx: only binance can send it"),
    ],
)
def test_an_order_for_what_is_not_simulated_is_refused(
    name: str, wish: dict[str, object], message: str
) -> None:
    with pytest.raises(WrongUseError, match=message):
        board().add(name, **wish)


def test_requests_of_many_threads_are_counted_once_each() -> None:
    placed = board()
    placed.add("http_500", first=100)
    with ThreadPoolExecutor(8) as threads:
        seen = Counter(threads.map(lambda _: struck(placed), range(1000)))
    assert seen == {"http_500": 100, "": 900}
