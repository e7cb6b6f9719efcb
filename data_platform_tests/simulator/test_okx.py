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


def candles(
    simulator: Simulator, endpoint: str = "history-candles", **query: object
) -> list[list[str]]:
    asked = {"instId": "BTC-USDT", "bar": "1m"} | {k: str(v) for k, v in query.items()}
    answer = simulator.answer("okx", f"api/v5/market/{endpoint}", asked)
    body = json.loads(answer.body)
    assert (answer.status, body["code"], body["msg"]) == (200, "0", "")
    return body["data"]  # type: ignore[no-any-return]


def test_a_row_is_printed_as_okx_prints_it(simulator: Simulator) -> None:
    for row in candles(simulator, limit=300):
        assert len(row) == 9
        assert re.fullmatch(r"\d{13}", row[0])
        for text in row[1:8]:
            assert re.fullmatch(r"\d+(\.\d*[1-9])?", text), "no closing zeros"
        assert row[8] == "1"


def test_rows_come_newest_first_between_two_exclusive_ends(simulator: Simulator) -> None:
    first = ms(at(2024, 3, 14))
    rows = candles(simulator, before=first, after=first + 300_000)
    assert [int(row[0]) for row in rows] == [first + n * 60_000 for n in (4, 3, 2, 1)]


def test_a_window_with_more_rows_than_the_limit_keeps_the_newest(simulator: Simulator) -> None:
    first = ms(at(2024, 3, 14))
    rows = candles(simulator, before=first - 1, after=first + DAY, limit=2)
    assert [int(row[0]) for row in rows] == [first + DAY - 60_000, first + DAY - 120_000]


@pytest.mark.parametrize(("asked", "given"), [("", 100), ("300", 300), ("1000", 300)])
def test_the_limit_is_100_unless_asked_and_300_at_most(
    simulator: Simulator, asked: str, given: int
) -> None:
    query = {"limit": asked} if asked else {}
    assert len(candles(simulator, **query)) == given


def test_recent_candles_hold_the_unfinished_one_and_history_does_not(simulator: Simulator) -> None:
    recent = candles(simulator, "candles", limit=2)
    assert [(int(row[0]), row[8]) for row in recent] == [(OPEN, "0"), (OPEN - 60_000, "1")]
    past = candles(simulator, limit=1)
    assert [(int(row[0]), row[8]) for row in past] == [(OPEN - 60_000, "1")]


def test_recent_candles_reach_back_1440_rows_only(simulator: Simulator) -> None:
    oldest = OPEN - 1439 * 60_000
    rows = candles(simulator, "candles", before=oldest - 600_000, after=oldest + 60_000)
    assert [int(row[0]) for row in rows] == [oldest]
    assert candles(simulator, "candles", after=oldest) == []
    assert len(candles(simulator, after=oldest)) == 100


def test_before_the_listing_the_page_is_empty(simulator: Simulator) -> None:
    listed = ms(LISTED)
    assert candles(simulator, instId="LINK-USDT", after=listed) == []
    rows = candles(simulator, instId="LINK-USDT", after=listed + 120_000)
    assert [int(row[0]) for row in rows] == [listed + 60_000, listed]


def test_the_utc_day_has_its_own_name(simulator: Simulator) -> None:
    rows = candles(simulator, bar="1Dutc", limit=3)
    assert [int(row[0]) % DAY for row in rows] == [0, 0, 0]
    answer = simulator.answer("okx", "api/v5/market/candles", {"instId": "BTC-USDT", "bar": "1D"})
    assert json.loads(answer.body)["code"] == "51000"


def test_a_quiet_minute_is_a_flat_candle(simulator: Simulator) -> None:
    rows = candles(simulator, instId="LINK-USDT", limit=300)
    quiet = [row for row in rows if row[5] == "0"]
    assert quiet
    assert all(len(set(row[1:5])) == 1 for row in quiet)
    times = [int(row[0]) for row in rows]
    assert times == list(range(OPEN - 60_000, OPEN - 301 * 60_000, -60_000))


def test_text_read_back_is_the_truth_to_the_last_bit(simulator: Simulator) -> None:
    for base in ("BTC", "LINK", "DOGE"):
        rows = candles(simulator, instId=f"{base}-USDT", limit=300)
        truth = simulator.candles(series_of("okx", "1m", base), at(2024, 3, 15, 5), NOW)
        read = [[int(row[0]), *map(float, row[1:6])] for row in reversed(rows)]
        assert read == rows_of(truth)[-300:]


def test_an_unknown_instrument_gets_okxs_own_error(simulator: Simulator) -> None:
    answer = simulator.answer("okx", "api/v5/market/candles", {"instId": "NOPE-USDT"})
    assert answer.status == 200
    assert json.loads(answer.body)["code"] == "51001"


def test_only_spot_instruments_exist(simulator: Simulator) -> None:
    counts = {
        kind: len(
            json.loads(
                simulator.answer("okx", "api/v5/public/instruments", {"instType": kind}).body
            )["data"]
        )
        for kind in ("SPOT", "SWAP", "FUTURES", "OPTION")
    }
    assert counts == {"SPOT": 3, "SWAP": 0, "FUTURES": 0, "OPTION": 0}
