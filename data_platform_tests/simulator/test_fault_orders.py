import json
import re
from pathlib import Path

import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair
from data_platform.simulator.config import DIALECTS
from data_platform.simulator.fault_orders import FAULTS, to_order, to_public
from data_platform.simulator.wire import ENDPOINTS, Question
from data_platform_tests.simulator.simulated import at

ROOT = Path(__file__).parent.parent.parent
GUIDE, README = ROOT / "docs/simulator.md", ROOT / "README.md"


def question(endpoint: str) -> Question:
    return Question("", {}, endpoint)  # type: ignore[arg-type]


def test_names_are_unique_and_each_fault_does_one_thing() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    for fault in FAULTS:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", fault.name)
        assert (fault.act is None) != (fault.change is None), fault.name
        assert fault.says, fault.name
        assert set(fault.endpoints) <= set(ENDPOINTS)
        assert set(fault.dialects) <= {dialect.name for dialect in DIALECTS}


def test_the_guide_lists_every_fault_with_its_options_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", GUIDE.read_text(), re.MULTILINE)
    listed = {name: (says, re.findall(r"`(\w+)`", options)) for name, says, options in rows}
    assert listed == {fault.name: (fault.says, list(fault.options)) for fault in FAULTS}
    assert list(listed) == [fault.name for fault in FAULTS]
    assert f"{len(FAULTS)} faults by name" in README.read_text()


def test_an_order_says_where_how_often_and_how() -> None:
    order = to_order(
        {
            "name": "http_429_retry_after",
            "exchange": "okx",
            "symbol": "BTC/USDT",
            "endpoint": "ohlcv",
            "first": 3,
            "seconds": 5,
        }
    )
    assert (order.fault.name, order.exchange, order.symbol) == (
        "http_429_retry_after",
        "okx",
        Pair("BTC/USDT"),
    )
    assert (order.endpoint, order.first, order.options) == ("ohlcv", 3, {"seconds": 5.0})


def test_an_option_that_is_not_given_has_its_default() -> None:
    assert to_order({"name": "http_418_ban"}).options == {"seconds": 120.0}
    assert to_order({"name": "stale_page"}).options == {"candles": None}


@pytest.mark.parametrize(
    ("wish", "struck"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"first": 2}, [1, 2]),
        ({"every": 3}, [3, 6]),
        ({"share": 1}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_the_first_or_every_so_manieth_or_all_are_struck(
    wish: dict[str, object], struck: list[int]
) -> None:
    order = to_order({"name": "http_500", **wish})
    assert [number for number in range(1, 7) if order.strikes(number)] == struck


def test_a_share_is_about_that_and_the_same_again_for_the_same_seed() -> None:
    def struck(seed: int) -> list[int]:
        order = to_order({"name": "http_500", "share": 0.2, "seed": seed})
        return [number for number in range(1, 5001) if order.strikes(number)]

    assert 850 < len(struck(1)) < 1150
    assert struck(1) == struck(1)
    assert struck(1) != struck(2)


def test_an_order_without_an_endpoint_strikes_where_its_fault_can() -> None:
    def meant(**wish: object) -> list[str]:
        order = to_order(wish)
        return [name for name in ENDPOINTS if order.matches(question(name))]

    assert meant(name="http_500") == list(ENDPOINTS)
    assert meant(name="http_500", endpoint="time") == ["time"]
    assert meant(name="empty_page") == ["ohlcv"]
    assert meant(name="skewed_clock", seconds=1) == ["time"]


def test_an_order_holds_from_since_to_until() -> None:
    order = to_order({"name": "http_500", "since": "2024-03-01T12:00Z", "until": at(2024, 3, 2)})
    noon, midnight = 1_709_294_400_000, 1_709_337_600_000
    assert [order.is_in_force(now) for now in (noon - 1, noon, midnight - 1, midnight)] == [
        False,
        True,
        True,
        False,
    ]
    assert to_order({"name": "http_500"}).is_in_force(0)


def test_an_order_for_a_pair_does_not_concern_requests_without_one() -> None:
    order = to_order({"name": "http_500", "exchange": "okx", "symbol": "BTC/USDT"})
    assert order.concerns("okx", Pair("BTC/USDT"))
    assert not order.concerns("okx", Pair("ETH/USDT"))
    assert not order.concerns("okx", None)
    assert not order.concerns("binance", Pair("BTC/USDT"))
    assert to_order({"name": "http_500"}).concerns("okx", None)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"name": "http_50"}, "unknown fault 'http_50'. Did you mean 'http_500'? Accepted: http_"),
        ({}, "unknown fault None"),
        ({"name": "http_500", "sometimes": 1}, "fault http_500: unknown key 'sometimes'. Accepted"),
        ({"name": "http_500", "seconds": 1}, "unknown key 'seconds'"),
        ({"name": "http_500", "first": 0}, "fault http_500: first: 0 is no whole number from 1"),
        ({"name": "http_500", "first": 1, "every": 2}, "give one of first, every, share only"),
        ({"name": "http_500", "share": 1.5}, "share: 1.5 is no share above 0, at most 1"),
        ({"name": "http_500", "share": 0.5, "seed": "x"}, "seed: 'x' is no whole number"),
        ({"name": "http_500", "endpoint": "trades"}, "unknown endpoint 'trades'. Accepted: ohlcv"),
        ({"name": "empty_page", "endpoint": "time"}, "strikes only the endpoint ohlcv"),
        ({"name": "http_500", "symbol": "BTC"}, "fault http_500: symbol: "),
        ({"name": "http_500", "since": "noon"}, "fault http_500: since: 'noon' is no time"),
        ({"name": "gap", "start": "2024-03-01"}, "fault gap: 'end' is missing"),
        ({"name": "gap", "first": 1}, "fault gap: unknown key 'first'"),
        ({"name": "delisting"}, "fault delisting: 'symbol' is missing"),
        ({"name": "skewed_clock"}, "fault skewed_clock: 'seconds' is missing"),
        ({"name": "correction", "symbol": "A/B", "time": "2024", "factor": 1}, "correction: time"),
    ],
)
def test_an_order_that_cannot_be_is_refused(wish: dict[str, object], message: str) -> None:
    with pytest.raises(WrongUseError, match=re.escape(message)):
        to_order(wish)


def test_an_order_can_be_told_as_json() -> None:
    wish = {"name": "gap", "start": at(2024, 3, 1), "end": "2024-03-02"}
    assert to_public(wish) == {
        "name": "gap",
        "start": "2024-03-01 00:00:00+00:00",
        "end": "2024-03-02",
    }
    assert to_order(json.loads(json.dumps(to_public(wish)))).options == to_order(wish).options
