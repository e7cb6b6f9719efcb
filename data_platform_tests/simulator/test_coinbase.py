import json
import re

import pytest

from data_platform.simulator.server import Simulator
from data_platform.simulator.wire import Answer
from data_platform_tests.simulator.simulated import LISTED, NOW, at, config, ms, rows_of, series_of

OPEN = ms(NOW) // 60_000 * 60
FIRST = ms(at(2024, 3, 14)) // 1000
PRODUCTS = "api/v3/brokerage/market/products"


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(config())


def ask(simulator: Simulator, product: str = "BTC-USD", **query: object) -> Answer:
    asked = {"granularity": "ONE_MINUTE"} | {name: str(value) for name, value in query.items()}
    return simulator.answer("coinbase", f"{PRODUCTS}/{product}/candles", asked)


def candles(
    simulator: Simulator, product: str = "BTC-USD", **query: object
) -> list[dict[str, str]]:
    answer = ask(simulator, product, **query)
    assert answer.status == 200
    return json.loads(answer.body)["candles"]  # type: ignore[no-any-return]


def test_a_row_is_printed_as_coinbase_prints_it(simulator: Simulator) -> None:
    for row in candles(simulator, start=FIRST, end=FIRST + 18_000):
        assert list(row) == ["start", "low", "high", "open", "close", "volume"]
        assert re.fullmatch(r"\d{10}", row["start"])
        for name in ("low", "high", "open", "close", "volume"):
            assert re.fullmatch(r"\d+(\.\d*[1-9])?", row[name]), "no closing zeros"


def test_a_window_holds_both_ends_newest_first(simulator: Simulator) -> None:
    rows = candles(simulator, start=FIRST, end=FIRST + 180)
    assert [int(row["start"]) for row in rows] == [FIRST + second for second in (180, 120, 60, 0)]


def test_more_than_350_candles_are_refused(simulator: Simulator) -> None:
    assert ask(simulator, start=FIRST, end=FIRST + 349 * 60).status == 200
    refused = ask(simulator, start=FIRST, end=FIRST + 350 * 60)
    assert refused.status == 400
    body = json.loads(refused.body)
    assert body["error"] == "INVALID_ARGUMENT"
    assert "number of candles requested should be less than 350" in body["message"]


def test_a_quiet_minute_has_no_candle(simulator: Simulator) -> None:
    rows = candles(simulator, "LINK-USD", start=FIRST, end=FIRST + 340 * 60)
    assert 200 < len(rows) < 341
    assert all(float(row["volume"]) > 0 for row in rows)


def test_a_window_before_the_listing_is_empty(simulator: Simulator) -> None:
    listed = ms(LISTED) // 1000
    assert candles(simulator, "LINK-USD", start=listed - 6000, end=listed - 60) == []


def test_the_last_candle_is_unfinished(simulator: Simulator) -> None:
    rows = candles(simulator, start=OPEN - 60, end=OPEN + 6000)
    assert [int(row["start"]) for row in rows] == [OPEN, OPEN - 60]
    later = Simulator(config(NOW.replace(second=50)))
    after = candles(later, start=OPEN - 60, end=OPEN + 6000)
    assert after[1] == rows[1]
    assert float(after[0]["volume"]) > float(rows[0]["volume"])


def test_the_wire_knows_four_hours(simulator: Simulator) -> None:
    rows = candles(simulator, start=FIRST, end=FIRST + 86_400, granularity="FOUR_HOUR")
    assert [int(row["start"]) for row in rows] == [
        FIRST + 14_400 * n for n in (6, 5, 4, 3, 2, 1, 0)
    ]


def test_text_read_back_is_the_truth_to_the_last_bit(simulator: Simulator) -> None:
    for base in ("BTC", "LINK", "DOGE"):
        rows = candles(simulator, f"{base}-USD", start=FIRST, end=FIRST + 18_000)
        truth = simulator.candles(
            series_of("coinbase", "1m", base), at(2024, 3, 14), at(2024, 3, 14, 5, 1)
        )
        names = ("open", "high", "low", "close", "volume")
        read = [
            [int(row["start"]) * 1000, *(float(row[name]) for name in names)]
            for row in reversed(rows)
        ]
        assert read == rows_of(truth)


@pytest.mark.parametrize(
    ("product", "query", "status"),
    [
        ("NOPE-USD", {}, 404),
        ("BTC-USD", {"granularity": "TEN_MINUTE"}, 400),
        ("BTC-USD", {"start": "yesterday"}, 400),
        ("BTC-USD", {"start": FIRST + 120}, 400),
    ],
)
def test_a_wrong_question_gets_coinbases_own_error(
    simulator: Simulator, product: str, query: dict[str, object], status: int
) -> None:
    answer = ask(simulator, product, **({"start": FIRST, "end": FIRST + 60} | query))
    assert answer.status == status
    assert set(json.loads(answer.body)) == {"error", "error_details", "message"}


def test_there_are_no_futures(simulator: Simulator) -> None:
    spot = json.loads(simulator.answer("coinbase", PRODUCTS, {}).body)
    assert [product["product_id"] for product in spot["products"]] == [
        "BTC-USD",
        "LINK-USD",
        "DOGE-USD",
    ]
    futures = simulator.answer("coinbase", PRODUCTS, {"product_type": "FUTURE"})
    assert json.loads(futures.body)["products"] == []


def test_both_clocks_tell_the_same_second(simulator: Simulator) -> None:
    old = json.loads(simulator.answer("coinbase", "v2/time", {}).body)
    new = json.loads(simulator.answer("coinbase", "api/v3/brokerage/time", {}).body)
    assert old["data"] == {"iso": "2024-03-15T10:07:23Z", "epoch": 1_710_497_243}
    assert new["epochMillis"] == "1710497243456"
