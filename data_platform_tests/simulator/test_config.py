from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import empty_candles
from data_platform.domain.errors import WrongUseError
from data_platform.domain.exchanges import EXCHANGES
from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.config import (
    DIALECTS,
    SimulatedExchange,
    SimulatorConfig,
    build_limits,
    build_venues,
)
from data_platform_tests.simulator.simulated import NOW, ms

BITCOIN = Pair("BTC/USDT")


def configured(ccxt_id: str = "okx", replay: pl.DataFrame | None = None) -> SimulatorConfig:
    return SimulatorConfig(
        exchanges={"mine": SimulatedExchange(ccxt_id, (BITCOIN,))},
        clock=NOW,
        replay={} if replay is None else {("mine", Pair("ETH/USDT"), to_timeframe("1m")): replay},
    )


def test_every_exchange_of_the_platform_has_a_dialect() -> None:
    assert {dialect.name for dialect in DIALECTS} == {
        exchange.ccxt_id or exchange.name for exchange in EXCHANGES
    }


def test_our_name_is_free_and_the_dialect_follows_ccxts_id() -> None:
    venue = build_venues(configured())["mine"]
    assert venue.dialect.name == "okx"
    assert [market.wire_id for market in venue.markets] == ["BTC-USDT"]


def test_an_exchange_without_a_dialect_is_refused() -> None:
    with pytest.raises(WrongUseError, match="no wire format 'mtgox' here"):
        build_venues(configured("mtgox"))


def test_a_replay_of_a_pair_that_is_not_traded_is_refused() -> None:
    with pytest.raises(WrongUseError, match="replayed series mine/ETH-USDT/1m is not simulated"):
        build_venues(configured(replay=empty_candles()))


def test_the_clock_may_be_fixed_a_function_or_the_real_one() -> None:
    exchanges = configured().exchanges
    assert SimulatorConfig(exchanges, clock=NOW).now_ms() == ms(NOW)
    later = NOW + timedelta(hours=1)
    assert SimulatorConfig(exchanges, clock=lambda: later).now_ms() == ms(later)
    before = datetime.now(UTC)
    assert SimulatorConfig(exchanges).now_ms() >= ms(before) - 1


def test_limits_are_those_of_the_dialect_unless_given() -> None:
    limits = {"mine": {"history-candles": 5.0}}
    built = build_limits(SimulatorConfig(configured().exchanges, limits=limits))
    assert {window.name: window.amount for window in built["mine"].windows} == {
        "candles": 40,
        "history-candles": 5,
        "instruments": 20,
        "time": 10,
    }
    assert build_limits(configured()) == {}


def test_limits_of_an_exchange_that_is_not_simulated_are_refused() -> None:
    with pytest.raises(WrongUseError, match=r"limits of 'okx': not simulated. Simulated: mine"):
        build_limits(SimulatorConfig(configured().exchanges, limits={"okx": {}}))


def test_each_dialect_has_the_documented_limit() -> None:
    limits = {
        dialect.name: [(window.amount, window.seconds) for window in dialect.limit.windows]
        for dialect in DIALECTS
    }
    assert limits == {
        "binance": [(6000, 60)],
        "bybit": [(600, 5)],
        "coinbase": [(15, 1), (15, 1.5)],
        "kraken": [(15, 15)],
        "okx": [(40, 2), (20, 2), (20, 2), (10, 2)],
    }
