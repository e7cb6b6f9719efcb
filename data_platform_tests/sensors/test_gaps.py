"""Healing by the gap sensor, through Dagster, against the simulated exchange over HTTP."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest
from dagster import DagsterRunStatus

from data_platform.domain.breaker import BreakerState
from data_platform.domain.markets import Pair
from data_platform_tests.factories import punch, stored, time
from data_platform_tests.small_line import (
    BTC,
    ETH,
    NOW,
    SOL,
    SmallLine,
    series,
    waiting_run,
)
from data_platform_tests.ticks import only_request, run, tick

SENSOR = "binance_gap_sensor"
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
START = datetime(2024, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
IDLE = dg.SkipReason("no gap between stored candles is due")

HOLES = [
    # Single candles, edges of months, a month's border, several of one day, some in a row.
    (BTC, "1h", "2024-02-01 00:00", 1),
    (BTC, "1h", "2024-02-03 07:00", 1),
    (BTC, "1h", "2024-02-03 09:00", 1),
    (BTC, "1h", "2024-02-14 22:00", 5),
    (BTC, "1h", "2024-02-29 20:00", 4),
    (BTC, "1h", "2024-03-02 02:00", 1),
    (BTC, "1d", "2024-02-11 00:00", 1),
    (BTC, "1d", "2024-02-29 00:00", 1),
    (ETH, "1h", "2024-02-05 03:00", 2),
    (ETH, "1h", "2024-02-06 03:00", 2),
    (ETH, "1h", "2024-02-07 03:00", 2),
    (ETH, "1h", "2024-02-20 00:00", 24),
    (ETH, "1h", "2024-03-01 00:00", 3),
    (ETH, "1d", "2024-02-02 00:00", 3),
    (ETH, "1d", "2024-02-20 00:00", 1),
    (SOL, "1h", "2024-02-10 10:00", 60),
    (SOL, "1h", "2024-02-13 10:00", 1),
    (SOL, "1h", "2024-02-29 23:00", 1),
    (SOL, "1d", "2024-02-15 00:00", 2),
    (SOL, "1h", "2024-03-01 12:00", 6),
]


def hole(line: SmallLine, pair: Pair, timeframe: str, start: str, candles: int) -> None:
    """Take candles out of the lake so that nobody knows of it."""
    one, first = series(pair, timeframe), time(start)
    with line.lake() as lake:
        assert punch(lake, one, first, first + candles * one.timeframe.duration) == candles


def look(line: SmallLine) -> list[dg.RunRequest]:
    return list(tick(line, None, SENSOR).run_requests or [])


def heal(line: SmallLine) -> list[dg.RunRequest]:
    """Run what one look asks for."""
    requests = look(line)
    job = line.definitions.resolve_job_def("fetch_binance_candles_job")
    for request in requests:
        result = job.execute_in_process(
            instance=line.instance,
            tags=dict(request.tags),
            asset_selection=request.asset_selection,
            raise_on_error=False,
        )
        assert result.success
    return requests


def asked(line: SmallLine) -> int:
    return line.simulator.candle_requests["binance"]


def truth(line: SmallLine, pair: Pair, timeframe: str) -> pl.DataFrame:
    return line.simulator.candles(series(pair, timeframe), START, NOW)


def is_whole(line: SmallLine, pair: Pair, timeframe: str) -> bool:
    with line.lake() as lake:
        return stored(lake, series(pair, timeframe)).equals(truth(line, pair, timeframe))


def tables(request: dg.RunRequest) -> set[str]:
    return {key.path[-1] for key in request.asset_selection or []}


def test_settled_lake_is_asked_for_nothing(stored_line: SmallLine) -> None:
    found = tick(stored_line, None, SENSOR)
    assert not found.run_requests
    assert found.skip_reason == IDLE
    assert asked(stored_line) == 0


def test_twenty_holes_are_refilled_bit_exactly_by_one_request_each(stored_line: SmallLine) -> None:
    assert len(HOLES) == 20
    for pair, timeframe, start, candles in HOLES:
        hole(stored_line, pair, timeframe, start, candles)
    assert not all(is_whole(stored_line, pair, each) for pair, each, _, _ in HOLES)
    requests = heal(stored_line)
    for pair, timeframe, _, _ in HOLES:
        assert is_whole(stored_line, pair, timeframe), (pair, timeframe)
    assert asked(stored_line) == 20
    # One run for each block of neighbours that lack the same timeframes.
    assert [(tables(it), it.tags[RANGE[0]], it.tags[RANGE[1]]) for it in requests] == [
        ({"ohlcv_1h", "ohlcv_1d"}, "BTC-USDT|2024-02", "SOL-USDT|2024-02"),
        ({"ohlcv_1h"}, "BTC-USDT|2024-03", "SOL-USDT|2024-03"),
    ]
    assert not look(stored_line)
    assert stored_line.materialize(layers=("ohlcv",)).success
    assert asked(stored_line) == 20


def test_smallest_windows_are_asked_for(stored_line: SmallLine) -> None:
    hole(stored_line, ETH, "1h", "2024-02-29 22:00", 4)
    hole(stored_line, ETH, "1h", "2024-02-10 05:00", 1)
    request = heal(stored_line)[0]
    assert request.tags["gaps"] == (
        "ETH-USDT/1h 2024-02-10T05:00+1 2024-02-29T22:00+2 2024-03-01T00:00+2"
    )
    log = [it for it in stored_line.simulator.scorer.log() if it["endpoint"] == "ohlcv"]
    windows = {(it["symbol"], it["timeframe"], it["since"], it["limit"]) for it in log}
    assert windows == {
        ("ETH/USDT", "1h", ms("2024-02-10 05:00"), 1),
        ("ETH/USDT", "1h", ms("2024-02-29 22:00"), 4),
    }


def ms(text: str) -> int:
    return int(time(text).timestamp() * 1000)


@pytest.mark.slow
def test_what_is_healed_flows_down_the_whole_line(stored_line: SmallLine) -> None:
    whole = derived(stored_line)
    hole(stored_line, BTC, "1h", "2024-03-01 07:00", 6)
    # Everything is computed from what is stored, holes and all.
    assert run_stale(stored_line) > 0
    spoilt = derived(stored_line)
    assert heal(stored_line)
    assert derived(stored_line) == spoilt
    assert run_stale(stored_line) > 0
    assert derived(stored_line) == whole != spoilt


def run_stale(line: SmallLine) -> int:
    """Run what the stale sensor asks for until it asks for nothing; return the runs."""
    runs = 0
    while requests := list(tick(line, None, "binance_stale_sensor").run_requests or []):
        for request in requests:
            assert run(line, request).success
        runs += len(requests)
        assert runs < 20
    return runs


def derived(line: SmallLine) -> dict[str, str]:
    """The content of all that is computed for BTC, by its place."""
    with line.lake() as lake:
        rows = lake.store.journal_rows(exchange="binance", pair=BTC)
    return {
        f"{row.layer} {row.series} {row.feature_set} {row.period}": row.content_hash
        for row in rows
        if row.layer != "ohlcv" or row.series.timeframe.name == "4h"
    }


def test_the_same_state_is_asked_for_once_a_day(stored_line: SmallLine) -> None:
    hole(stored_line, ETH, "1h", "2024-02-09 05:00", 3)
    first = only_request(tick(stored_line, None, SENSOR))
    again = only_request(tick(stored_line, None, SENSOR))
    assert first.run_key == again.run_key
    stored_line.clock[0] = NOW + timedelta(days=1)
    assert only_request(tick(stored_line, None, SENSOR)).run_key != first.run_key
    stored_line.clock[0] = NOW
    heal(stored_line)
    # Lost at the same place again: another state.
    hole(stored_line, ETH, "1h", "2024-02-09 05:00", 3)
    assert only_request(tick(stored_line, None, SENSOR)).run_key != first.run_key


@pytest.mark.parametrize("tag", ["tick", "heal", "backfill"])
def test_it_waits_for_the_runs_under_way(stored_line: SmallLine, tag: str) -> None:
    hole(stored_line, ETH, "1h", "2024-02-09 05:00", 3)
    waiting = waiting_run(DagsterRunStatus.QUEUED, **{tag: "binance"})
    stored_line.instance.add_run(waiting)
    found = tick(stored_line, None, SENSOR)
    assert not found.run_requests
    assert "is still queued or running" in str(found.skip_reason)
    stored_line.instance.delete_run(waiting.run_id)
    stored_line.instance.add_run(waiting_run(DagsterRunStatus.QUEUED, **{tag: "okx"}))
    assert look(stored_line)


def test_it_leaves_an_exchange_alone_that_does_not_answer(stored_line: SmallLine) -> None:
    hole(stored_line, ETH, "1h", "2024-02-09 05:00", 3)
    opened = BreakerState("open", 5, NOW, NOW + timedelta(minutes=5), "HTTP 503")
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: opened)
    found = tick(stored_line, None, SENSOR)
    assert found.skip_reason == dg.SkipReason(opened.spell("binance"))


def test_its_own_runs_hold_it_and_the_stale_sensor(stored_line: SmallLine) -> None:
    hole(stored_line, ETH, "1h", "2024-02-09 05:00", 3)
    request = only_request(tick(stored_line, None, SENSOR))
    assert request.tags["heal"] == request.tags["backfill"] == "binance"
    stored_line.instance.add_run(waiting_run(DagsterRunStatus.STARTED, **request.tags))
    assert not look(stored_line)
    assert not tick(stored_line, None, "binance_stale_sensor").run_requests
