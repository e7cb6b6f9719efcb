from datetime import timedelta

import pytest

from data_platform.domain.breaker import BreakerState
from data_platform.domain.state_files import SourceState, SourceStatus
from data_platform.operations.data_status import (
    Quality,
    SeriesFacts,
    mean_of,
    must_halt,
    to_data_status,
    to_source,
)
from data_platform.operations.delisted import Delisting
from data_platform.operations.due import SeriesStatus
from data_platform_tests.factories import series_of, time

NOW = time("2024-06-12 10:37")
LAST = time("2024-06-12 09:00")


def facts(
    late: int = 0,
    *,
    score: float | None = None,
    gaps: int = 0,
    known: bool = True,
    ended: bool = False,
    timeframe: str = "1h",
    exchange: str = "a",
    pair: str = "BTC/USDT",
) -> SeriesFacts:
    status = SeriesStatus(
        series=series_of(exchange=exchange, timeframe=timeframe, pair=pair),
        first=LAST,
        last=LAST,
        candles=1,
        answered_until=LAST if known else None,
        late=timedelta(minutes=late),
        limit=timedelta(minutes=60),
        delisting=Delisting(LAST, None) if ended else None,
    )
    return SeriesFacts(status, LAST, 10, gaps, Quality(score))


def source(status: SourceState) -> SourceStatus:
    return SourceStatus(status=status, last_response=None, latency_ms=None)


UP = source("up")


@pytest.mark.parametrize(
    ("of", "halt"),
    [
        (facts(), False),
        (facts(60), False),
        (facts(61), True),
        (facts(61, ended=True), False),
        (facts(known=False), True),
        (facts(known=False, ended=True), False),
        (facts(score=0.7), False),
        (facts(score=0.699), True),
        (facts(gaps=99), False),
    ],
)
def test_trading_halts_by_the_stated_rule(of: SeriesFacts, halt: bool) -> None:
    assert must_halt([UP], [facts(), of]) is halt


@pytest.mark.parametrize(
    ("status", "halt"),
    [("up", False), ("failing", False), ("unknown", False), ("down", True), ("trying", True)],
)
def test_trading_halts_where_an_exchange_is_cut_off(status: SourceState, halt: bool) -> None:
    assert must_halt([UP, source(status)], [facts()]) is halt


@pytest.mark.parametrize(
    ("of", "sources", "health"),
    [
        (facts(), {"a": UP}, "healthy"),
        (facts(score=0.85), {"a": UP}, "healthy"),
        (facts(score=0.849), {"a": UP}, "degraded"),
        (facts(gaps=1), {"a": UP}, "degraded"),
        (facts(), {"a": UP, "b": source("failing")}, "degraded"),
        (facts(), {"a": UP, "b": source("unknown")}, "degraded"),
        (facts(), {"a": UP, "b": source("down")}, "critical"),
        (facts(99), {"a": UP}, "critical"),
    ],
)
def test_health_has_three_levels(
    of: SeriesFacts, sources: dict[str, SourceStatus], health: str
) -> None:
    assert to_data_status(sources, [of], NOW).overall_health == health


def test_a_series_that_was_never_asked_for_is_null() -> None:
    status = to_data_status({"a": UP}, [facts(known=False), facts(timeframe="4h")], NOW)
    states = status.markets["a/BTC-USDT"].timeframes
    assert (states["1h"].bars_today, states["1h"].gaps_today) == (None, None)
    assert (states["4h"].bars_today, states["4h"].gaps_today) == (10, 0)


@pytest.mark.parametrize(
    ("sick", "sources", "halted"),
    [
        (facts(timeframe="4h"), {"a": UP, "b": UP}, set()),
        (facts(61, timeframe="4h"), {"a": UP, "b": UP}, {"a/BTC-USDT"}),
        (facts(score=0.69, timeframe="4h"), {"a": UP, "b": UP}, {"a/BTC-USDT"}),
        (facts(known=False, timeframe="4h"), {"a": UP, "b": UP}, {"a/BTC-USDT"}),
        (facts(timeframe="4h"), {"a": source("down"), "b": UP}, {"a/BTC-USDT", "a/ETH-USDT"}),
        (facts(timeframe="4h"), {"a": UP, "b": source("trying")}, {"b/BTC-USDT"}),
    ],
)
def test_a_market_halts_by_its_own_series_and_its_own_exchange(
    sick: SeriesFacts, sources: dict[str, SourceStatus], halted: set[str]
) -> None:
    others = [facts(), facts(pair="ETH/USDT"), facts(exchange="b")]
    status = to_data_status(sources, [*others, sick], NOW)
    assert {name for name, it in status.markets.items() if it.halt_trading} == halted
    assert status.halt_trading is bool(halted)


@pytest.mark.parametrize(
    ("state", "known", "word"),
    [
        (BreakerState(), True, "up"),
        (BreakerState(), False, "unknown"),
        (BreakerState(failures=2), False, "failing"),
        (BreakerState("open", 3), True, "down"),
        (BreakerState("half_open", 3), True, "trying"),
    ],
)
def test_a_source_is_told_by_its_breaker(state: BreakerState, known: bool, word: str) -> None:
    assert to_source(state, is_known=known) == word


def test_the_mean_of_nothing_is_not_known() -> None:
    assert mean_of([None, None]) is None
    assert mean_of([None, 0.5, 1.0]) == 0.75
