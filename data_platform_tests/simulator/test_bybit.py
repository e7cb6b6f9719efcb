import json
import re

import pytest

from data_platform.simulator.server import Simulator
from data_platform_tests.simulator.simulated import LISTED, NOW, at, config, ms, rows_of, series_of

OPEN = ms(NOW) // 60_000 * 60_000
DAY = 86_400_000


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(config())


def kline(simulator: Simulator, **query: object) -> list[list[str]]:
    asked = {"category": "spot", "symbol": "BTCUSDT", "interval": "1"}
    asked |= {name: str(value) for name, value in query.items()}
    answer = simulator.answer("bybit", "v5/market/kline", asked)
    body = json.loads(answer.body)
    assert (answer.status, body["retCode"], body["retMsg"]) == (200, 0, "OK")
    assert (body["result"]["symbol"], body["result"]["category"]) == (asked["symbol"], "spot")
    assert body["time"] == ms(NOW)
    return body["result"]["list"]  # type: ignore[no-any-return]


def times(rows: list[list[str]]) -> list[int]:
    return [int(row[0]) for row in rows]


def test_a_row_is_printed_as_bybit_prints_it(simulator: Simulator) -> None:
    for row in kline(simulator, limit=300):
        assert len(row) == 7
        assert re.fullmatch(r"\d{13}", row[0])
        for text in row[1:]:
            assert re.fullmatch(r"\d+(\.\d*[1-9])?", text), "no closing zeros"


def test_a_start_gives_the_first_rows_at_or_after_it_newest_first(simulator: Simulator) -> None:
    first = ms(at(2024, 3, 14))
    rows = kline(simulator, start=first, limit=4)
    assert times(rows) == [first + minute * 60_000 for minute in (3, 2, 1, 0)]


def test_a_start_within_a_candle_gives_that_candle(simulator: Simulator) -> None:
    first = ms(at(2024, 3, 14))
    assert times(kline(simulator, start=first + 1, limit=1)) == [first]


def test_an_end_is_inclusive_and_takes_the_newest_up_to_it(simulator: Simulator) -> None:
    end = ms(at(2024, 3, 14, 12))
    assert times(kline(simulator, end=end, limit=2)) == [end, end - 60_000]
    both = kline(simulator, start=end - 600_000, end=end, limit=2)
    assert times(both) == [end, end - 60_000]
    assert len(kline(simulator, start=end - 600_000, end=end)) == 11


def test_a_start_before_the_listing_skips_to_the_first_candle(simulator: Simulator) -> None:
    rows = kline(simulator, symbol="LINKUSDT", start=0, limit=2)
    assert times(rows) == [ms(LISTED) + 60_000, ms(LISTED)]


def test_a_start_in_the_future_is_an_empty_page(simulator: Simulator) -> None:
    assert kline(simulator, start=OPEN + 60_000) == []


@pytest.mark.parametrize(("asked", "given"), [("", 200), ("1", 1), ("1000", 1000), ("5000", 1000)])
def test_the_limit_is_200_unless_asked_and_1000_at_most(
    simulator: Simulator, asked: str, given: int
) -> None:
    query = {"limit": asked} if asked else {}
    assert len(kline(simulator, **query)) == given


def test_without_a_start_the_newest_rows_come_with_the_unfinished_one(simulator: Simulator) -> None:
    assert times(kline(simulator, limit=2)) == [OPEN, OPEN - 60_000]


def test_the_day_is_the_utc_day(simulator: Simulator) -> None:
    rows = kline(simulator, interval="D", limit=3)
    assert [time % DAY for time in times(rows)] == [0, 0, 0]


def test_a_quiet_minute_is_a_flat_candle(simulator: Simulator) -> None:
    rows = kline(simulator, symbol="LINKUSDT", limit=1000)
    quiet = [row for row in rows if row[5] == "0"]
    assert quiet
    assert all(len(set(row[1:5])) == 1 for row in quiet)
    assert times(rows) == list(range(OPEN, OPEN - 1000 * 60_000, -60_000))


def test_text_read_back_is_the_truth_to_the_last_bit(simulator: Simulator) -> None:
    for base in ("BTC", "LINK", "DOGE"):
        rows = kline(simulator, symbol=f"{base}USDT", limit=301)[1:]
        truth = simulator.candles(series_of("bybit", "1m", base), at(2024, 3, 15, 5), NOW)
        read = [[int(row[0]), *map(float, row[1:6])] for row in reversed(rows)]
        assert read == rows_of(truth)[-300:]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"symbol": "NOPEUSDT"}, "Not supported symbols"),
        ({"category": "linear"}, "Not supported symbols"),
        ({"interval": "7"}, "Invalid period!"),
        ({"limit": "many"}, "params error: start, end or limit is invalid"),
    ],
)
def test_a_wrong_question_gets_bybits_own_error(
    simulator: Simulator, query: dict[str, str], message: str
) -> None:
    asked = {"category": "spot", "symbol": "BTCUSDT", "interval": "1"} | query
    answer = simulator.answer("bybit", "v5/market/kline", asked)
    body = json.loads(answer.body)
    assert (answer.status, body["retCode"], body["retMsg"]) == (200, 10001, message)


def test_only_spot_instruments_exist(simulator: Simulator) -> None:
    def count(category: str) -> int:
        path = "v5/market/instruments-info"
        answer = simulator.answer("bybit", path, {"category": category})
        return len(json.loads(answer.body)["result"]["list"])

    found = {name: count(name) for name in ("spot", "linear", "inverse", "option")}
    assert found == {"spot": 3, "linear": 0, "inverse": 0, "option": 0}
