"""How an exchange has answered: its breaker, and sums and medians over the log of runs."""

from datetime import timedelta
from typing import Any

from data_platform.domain.breaker import BreakerState
from data_platform.operations.lake import Lake
from data_platform.operations.source_health import WINDOW, find_source_health
from data_platform.storage.run_log import Step
from data_platform_tests.factories import time

NOW = time("2024-03-10 12:00")


def note(lake: Lake, run: str, ended: str, seconds: float, **given: Any) -> None:  # noqa: ANN401
    end = time(ended)
    started = end - timedelta(seconds=seconds)
    exchange, kind = given.pop("exchange", "okx"), given.pop("kind", "tick")
    lake.runs.add(Step(run, exchange, kind, started, end, **given))


def test_runs_of_the_window_are_summed_and_their_medians_told(lake: Lake) -> None:
    note(lake, "a", "2024-03-10 11:00", 10, requests=5, candles=50, lag=timedelta(seconds=3))
    note(lake, "b", "2024-03-10 11:30", 20, requests=7, errors={"transient": 2, "garbage": 1})
    note(lake, "c", "2024-03-10 11:45", 60, requests=1, refused=4, lag=timedelta(seconds=9))
    note(lake, "d", "2024-03-03 11:59", 999, requests=1000, errors={"transient": 50})
    note(lake, "e", "2024-03-10 11:50", 1, requests=3, exchange="binance")
    [okx] = find_source_health(lake, ["okx"], NOW)
    assert (okx.runs, okx.requests, okx.candles, okx.refused) == (3, 13, 50, 4)
    assert okx.errors == {"transient": 2, "garbage": 1}
    assert (okx.lag, okx.took) == (timedelta(seconds=6), timedelta(seconds=20))
    assert okx.newest == time("2024-03-10 11:45")
    assert okx.state == "answers"
    assert timedelta(days=7) == WINDOW


def test_who_fetches_history_tells_nothing_of_latency(lake: Lake) -> None:
    fast, slow = timedelta(milliseconds=40), timedelta(milliseconds=90)
    note(lake, "a", "2024-03-10 11:00", 10, lag=timedelta(seconds=3), latency=fast)
    note(lake, "b", "2024-03-10 11:10", 10, lag=timedelta(days=300), kind="backfill", latency=slow)
    [okx] = find_source_health(lake, ["okx"], NOW)
    assert okx.lag == timedelta(seconds=3)
    assert okx.answers_in == (fast + slow) / 2


def test_an_exchange_without_runs_is_unknown_and_not_zero(lake: Lake) -> None:
    [okx] = find_source_health(lake, ["okx"], NOW)
    assert (okx.runs, okx.lag, okx.answers_in, okx.took, okx.newest) == (0, *[None] * 4)


def test_a_breaker_tells_whether_the_exchange_is_asked(lake: Lake) -> None:
    def state_of(breaker: BreakerState) -> tuple[str, str]:
        lake.breakers.change("okx", lambda _: breaker)
        [okx] = find_source_health(lake, ["okx"], NOW)
        return okx.state, okx.told

    since = NOW - timedelta(minutes=3)
    away = BreakerState("open", 3, since, NOW + timedelta(minutes=1), "HTTP 503")
    state, words = state_of(away)
    assert state == "left alone"
    assert words.endswith("until 2024-03-10 12:01:00 UTC: HTTP 503")
    assert state_of(BreakerState("open", 3, since, NOW, "HTTP 503"))[0] == "failing"
    assert state_of(BreakerState("closed", 1)) == ("failing", "")
    assert state_of(BreakerState()) == ("answers", "")
