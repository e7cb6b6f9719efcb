"""Each alarm rings from its limit on, not before, and says what, where and what to do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from data_platform.domain.alerts import Alarm, AlarmLimits
from data_platform.domain.breaker import BreakerState
from data_platform.domain.markets import Series
from data_platform.operations.alarm_facts import Answers, Facts, RecentGap, RunTime, SeriesScore
from data_platform.operations.alarms import find_alarms
from data_platform.operations.due import SeriesStatus
from data_platform_tests.factories import series_of, time

NOW = time("2024-03-15 12:00")
MINUTE = timedelta(minutes=1)
FACTS = Facts("binance", NOW)
LIMITS = AlarmLimits()
BTC, ETH = series_of(timeframe="1m"), series_of(pair="ETH/USDT", timeframe="1m")


def alarms(facts: Facts) -> list[Alarm]:
    return find_alarms(facts, LIMITS)


def status(series: Series, late: timedelta) -> SeriesStatus:
    last = NOW - late
    return SeriesStatus(series, last, last, 1, last, late, MINUTE)


def test_nothing_known_rings_nothing() -> None:
    assert alarms(FACTS) == []


def test_feed_of_one_market_is_offline_when_its_finest_series_is_late() -> None:
    hourly = replace(BTC, timeframe=series_of(timeframe="1h").timeframe)
    rows = [status(hourly, 7 * MINUTE), status(BTC, 1 * MINUTE), status(ETH, 0 * MINUTE)]
    assert alarms(replace(FACTS, statuses=rows)) == []
    rows[1] = status(BTC, 7 * MINUTE)
    [alarm] = alarms(replace(FACTS, statuses=rows))
    assert (alarm.type, alarm.severity, alarm.market, alarm.escalate) == (
        "feed_offline",
        "critical",
        "binance/BTC-USDT",
        True,
    )
    assert "binance/BTC-USDT/1m is 0:07:00 late (allowed 0:01:00)" in alarm.message
    assert "its newest candle is 2024-03-15 11:53 UTC" in alarm.message


def test_feed_of_the_exchange_is_one_alarm() -> None:
    rows = [status(BTC, 7 * MINUTE), status(ETH, 3 * MINUTE)]
    [alarm] = alarms(replace(FACTS, statuses=rows))
    assert (alarm.subject, alarm.market) == ("binance", None)
    assert "no new candles of any market: binance/BTC-USDT/1m is 0:07:00 late" in alarm.message


def test_series_that_was_never_stored_is_no_feed() -> None:
    never = replace(status(BTC, 7 * MINUTE), first=None, last=None)
    assert alarms(replace(FACTS, statuses=[never])) == []


@pytest.mark.parametrize(("seconds", "rings"), [(300, False), (301, True)])
def test_source_is_away_after_five_minutes(seconds: int, rings: bool) -> None:
    breaker = BreakerState("open", 3, NOW - timedelta(seconds=seconds), NOW, "HTTP 503")
    found = alarms(replace(FACTS, breaker=breaker))
    assert [it.type for it in found] == ["source_away"] * rings
    assert all("HTTP 503" in it.message for it in found)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.85, []),
        (0.849, [("high", False)]),
        (0.80, [("high", False)]),
        (0.799, [("high", True)]),
        (0.70, [("high", True)]),
        (0.699, [("critical", True)]),
    ],
)
def test_scores_ring_by_the_ladder(score: float, expected: list[tuple[str, bool]]) -> None:
    facts = replace(FACTS, scores=[SeriesScore(BTC, score, "completeness 0.5")])
    found = alarms(facts)
    assert [(it.severity, it.escalate) for it in found] == expected
    assert all(f"{score:.3f}" in it.message and "completeness 0.5" in it.message for it in found)


def test_gaps_of_a_series_are_one_alarm_that_names_the_first() -> None:
    first = RecentGap(BTC, time("2024-03-15 08:00"), time("2024-03-15 08:06"), 6, 5, 2)
    second = RecentGap(BTC, time("2024-03-15 09:00"), time("2024-03-15 09:30"), 30, 5, 3)
    other = replace(first, series=ETH)
    found = alarms(replace(FACTS, gaps=[second, other, first]))
    assert [it.subject for it in found] == ["binance/BTC-USDT/1m", "binance/ETH-USDT/1m"]
    assert "6 candles are missing from 2024-03-15 08:00 to 2024-03-15 08:06 UTC" in found[0].message
    assert "(allowed in a row: 5) and 1 more gaps; 36 in all" in found[0].message
    assert "download --exchange binance --start 2024-03-15" in found[0].message
    assert found[0].action_taken.startswith("asked for 3 times")


def runs(*seconds: float, kind: str = "tick", is_running: bool = False) -> list[RunTime]:
    start = NOW - timedelta(hours=1)
    return [
        RunTime(
            "binance",
            kind,
            f"run-{number}",
            start + number * MINUTE,
            each,
            is_running=is_running and number == len(seconds) - 1,
        )
        for number, each in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("seconds", "rings"),
    [
        ((40, 40, 40, 40, 40, 81), True),
        ((40, 40, 40, 40, 40, 80), False),
        # Too few to know what is usual; short ones never matter.
        ((40, 40, 40, 40, 81), False),
        ((4, 4, 4, 4, 4, 59), False),
        # The next normal one ends it.
        ((40, 40, 40, 40, 40, 200, 40), False),
    ],
)
def test_run_is_slow_beyond_twice_its_usual_time(seconds: tuple[float, ...], rings: bool) -> None:
    found = alarms(replace(FACTS, runs=runs(*seconds)))
    assert [it.type for it in found] == ["run_slow"] * rings


def test_run_at_work_is_slow_before_it_ends_and_each_kind_is_its_own() -> None:
    facts = replace(
        FACTS,
        runs=[
            *runs(*[40] * 5, 100, is_running=True),
            *runs(*[4000] * 6, kind="backfill"),
        ],
    )
    [alarm] = alarms(facts)
    assert alarm.subject == "binance tick"
    assert "run run-5 (tick) has run for 0:01:40, usually it is 0:00:40" in alarm.message


@pytest.mark.parametrize(
    ("requests", "failed", "rings"), [(100, 21, True), (100, 20, False), (19, 19, False)]
)
def test_errors_ring_by_their_share(requests: int, failed: int, rings: bool) -> None:
    found = alarms(replace(FACTS, answers=Answers(requests, failed)))
    assert [it.type for it in found] == ["error_rate"] * rings


@pytest.mark.parametrize(
    ("latency", "usual", "rings"), [(151, 50, True), (150, 40, False), (300, 100, False)]
)
def test_answers_ring_when_slower_than_usual(latency: int, usual: int, rings: bool) -> None:
    ms = timedelta(milliseconds=1)
    found = alarms(replace(FACTS, answers=Answers(0, 0, latency * ms, usual * ms)))
    assert [(it.type, it.severity) for it in found] == [("latency", "medium")] * rings
