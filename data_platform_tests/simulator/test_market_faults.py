"""Changes to markets: on the wire of every dialect, in every timeframe, and in the truth."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.simulator.market_faults import MARKET_FAULTS
from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.simulator.raw_http import candles, get, rows_in, times
from data_platform_tests.simulator.simulated import (
    EXCHANGES,
    NOW,
    at,
    config,
    ms,
    pair_of,
    rows_of,
    series_of,
)

MINUTE = 60_000
NAMES = ("1m", "5m", "15m", "1h", "4h", "1d")
# How each exchange names the parameter and the six timeframes.
WIRE_NAMES = {
    "binance": ("interval", *NAMES),
    "bybit": ("interval", "1", "5", "15", "60", "240", "D"),
    "coinbase": (
        *("granularity", "ONE_MINUTE", "FIVE_MINUTE", "FIFTEEN_MINUTE"),
        *("ONE_HOUR", "FOUR_HOUR", "ONE_DAY"),
    ),
    "kraken": ("interval", "1", "5", "15", "60", "240", "1440"),
    "okx": ("bar", "1m", "5m", "15m", "1H", "4H", "1Dutc"),
}


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Simulator, Clock]]:
    clock = Clock()
    with run_simulator(config(clock=clock)) as simulator:
        yield simulator, clock


@pytest.fixture
def clock(shared: tuple[Simulator, Clock]) -> Clock:
    return shared[1]


@pytest.fixture
def simulator(shared: tuple[Simulator, Clock]) -> Iterator[Simulator]:
    shared[1].now = NOW
    yield shared[0]
    shared[0].faults.clear()


def newest(
    simulator: Simulator, exchange: str, timeframe: str = "1m", **query: object
) -> list[Any]:
    """Return the newest rows that one request gives, oldest first."""
    parameter, *names = WIRE_NAMES[exchange]
    asked: dict[str, object] = {parameter: names[NAMES.index(timeframe)], "limit": 300, **query}
    if exchange == "coinbase":
        length = to_timeframe(timeframe).seconds
        end = ms(simulator_now(simulator)) // 1000
        asked |= {"start": end - 300 * length, "end": end}
    answer = candles(simulator.url, exchange, **asked)
    assert answer.status == 200
    return rows_in(exchange, json.loads(answer.body))


def simulator_now(simulator: Simulator) -> datetime:
    body = json.loads(get(simulator.url, "binance/api/v3/time").body)
    return at(1970, 1, 1) + timedelta(milliseconds=body["serverTime"])


def test_every_fault_has_a_test_here() -> None:
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    assert [fault.name for fault in MARKET_FAULTS if f"test_{fault.name}_" not in tests] == []


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_gap_has_no_minute_on_any_wire(simulator: Simulator, exchange: str) -> None:
    start, end = at(2024, 3, 15, 8, 30), at(2024, 3, 15, 9, 15)
    before = times(exchange, newest(simulator, exchange))
    simulator.faults.add("gap", start="2024-03-15T08:30:00Z", end="2024-03-15T09:15:00Z")
    after = times(exchange, newest(simulator, exchange))
    inside = [time for time in before if ms(start) <= time < ms(end)]
    assert len(inside) >= 40
    assert [time for time in after if time >= before[0]] == [
        time for time in before if time not in inside
    ]


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_gap_leaves_coarse_candles_what_the_other_minutes_make_of_them(
    simulator: Simulator, exchange: str, timeframe: Timeframe
) -> None:
    start, end = at(2024, 3, 13, 22, 50), at(2024, 3, 14, 9, 7)
    minutes = simulator.candles(series_of(exchange, "1m"), at(2024, 3, 12), NOW)
    simulator.faults.add("gap", start=start, end=end)
    rest = minutes.filter(~pl.col("open_time").is_between(start, end, closed="left"))
    expected = [
        [
            ms(opened),
            group["open"][0],
            group["high"].max(),
            group["low"].min(),
            group["close"][-1],
        ]
        for (opened,), group in rest.group_by(
            pl.col("open_time").dt.truncate(timeframe.name), maintain_order=True
        )
        if opened + timeframe.duration <= NOW
    ]
    truth = simulator.candles(series_of(exchange, timeframe.name), at(2024, 3, 12), NOW)
    assert [row[:5] for row in rows_of(truth)] == expected
    assert truth.height < (NOW - at(2024, 3, 12)) // timeframe.duration or timeframe.name == "1d"


def test_gap_may_concern_one_pair_and_one_exchange_only(simulator: Simulator) -> None:
    during = {"start": at(2024, 3, 15, 9), "end": at(2024, 3, 15, 10)}
    simulator.faults.add("gap", exchange="binance", symbol="BTC/USDT", **during)

    def count(exchange: str, base: str) -> int:
        series = series_of(exchange, "1m", base)
        return simulator.candles(series, during["start"], during["end"]).height

    assert count("binance", "BTC") == 0
    assert count("binance", "LINK") == count("okx", "BTC") == 60


def test_gap_that_is_taken_back_is_filled_as_if_it_had_never_been(simulator: Simulator) -> None:
    before = newest(simulator, "binance", limit=1000)
    number = simulator.faults.add("gap", start=at(2024, 3, 15, 5), end=at(2024, 3, 15, 6))
    assert newest(simulator, "binance", limit=1000) != before
    simulator.faults.remove(number)
    assert newest(simulator, "binance", limit=1000) == before


def test_gap_around_now_leaves_no_open_candle(simulator: Simulator) -> None:
    simulator.faults.add("gap", start=NOW - timedelta(minutes=3), end=NOW + timedelta(hours=1))
    last = newest(simulator, "binance", limit=1)[0][0]
    assert last == ms(NOW - timedelta(minutes=4)) // MINUTE * MINUTE


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_correction_changes_every_timeframe_from_its_moment_on(
    simulator: Simulator, clock: Clock, exchange: str
) -> None:
    minute = at(2024, 3, 15, 7, 41)
    moment = NOW + timedelta(minutes=2)
    simulator.faults.add(
        "correction",
        exchange=exchange,
        symbol=pair_of(exchange).symbol,
        time=minute,
        factor=1.05,
        since=moment,
    )
    # The day is still open: its candle is read once it has closed.
    for name in ("1m", "5m", "15m", "1h", "4h"):
        length = to_timeframe(name)
        clock.now = moment - timedelta(milliseconds=1)
        before = {row[0]: row for row in newest(simulator, exchange, name)}
        clock.now = moment
        after = {row[0]: row for row in newest(simulator, exchange, name)}
        closed = [
            time
            for time in before
            if times(exchange, [[time]])[0] + length.ms <= ms(NOW) and time in after
        ]
        changed = [time for time in closed if before[time] != after[time]]
        assert times(exchange, [[time] for time in changed]) == [ms(length.floor(minute))], name


def test_correction_multiplies_prices_and_volume_and_days_follow(
    simulator: Simulator, clock: Clock
) -> None:
    clock.now = NOW + timedelta(days=1)
    series = series_of("binance", "1m")
    minute = at(2024, 3, 15, 7, 41)
    [before] = simulator.candles(series, minute, minute + timedelta(minutes=1)).rows()
    day = simulator.candles(series_of("binance", "1d"), at(2024, 3, 15), clock.now)
    simulator.faults.add("correction", symbol="BTC/USDT", time=minute, factor=1.05)
    [after] = simulator.candles(series, minute, minute + timedelta(minutes=1)).rows()
    for old, new in zip(before[1:], after[1:], strict=True):
        assert new == pytest.approx(old * 1.05, abs=0.011)
    changed = simulator.candles(series_of("binance", "1d"), at(2024, 3, 15), clock.now)
    grown = changed["volume"][0] - day["volume"][0]
    assert grown == pytest.approx(after[5] - before[5], rel=1e-6)
    [wire] = [
        row for row in newest(simulator, "binance", "1d", limit=3) if row[0] == ms(at(2024, 3, 15))
    ]
    assert float(wire[5]) == changed["volume"][0]


def test_correction_of_an_hour_is_that_of_its_minutes(simulator: Simulator) -> None:
    hour = at(2024, 3, 15, 7)
    series = series_of("okx", "1h")
    before = simulator.candles(series, hour, hour + timedelta(hours=2))
    simulator.faults.add("correction", symbol="BTC/USDT", time=hour, minutes=60, factor=0.9)
    after = simulator.candles(series, hour, hour + timedelta(hours=2))
    assert after["high"][0] == pytest.approx(before["high"][0] * 0.9, rel=1e-4)
    assert after[1].equals(before[1])


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("timeframe", ["1m", "15m"])
def test_late_candle_appears_its_seconds_after_the_close_and_not_before(
    simulator: Simulator, clock: Clock, exchange: str, timeframe: str
) -> None:
    simulator.faults.add("late_candle", seconds=30)
    length = to_timeframe(timeframe)
    close = at(2024, 3, 15, 10, 15)
    wanted = ms(close - length.duration)
    seen = []
    for seconds in (-1, 0, 29.9, 30, 45):
        clock.now = close + timedelta(seconds=seconds)
        found = times(exchange, newest(simulator, exchange, timeframe))
        seen.append(wanted in found)
        assert max(found) <= wanted
        truth = simulator.candles(series_of(exchange, timeframe), at(2024, 3, 15), clock.now)
        assert (truth["open_time"][-1] == close - length.duration) == (seconds >= 30)
    assert seen == [False, False, False, True, True]


def test_late_candle_at_one_time_leaves_a_hole_before_the_next_ones(
    simulator: Simulator, clock: Clock
) -> None:
    minute = at(2024, 3, 15, 10, 10)
    simulator.faults.add("late_candle", seconds=150, time=minute)
    seen = []
    for seconds in (59, 61, 209, 210):
        clock.now = minute + timedelta(seconds=seconds)
        found = times("binance", newest(simulator, "binance", limit=10))
        seen.append(ms(minute) in found)
        assert found[-1] == ms(clock.now) // MINUTE * MINUTE or seconds == 59
        fives = times("binance", newest(simulator, "binance", "5m", limit=3))
        # The five minutes that hold it close at 10:15 only: their candle is not there yet.
        assert ms(minute) not in fives
    assert seen == [False, False, False, True]
    clock.now = at(2024, 3, 15, 10, 17, 30)
    assert ms(minute) in times("binance", newest(simulator, "binance", "5m", limit=3))


UNKNOWN = {
    "binance": (400, '"code": -1121, "msg": "Invalid symbol."'),
    "bybit": (200, '"retCode": 10001, "retMsg": "Not supported symbols"'),
    "coinbase": (404, '"error": "NOT_FOUND"'),
    "kraken": (200, '{"error": ["EQuery:Unknown asset pair"]}'),
    "okx": (200, '"code": "51001"'),
}
MARKETS = {
    "binance": ("api/v3/exchangeInfo", {}, "BTCUSDT"),
    "bybit": ("v5/market/instruments-info", {"category": "spot"}, "BTCUSDT"),
    "coinbase": ("api/v3/brokerage/market/products", {}, "BTC-USD"),
    "kraken": ("0/public/AssetPairs", {}, "XXBTZUSD"),
    "okx": ("api/v5/public/instruments", {"instType": "SPOT"}, "BTC-USDT"),
}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_delisting_makes_the_pair_unknown_from_its_moment_on(
    simulator: Simulator, clock: Clock, exchange: str
) -> None:
    simulator.faults.add("delisting", exchange=exchange, symbol=pair_of(exchange).symbol, since=NOW)
    path, query, wire_name = MARKETS[exchange]
    seen = []
    for seconds in (-1, 0):
        clock.now = NOW + timedelta(seconds=seconds)
        asked = {"start": 0, "end": 60} if exchange == "coinbase" else {}
        answer = candles(simulator.url, exchange, **asked)
        listed = get(simulator.url, f"{exchange}/{path}", **query).body.decode()
        seen.append((answer.status, f'"{wire_name}"' in listed))
    assert seen == [(200, True), (UNKNOWN[exchange][0], False)]
    assert UNKNOWN[exchange][1] in answer.body.decode()
    truth = simulator.candles(series_of(exchange, "1h"), NOW - timedelta(hours=5), NOW)
    assert truth.height == 4, "what was traded before stays true"


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_rename_gives_the_same_candles_under_the_new_name_only(
    simulator: Simulator, exchange: str
) -> None:
    path, query, wire_name = MARKETS[exchange]
    quote = pair_of(exchange).quote
    new = wire_name.replace("XXBT", "NEW").replace("BTC", "NEW").replace("ZUSD", "USD")
    before = newest(simulator, exchange)
    simulator.faults.add(
        "rename",
        exchange=exchange,
        symbol=pair_of(exchange).symbol,
        to=f"NEW/{quote}",
        since=NOW,
    )
    listed = get(simulator.url, f"{exchange}/{path}", **query).body.decode()
    assert (f'"{wire_name}"' in listed, f'"{new}"' in listed) == (False, True)
    asked = {"start": 0, "end": 60} if exchange == "coinbase" else {}
    assert candles(simulator.url, exchange, **asked).status == UNKNOWN[exchange][0]
    if exchange != "coinbase":
        name = {"kraken": "pair", "okx": "instId"}.get(exchange, "symbol")
        assert newest(simulator, exchange, **{name: new}) == before
    for base in ("BTC", "NEW"):
        truth = simulator.candles(series_of(exchange, "1h", base), at(2024, 3, 15), NOW)
        assert truth.height == 10


def test_rename_can_be_followed_by_faults_under_the_new_name(simulator: Simulator) -> None:
    simulator.faults.add("rename", exchange="okx", symbol="BTC/USDT", to="NEW/USDT")
    simulator.faults.add("http_500", exchange="okx", symbol="NEW/USDT")
    assert candles(simulator.url, "okx", instId="NEW-USDT").status == 500
    assert candles(simulator.url, "okx", instId="LINK-USDT").status == 200


def test_changes_ordered_for_the_old_name_hold_under_the_new_one(simulator: Simulator) -> None:
    simulator.faults.add("rename", exchange="okx", symbol="BTC/USDT", to="NEW/USDT")
    gap = {"start": NOW - timedelta(minutes=9), "end": NOW - timedelta(minutes=4)}
    simulator.faults.add("gap", exchange="okx", symbol="BTC/USDT", **gap)
    found = times("okx", newest(simulator, "okx", instId="NEW-USDT"))
    missing = {time for time in range(found[0], found[-1], MINUTE) if time not in found}
    assert missing == {ms(NOW) // MINUTE * MINUTE - ago * MINUTE for ago in (5, 6, 7, 8, 9)}


def test_a_pair_that_is_not_traded_any_more_is_still_known_by_its_name(
    simulator: Simulator,
) -> None:
    simulator.faults.add("delisting", exchange="okx", symbol="BTC/USDT")
    simulator.faults.add("http_500", exchange="okx", symbol="BTC/USDT", first=1)
    assert [candles(simulator.url, "okx").status for _ in range(2)] == [500, 200]
    assert simulator.scorer.log(1)[0]["symbol"] == "BTC/USDT"
