"""A pair that its exchange does not trade any more, or under another name, on the whole line."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from data_platform.cli.status import read_status
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.server import Simulator
from data_platform_tests.factories import gaps_in, punch
from data_platform_tests.small_line import BTC, ETH, NOW, SOL, SmallLine, series
from data_platform_tests.ticks import only_request, run, tick

HOUR = timedelta(hours=1)
ENDED = datetime(2024, 3, 2, 12, tzinfo=UTC)
"""The first hour without a candle: it has not closed at NOW."""


def end(simulator: Simulator, kind: str) -> None:
    how = {"to": "SOLX/USDT"} if kind == "rename" else {}
    simulator.faults.add(kind, exchange="binance", symbol="SOL/USDT", since=NOW, **how)


def after(line: SmallLine, pair_series: Series | None = None) -> list[tuple[str, str, str]]:
    with line.lake() as lake:
        gaps = gaps_in(lake, pair_series or series(SOL, "1h"))
    return [(start, stop, status) for start, stop, status, _ in gaps]


def alerts(line: SmallLine) -> list[str]:
    [newest] = line.instance.get_runs(limit=1)
    warnings = [it for it in line.instance.all_logs(newest.run_id) if it.level == logging.WARNING]
    return [it.user_message for it in warnings if "does not trade" in it.user_message]


@pytest.mark.parametrize("kind", ["delisting", "rename"])
def test_pair_that_ended_ends_its_series_and_fails_nothing(
    stored_line: SmallLine, kind: str
) -> None:
    end(stored_line.simulator, kind)
    stored_line.clock[0] = NOW + HOUR
    found = tick(stored_line)
    assert run(stored_line, only_request(found)).success
    assert after(stored_line) == [("2024-03-02 12:00", "2024-03-02 13:00", "after_delisting")]
    with stored_line.lake() as lake:
        newest = lake.store.newest("binance")
    assert newest[SOL.key, "1h"] == ENDED - HOUR
    for other in (BTC, ETH):
        assert newest[other.key, "1h"] == ENDED
    (line,) = alerts(stored_line)
    assert "binance/SOL-USDT/1h: binance does not trade SOL/USDT any more" in line
    assert "its newest candle is of 2024-03-02 11:00 UTC" in line
    assert "Remove the pair from `pairs` in the config; if it was renamed, add its new name" in line
    if kind == "rename":
        assert "SOLX/USDT" in line


@pytest.mark.slow
def test_it_is_asked_for_again_ever_more_rarely_and_no_run_is_made_for_it_alone(
    stored_line: SmallLine,
) -> None:
    end(stored_line.simulator, "delisting")
    cursor, tried = None, []
    looks = (1, 2, 3, 7, 8, 9, 20, 31, 32, 33)
    for hours in looks:
        stored_line.clock[0] = NOW + hours * (HOUR + timedelta(seconds=1))
        before = stored_line.simulator.candle_requests["binance"]
        found = tick(stored_line, cursor)
        cursor = found.cursor
        for request in found.run_requests or []:
            assert run(stored_line, request).success
        with stored_line.lake() as lake:
            (gap,) = lake.ledger.gaps(series(SOL, "1h"), ENDED, ENDED + 99 * HOUR)
        tried.append(gap.tries)
        # One page for each of the two others and their timeframes; the pair itself costs none.
        assert stored_line.simulator.candle_requests["binance"] - before <= 4
    # After an hour, six hours, a day.
    assert [looks[tried.index(number)] for number in (1, 2, 3, 4)] == [1, 2, 8, 32]
    assert after(stored_line) == [("2024-03-02 12:00", "2024-03-03 20:00", "after_delisting")]


def test_freshness_is_not_red_for_ever_and_the_others_stay_judged(stored_line: SmallLine) -> None:
    end(stored_line.simulator, "delisting")
    stored_line.clock[0] = NOW + HOUR
    first = tick(stored_line)
    assert run(stored_line, only_request(first)).success
    stored_line.clock[0] = NOW + 30 * 24 * HOUR
    statuses = {
        (it.status.series.pair, it.status.series.timeframe.name): it
        for it in read_status(stored_line.settings, stored_line.clock[0])
    }
    gone = statuses[SOL, "1h"]
    assert gone.state == "delisted"
    assert gone.status.delisting is not None
    assert gone.status.delisting.since == ENDED
    assert gone.status.late == timedelta(0)
    assert statuses[BTC, "1h"].state == "stale"


def test_night_asks_for_nothing_behind_the_end(stored_line: SmallLine) -> None:
    from data_platform.operations.backlog import find_backlog

    end(stored_line.simulator, "delisting")
    stored_line.clock[0] = NOW + HOUR
    assert stored_line.materialize().success
    with stored_line.lake() as lake:
        scope = stored_line.settings.scope_of(stored_line.settings.exchanges["binance"])
        later = NOW + 3 * HOUR
        assert {pair for pair, _ in find_backlog(lake, scope, later)} == {BTC, ETH}


@pytest.mark.slow
def test_pair_that_comes_back_goes_on_and_what_it_missed_has_its_reason(
    stored_line: SmallLine,
) -> None:
    back = NOW + 5 * HOUR
    stored_line.simulator.faults.add(
        "delisting", exchange="binance", symbol="SOL/USDT", since=NOW, until=back
    )
    stored_line.simulator.faults.add(
        "gap", exchange="binance", symbol="SOL/USDT", start=ENDED, end=ENDED + 5 * HOUR
    )
    cursor = None
    for hours in range(1, 12):
        stored_line.clock[0] = NOW + hours * HOUR
        found = tick(stored_line, cursor)
        cursor = found.cursor
        for request in found.run_requests or []:
            assert run(stored_line, request).success
    with stored_line.lake() as lake:
        assert lake.store.newest("binance")[SOL.key, "1h"] == ENDED + 10 * HOUR
    assert after(stored_line) == [("2024-03-02 12:00", "2024-03-02 17:00", "outage")]


def test_old_hole_of_a_pair_that_ended_is_out_of_reach(stored_line: SmallLine) -> None:
    hour = Series("binance", SOL, to_timeframe("1h"))
    hole = datetime(2024, 2, 9, 5, tzinfo=UTC)
    with stored_line.lake() as lake:
        punch(lake, hour, hole, hole + 3 * HOUR)
    end(stored_line.simulator, "delisting")
    stored_line.clock[0] = NOW + HOUR
    assert stored_line.materialize((SOL,), ("ohlcv",), ("1h",)).success
    assert after(stored_line) == [
        ("2024-02-09 05:00", "2024-02-09 08:00", "unavailable"),
        ("2024-03-02 12:00", "2024-03-02 13:00", "after_delisting"),
    ]
    asked = stored_line.simulator.candle_requests
    assert stored_line.materialize((SOL,), ("ohlcv",), ("1h",)).success
    assert stored_line.simulator.candle_requests == asked
