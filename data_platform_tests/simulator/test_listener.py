"""The simulator's own addresses, over real HTTP."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.simulator.raw_http import candles, control, get
from data_platform_tests.simulator.simulated import EXCHANGES, config


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with run_simulator(config()) as running:
        yield running


def place(simulator: Simulator, wish: object) -> tuple[int, object]:
    status, body = control(simulator.url, "POST", "_faults", json.dumps(wish))
    return status, json.loads(body)


def test_faults_are_placed_told_and_taken_back_while_it_runs(simulator: Simulator) -> None:
    wish = {"name": "http_500", "exchange": "okx", "endpoint": "ohlcv", "first": 1}
    assert place(simulator, wish) == (200, {"ids": [1]})
    assert place(simulator, [wish, {"name": "http_451", "exchange": "okx"}]) == (
        200,
        {"ids": [2, 3]},
    )
    seen = [candles(simulator.url, "okx").status for _ in range(3)]
    assert seen == [500, 500, 451]
    _, told = control(simulator.url, "GET", "_faults")
    assert [(each["id"], each["applied"]) for each in json.loads(told)] == [(1, 1), (2, 1), (3, 1)]
    assert control(simulator.url, "DELETE", "_faults/3")[0] == 200
    assert candles(simulator.url, "okx").status == 200
    assert control(simulator.url, "DELETE", "_faults")[0] == 200
    assert control(simulator.url, "GET", "_faults") == (200, b"[]")
    assert simulator.faults.orders() == []


def test_an_order_strikes_one_pair_at_one_endpoint_of_one_exchange(simulator: Simulator) -> None:
    wish = {"name": "http_500", "exchange": "okx", "symbol": "LINK/USDT", "endpoint": "ohlcv"}
    place(simulator, {**wish, "every": 2})
    place(simulator, {"name": "http_451", "exchange": "binance", "endpoint": "markets"})

    def okx(wire_name: str) -> int | None:
        return candles(simulator.url, "okx", instId=wire_name).status

    assert [okx("LINK-USDT") for _ in range(4)] == [200, 500, 200, 500]
    assert [okx("BTC-USDT") for _ in range(4)] == [200] * 4
    assert get(simulator.url, "okx/api/v5/public/time").status == 200
    assert candles(simulator.url, "binance", symbol="LINKUSDT").status == 200
    assert get(simulator.url, "binance/api/v3/exchangeInfo").status == 451
    assert get(simulator.url, "binance/api/v3/time").status == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "expected JSON, found "),
        ('"http_500"', 'expected orders like {"name": "http_500", "first": 3}.'),
        ('{"name": "http_5000"}', "unknown fault 'http_5000'. Did you mean 'http_500'?"),
        ('[{"name": "http_500"}, {"name": "gap"}]', "fault gap: 'start' is missing."),
        ('{"name": "http_500", "exchange": "x"}', "exchange 'x' is not simulated"),
    ],
)
def test_an_order_that_cannot_be_is_refused_with_its_reason(
    simulator: Simulator, body: str, message: str
) -> None:
    status, answer = control(simulator.url, "POST", "_faults", body)
    assert status == 400
    assert message in json.loads(answer)["error"]
    assert simulator.faults.orders() == []


@pytest.mark.parametrize("number", ["7", "x"])
def test_an_order_that_is_not_placed_cannot_be_taken_back(
    simulator: Simulator, number: str
) -> None:
    status, answer = control(simulator.url, "DELETE", f"_faults/{number}")
    assert (status, "no order" in json.loads(answer)["error"]) == (400, True)


def test_the_score_tells_what_each_exchange_was_asked(simulator: Simulator) -> None:
    candles(simulator.url, "binance")
    get(simulator.url, "binance/api/v3/time")
    scores = json.loads(control(simulator.url, "GET", "_score")[1])
    assert list(scores) == list(EXCHANGES)
    assert scores["binance"] == {
        "requests": 2,
        "ohlcv_requests": 1,
        "in_flight": 0,
        "max_in_flight": 1,
        "rejected": 0,
        "banned": 0,
        "early": 0,
        "followed": 0,
        "windows": {"weight": {"seconds": 60, "allowed": 12_000, "most": 3}},
    }
    assert scores["okx"]["requests"] == 0


def test_the_log_tells_the_newest_requests(simulator: Simulator) -> None:
    simulator.faults.add("http_500", exchange="okx")
    candles(simulator.url, "binance", startTime=1_710_374_400_000, limit=5)
    candles(simulator.url, "okx", instId="NOPE-USDT")
    first, second = json.loads(control(simulator.url, "GET", "_log")[1])
    assert (first["exchange"], first["endpoint"], first["symbol"], first["timeframe"]) == (
        *("binance", "ohlcv", "BTC/USDT", "1m"),
    )
    assert (first["since"], first["limit"], first["status"], first["fault"]) == (
        *(1_710_374_400_000, 5, 200, ""),
    )
    assert (second["symbol"], second["status"], second["fault"]) == ("NOPE-USDT", 500, "http_500")
    assert second["time"] >= first["time"] + first["seconds"]
    [only] = json.loads(control(simulator.url, "GET", "_log?exchange=binance")[1])
    assert only == first
    assert json.loads(control(simulator.url, "GET", "_log?last=1")[1]) == [second]
    assert control(simulator.url, "GET", "_log?last=0")[0] == 400


def test_what_is_not_simulated_is_neither_counted_nor_logged(simulator: Simulator) -> None:
    for path in ("nowhere/api", "binance/api/v3/depth", "", "_elsewhere/nowhere/api"):
        assert get(simulator.url, path).status == 404
    assert get(simulator.url, "_elsewhere/binance/api/v3/depth").status == 404
    assert simulator.scorer.log() == []


def test_latency_is_waited_by_many_requests_at_once() -> None:
    with (
        run_simulator(replace(config(), latency_ms=300)) as simulator,
        ThreadPoolExecutor(30) as threads,
    ):
        begun = time.monotonic()
        answers = list(threads.map(lambda _: candles(simulator.url, "okx"), range(30)))
        took = time.monotonic() - begun
        assert {answer.status for answer in answers} == {200}
        assert 0.3 <= took < 1.5
        assert simulator.scorer.scores()["okx"].max_in_flight > 10
        assert all(float(str(entry["seconds"])) >= 0.3 for entry in simulator.scorer.log())


def test_a_stalled_answer_does_not_hold_up_the_others_nor_the_end() -> None:
    begun = time.monotonic()
    with run_simulator(config()) as simulator, ThreadPoolExecutor(1) as threads:
        simulator.faults.add("stall", exchange="okx", first=1)
        stalled = threads.submit(candles, simulator.url, "okx", 1.0)
        time.sleep(0.1)
        assert candles(simulator.url, "okx").status == 200
        assert stalled.result().ending == "silent"
    assert time.monotonic() - begun < 4
