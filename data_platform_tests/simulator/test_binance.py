import json
import re
from datetime import timedelta
from typing import Any

import pytest

from data_platform.simulator.server import Simulator
from data_platform_tests.simulator.simulated import LISTED, NOW, at, config, ms, rows_of, series_of

OPEN = ms(NOW) // 60_000 * 60_000


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(config())


def klines(simulator: Simulator, **query: object) -> list[list[Any]]:
    asked = {"symbol": "BTCUSDT", "interval": "1m"} | {k: str(v) for k, v in query.items()}
    answer = simulator.answer("binance", "api/v3/klines", asked)
    assert answer.status == 200
    return json.loads(answer.body)  # type: ignore[no-any-return]


def test_a_row_is_printed_as_binance_prints_it(simulator: Simulator) -> None:
    row = klines(simulator, startTime=ms(at(2024, 3, 14)), limit=1)[0]
    assert len(row) == 12
    assert row[0] == 1_710_374_400_000
    assert row[6] == 1_710_374_459_999
    assert isinstance(row[8], int)
    for text in (*row[1:6], row[7], row[9], row[10]):
        assert re.fullmatch(r"\d+\.\d{8}", text)
    assert row[11] == "0"


def test_rows_come_old_first_from_the_first_at_or_after_the_start(simulator: Simulator) -> None:
    start = at(2024, 3, 14, 23, 58)
    rows = klines(simulator, startTime=ms(start) - 59_999, limit=5)
    assert [row[0] for row in rows] == [ms(start) + minute * 60_000 for minute in range(5)]


@pytest.mark.parametrize(("asked", "given"), [("", 500), ("1", 1), ("1000", 1000), ("5000", 1000)])
def test_the_limit_is_500_unless_asked_and_1000_at_most(
    simulator: Simulator, asked: str, given: int
) -> None:
    query = {"limit": asked} if asked else {}
    assert len(klines(simulator, startTime=ms(at(2024, 3, 1)), **query)) == given


def test_without_a_start_the_newest_rows_come_and_the_last_is_unfinished(
    simulator: Simulator,
) -> None:
    rows = klines(simulator, limit=3)
    assert [row[0] for row in rows] == [OPEN - 120_000, OPEN - 60_000, OPEN]


def test_an_end_is_inclusive_and_takes_the_newest_up_to_it(simulator: Simulator) -> None:
    end = ms(at(2024, 3, 14, 12))
    assert [row[0] for row in klines(simulator, endTime=end, limit=2)] == [end - 60_000, end]
    both = klines(simulator, startTime=end - 180_000, endTime=end, limit=3)
    assert [row[0] for row in both] == [end - 180_000, end - 120_000, end - 60_000]


def test_a_start_before_the_listing_skips_to_the_first_candle(simulator: Simulator) -> None:
    rows = klines(simulator, symbol="LINKUSDT", startTime=0, limit=2)
    assert [row[0] for row in rows] == [ms(LISTED), ms(LISTED) + 60_000]
    days = klines(simulator, symbol="LINKUSDT", interval="1d", startTime=0)
    assert days[0][0] == ms(at(2024, 3, 11)), "the day of the listing has a candle"
    assert len(days) == 5


def test_a_start_in_the_future_is_an_empty_page(simulator: Simulator) -> None:
    assert klines(simulator, startTime=OPEN + 60_000) == []


def test_a_quiet_minute_is_a_flat_candle_without_volume(simulator: Simulator) -> None:
    rows = klines(simulator, symbol="LINKUSDT", startTime=ms(LISTED), limit=1000)
    quiet = [index for index, row in enumerate(rows) if row[8] == 0]
    assert quiet
    assert [row[0] for row in rows] == [ms(LISTED) + minute * 60_000 for minute in range(1000)]
    for index in quiet:
        close = rows[index - 1][4] if index else rows[index][4]
        assert rows[index][1:6] == [close, close, close, close, "0.00000000"]


def test_the_unfinished_candle_grows_and_the_closed_one_stays() -> None:
    minute = at(2024, 3, 14, 8, 30)
    seen = []
    for second in (1, 20, 40, 59.9, 60, 90):
        clock = minute + timedelta(seconds=second)
        rows = klines(Simulator(config(clock)), startTime=ms(minute), limit=1)
        seen.append(rows[0])
    volumes = [float(row[5]) for row in seen]
    assert volumes == sorted(volumes)
    assert volumes[0] < volumes[1] < volumes[2] < volumes[3] < volumes[4]
    assert seen[4] == seen[5], "a closed candle never changes"
    assert len({row[1] for row in seen}) == 1


def test_text_read_back_is_the_truth_to_the_last_bit(simulator: Simulator) -> None:
    start = at(2024, 3, 14)
    for base in ("BTC", "LINK", "DOGE"):
        rows = klines(simulator, symbol=f"{base}USDT", startTime=ms(start), limit=1000)
        truth = simulator.candles(
            series_of("binance", "1m", base), start, start + timedelta(minutes=1000)
        )
        assert [[row[0], *map(float, row[1:6])] for row in rows] == rows_of(truth)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"interval": "7m"}, -1120),
        ({"limit": "many"}, -1100),
        ({"startTime": "1e9"}, -1100),
    ],
)
def test_a_wrong_question_gets_binances_own_error(
    simulator: Simulator, query: dict[str, str], code: int
) -> None:
    asked = {"symbol": "BTCUSDT", "interval": "1m"} | query
    answer = simulator.answer("binance", "api/v3/klines", asked)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == code


def test_the_futures_hosts_have_no_markets(simulator: Simulator) -> None:
    for path in ("fapi/v1/exchangeInfo", "dapi/v1/exchangeInfo"):
        assert json.loads(simulator.answer("binance", path, {}).body)["symbols"] == []
    spot = json.loads(simulator.answer("binance", "api/v3/exchangeInfo", {}).body)
    assert [symbol["symbol"] for symbol in spot["symbols"]] == ["BTCUSDT", "LINKUSDT", "DOGEUSDT"]
