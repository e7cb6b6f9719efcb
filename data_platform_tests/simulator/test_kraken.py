import json
import re
from typing import Any

import pytest

from data_platform.domain.markets import Pair
from data_platform.simulator.kraken import DIALECT
from data_platform.simulator.server import Simulator
from data_platform_tests.simulator.simulated import LISTED, NOW, at, config, ms, rows_of, series_of

OPEN = ms(NOW) // 60_000 * 60


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(config())


def ohlc(simulator: Simulator, pair: str = "XXBTZUSD", **query: object) -> dict[str, Any]:
    asked = {"pair": pair, "interval": "1"} | {k: str(v) for k, v in query.items()}
    body = json.loads(simulator.answer("kraken", "0/public/OHLC", asked).body)
    assert body["error"] == []
    return body["result"]  # type: ignore[no-any-return]


def test_a_row_is_printed_as_kraken_prints_it(simulator: Simulator) -> None:
    row = ohlc(simulator)["XXBTZUSD"][0]
    assert len(row) == 8
    assert isinstance(row[0], int)
    for text in row[1:6]:
        assert re.fullmatch(r"\d+\.\d", text)
    assert re.fullmatch(r"\d+\.\d{8}", row[6])
    assert isinstance(row[7], int)


def test_the_newest_720_and_the_open_one_come_old_first(simulator: Simulator) -> None:
    result = ohlc(simulator)
    times = [row[0] for row in result["XXBTZUSD"]]
    assert times == list(range(OPEN - 720 * 60, OPEN + 60, 60))
    assert result["last"] == OPEN - 60


def test_since_is_exclusive(simulator: Simulator) -> None:
    rows = ohlc(simulator, since=OPEN - 180)["XXBTZUSD"]
    assert [row[0] for row in rows] == [OPEN - 120, OPEN - 60, OPEN]


def test_an_old_since_silently_gives_the_newest_720(simulator: Simulator) -> None:
    assert ohlc(simulator, since=OPEN - 10_000 * 60) == ohlc(simulator)


def test_a_quiet_minute_is_flat_with_a_mean_price_of_zero(simulator: Simulator) -> None:
    rows = ohlc(simulator, "LINKUSD")["LINKUSD"]
    quiet = [row for row in rows[1:] if row[7] == 0]
    assert len(quiet) > 50
    for row in quiet:
        assert len(set(row[1:5])) == 1
        assert float(row[5]) == 0
        assert row[6] == "0.00000000"


def test_text_read_back_is_the_truth_to_the_last_bit(simulator: Simulator) -> None:
    for base, name in (("BTC", "XXBTZUSD"), ("LINK", "LINKUSD"), ("DOGE", "XDGUSD")):
        rows = ohlc(simulator, name)[name][:-1]
        truth = simulator.candles(series_of("kraken", "1m", base), at(2024, 3, 14), NOW)
        read = [[row[0] * 1000, *map(float, (*row[1:5], row[6]))] for row in rows]
        assert read == rows_of(truth)[-720:]


def test_a_young_pair_has_fewer_rows(simulator: Simulator) -> None:
    rows = ohlc(simulator, "LINKUSD", interval=1440)["LINKUSD"]
    assert [row[0] for row in rows] == [ms(at(2024, 3, day)) // 1000 for day in range(11, 16)]
    assert rows[0][0] <= ms(LISTED) // 1000


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("BTC/USD", ("XXBTZUSD", "XBTUSD", "XBT/USD")),
        ("ETH/BTC", ("XETHXXBT", "ETHXBT", "ETH/XBT")),
        ("DOGE/USD", ("XDGUSD", "XDG/USD")),
        ("SOL/EUR", ("SOLEUR", "SOL/EUR")),
        ("BTC/USDT", ("XBTUSDT", "XBT/USDT")),
    ],
)
def test_pairs_have_krakens_old_names(symbol: str, names: tuple[str, ...]) -> None:
    assert DIALECT.wire_names(Pair(symbol)) == names


def test_every_name_of_a_pair_is_understood_and_answered_by_its_id(simulator: Simulator) -> None:
    for name in ("XXBTZUSD", "XBTUSD", "XBT/USD"):
        assert "XXBTZUSD" in ohlc(simulator, name)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ({"pair": "XBTUSD", "interval": "7"}, "EGeneral:Invalid arguments"),
    ],
)
def test_a_wrong_question_gets_krakens_own_error(
    simulator: Simulator, query: dict[str, str], error: str
) -> None:
    answer = simulator.answer("kraken", "0/public/OHLC", query)
    assert (answer.status, json.loads(answer.body)) == (200, {"error": [error]})


def test_the_status_is_online(simulator: Simulator) -> None:
    body = json.loads(simulator.answer("kraken", "0/public/SystemStatus", {}).body)
    assert body["result"] == {"status": "online", "timestamp": "2024-03-15T10:07:23Z"}
