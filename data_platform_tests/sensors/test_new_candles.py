import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from data_platform.assets.candles import TICK_TAG
from data_platform.domain.breaker import CLOSED, BreakerState
from data_platform.domain.errors import StorageError
from data_platform.sensors import new_candles
from data_platform.sensors.new_candles import Memory, read_memory
from data_platform.sources.access import Access
from data_platform.sources.breaker import BreakerStore
from data_platform.sources.ccxt_client import CcxtClient
from data_platform_tests.small_line import ALL_LAYERS, NOW, SmallLine, waiting_run
from data_platform_tests.ticks import only_request, run, tick

HOUR = timedelta(hours=1)


def verdicts(found: dg.SensorResult, check: str = "candles_fresh") -> dict[str, bool]:
    events = list(found.asset_events)
    assert all(isinstance(event, dg.AssetCheckEvaluation) for event in events)
    return {
        event.asset_key.path[-1]: event.passed
        for event in events
        if isinstance(event, dg.AssetCheckEvaluation) and event.check_name == check
    }


def test_nothing_is_asked_for_when_nothing_has_closed(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + timedelta(minutes=59)
    found = tick(stored_line)
    assert not found.run_requests
    assert found.skip_reason == dg.SkipReason("no new candle is due")
    assert stored_line.simulator.candle_requests == {"binance": 0}


def test_one_run_carries_all_that_is_due_and_nothing_else(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + HOUR
    request = only_request(tick(stored_line))
    assert {key.path[-1] for key in request.asset_selection or []} == {
        *(f"{layer}_1h" for layer in ALL_LAYERS),
        "market_state",
    }
    assert request.tags == {
        "dagster/asset_partition_range_start": "BTC-USDT|2024-03",
        "dagster/asset_partition_range_end": "SOL-USDT|2024-03",
        TICK_TAG: "binance",
        "dagster/max_runtime": "600",
        "dagster/sensor_name": "binance_new_candle_sensor",
    }


def test_candle_that_has_not_seen_its_grace_is_not_due(stored_line: SmallLine) -> None:
    stored_line.clock[0] = datetime(2024, 3, 2, 13, 0, 4, tzinfo=UTC)
    assert not tick(stored_line).run_requests


def test_layers_wait_for_their_refresh_interval(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + HOUR
    first = tick(stored_line)
    assert run(stored_line, only_request(first)).success
    stored_line.clock[0] = NOW + 2 * HOUR
    second = only_request(tick(stored_line, first.cursor))
    layers = {key.path[-1] for key in second.asset_selection or []}
    assert layers == {"ohlcv_1h", "filled_1h", "indicators_1h", "features_1h", "market_state"}


def test_first_ticks_of_a_month_ask_for_both_months(stored_line: SmallLine) -> None:
    stored_line.clock[0] = datetime(2024, 4, 1, 0, 0, 7, tzinfo=UTC)
    tags = only_request(tick(stored_line)).tags
    assert tags["dagster/asset_partition_range_start"] == "BTC-USDT|2024-03"
    assert tags["dagster/asset_partition_range_end"] == "SOL-USDT|2024-04"


@pytest.mark.parametrize("status", [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTED])
def test_no_new_tick_while_one_is_queued_or_running(
    stored_line: SmallLine, status: DagsterRunStatus
) -> None:
    waiting = waiting_run(status, tick="binance")
    stored_line.instance.add_run(waiting)
    stored_line.clock[0] = NOW + HOUR
    found = tick(stored_line)
    assert not found.run_requests
    assert found.skip_reason == dg.SkipReason("a tick is still queued or running")
    stored_line.instance.delete_run(waiting.run_id)
    assert tick(stored_line, found.cursor).run_requests


def test_exchange_that_has_stopped_answering_is_left_alone_and_the_reason_told(
    stored_line: SmallLine,
) -> None:
    stored_line.clock[0] = NOW + HOUR
    until = NOW + HOUR + timedelta(minutes=4)
    opened = BreakerState("open", 5, NOW, until, "binance: its clock: HTTP 503")
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: opened)
    found = tick(stored_line)
    assert not found.run_requests
    assert found.skip_reason == dg.SkipReason(
        "binance is not asked since 2024-03-02 12:00:07 UTC, until 2024-03-02 13:04:07 UTC: "
        "binance: its clock: HTTP 503"
    )
    # Freshness is judged all the same: 1h is late by an hour and a bit and not yet too late.
    assert verdicts(found)["ohlcv_1h"] is True
    stored_line.clock[0] = until
    assert tick(stored_line, found.cursor).run_requests


def test_open_breaker_turns_the_candle_assets_red_once_and_green_once_it_has_closed(
    stored_line: SmallLine,
) -> None:
    first = tick(stored_line)
    assert verdicts(first, "exchange_answers") == {}
    stored_line.clock[0] = NOW + HOUR
    opened = BreakerState("open", 5, NOW, NOW + HOUR + timedelta(minutes=4), "HTTP 503")
    with stored_line.lake() as lake:
        lake.breakers.change("okx", lambda _: opened)
    assert verdicts(tick(stored_line, first.cursor), "exchange_answers") == {}
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: opened)
    down = tick(stored_line, first.cursor)
    every = ("ohlcv_1h", "ohlcv_4h", "ohlcv_1d")
    assert verdicts(down, "exchange_answers") == dict.fromkeys(every, False)
    checks = [it for it in down.asset_events if isinstance(it, dg.AssetCheckEvaluation)]
    event = next(it for it in checks if it.check_name == "exchange_answers")
    assert event.metadata["first_rows"].value == [
        {"since": "2024-03-02T12:00:07+00:00", "failures": 5, "reason": "HTTP 503"}
    ]
    assert event.severity == dg.AssetCheckSeverity.ERROR
    # While one request tries again it has not answered yet, and nothing new is told.
    half = replace(opened, state="half_open")
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: half)
    trying = tick(stored_line, down.cursor)
    assert verdicts(trying, "exchange_answers") == {}
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: CLOSED)
    up = tick(stored_line, trying.cursor)
    assert verdicts(up, "exchange_answers") == dict.fromkeys(every, True)
    assert verdicts(tick(stored_line, up.cursor), "exchange_answers") == {}


def status_of(line: SmallLine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((line.root / "data/state/data_status.json").read_text())
    return found


def test_programs_are_told_at_once_that_an_exchange_is_away_though_no_tick_runs(
    stored_line: SmallLine,
) -> None:
    first = tick(stored_line)
    assert status_of(stored_line)["halt_trading"] is False
    opened = BreakerState("open", 5, NOW, NOW + 9 * HOUR, "HTTP 503")
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: opened)
    stored_line.clock[0] = NOW + timedelta(seconds=10)
    down = tick(stored_line, first.cursor)
    assert not down.run_requests
    told = status_of(stored_line)
    assert (told["halt_trading"], told["updated_at"]) == (True, "2024-03-02T12:00:17Z")
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: CLOSED)
    stored_line.clock[0] = NOW + timedelta(seconds=20)
    tick(stored_line, down.cursor)
    assert status_of(stored_line)["halt_trading"] is False


def test_state_files_never_grow_older_than_a_refresh_interval(stored_line: SmallLine) -> None:
    opened = BreakerState("open", 5, NOW, NOW + 9 * HOUR, "HTTP 503")
    with stored_line.lake() as lake:
        lake.breakers.change("binance", lambda _: opened)
    cursor = tick(stored_line).cursor
    for later, told in ((59, "2024-03-02T12:00:07Z"), (60, "2024-03-02T13:00:07Z")):
        stored_line.clock[0] = NOW + timedelta(minutes=later)
        cursor = tick(stored_line, cursor).cursor
        assert status_of(stored_line)["updated_at"] == told


def test_a_tick_that_was_asked_for_writes_the_state_files_itself(stored_line: SmallLine) -> None:
    first = tick(stored_line)
    stored_line.clock[0] = NOW + HOUR
    request = only_request(tick(stored_line, first.cursor))
    assert status_of(stored_line)["updated_at"] == "2024-03-02T12:00:07Z"
    run(stored_line, request)
    assert status_of(stored_line)["updated_at"] == "2024-03-02T13:00:07Z"


def test_state_files_that_cannot_be_written_keep_no_candle_from_being_fetched(
    stored_line: SmallLine,
) -> None:
    (stored_line.root / "data/state").write_text("in the way")
    found = tick(stored_line)
    assert read_memory(found.cursor).told is None
    stored_line.clock[0] = NOW + HOUR
    assert tick(stored_line, found.cursor).run_requests


def test_outage_of_another_exchange_holds_nobody_up(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + HOUR
    opened = BreakerState("open", 3, NOW, NOW + 2 * HOUR, "okx: HTTP 503")
    with stored_line.lake() as lake:
        lake.breakers.change("okx", lambda _: opened)
    assert tick(stored_line).run_requests


def test_requests_of_a_tick_go_before_those_of_a_backfill(
    stored_line: SmallLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    priorities = []
    begin = CcxtClient.__init__

    def note(client: CcxtClient, access: Access, breakers: BreakerStore | None = None) -> None:
        priorities.append(access.priority)
        begin(client, access, breakers)

    monkeypatch.setattr(CcxtClient, "__init__", note)
    stored_line.clock[0] = NOW + HOUR
    run(stored_line, only_request(tick(stored_line)))
    assert priorities == ["live"]
    stored_line.clock[0] = NOW + 2 * HOUR
    stored_line.materialize(timeframes=("1h",), layers=("ohlcv",))
    assert priorities == ["live", "backfill"]


def test_tick_of_another_exchange_holds_nobody_up(stored_line: SmallLine) -> None:
    stored_line.instance.add_run(waiting_run(tick="okx"))
    stored_line.clock[0] = NOW + HOUR
    assert tick(stored_line).run_requests


def test_requested_run_stores_the_new_candles_and_judges_them(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + 4 * HOUR
    found = tick(stored_line)
    result = run(stored_line, only_request(found))
    assert result.success
    with stored_line.lake() as lake:
        newest = lake.store.newest("binance", "features")
    assert newest["BTC-USDT", "1h"] == datetime(2024, 3, 2, 15, tzinfo=UTC)
    assert newest["BTC-USDT", "4h"] == datetime(2024, 3, 2, 12, tzinfo=UTC)
    judged = {it.asset_check_key for it in result.get_asset_check_evaluations()}
    tables = {key.path[-1] for key in only_request(found).asset_selection or []}
    assert {key.asset_key.path[-1] for key in judged} == tables - {"market_state"}
    assert not tick(stored_line, found.cursor).run_requests


def test_freshness_turns_red_when_the_line_stands_and_green_when_it_runs(
    stored_line: SmallLine,
) -> None:
    first = tick(stored_line)
    assert verdicts(first) == {"ohlcv_1h": True, "ohlcv_4h": True, "ohlcv_1d": True}
    assert verdicts(tick(stored_line, first.cursor)) == {}

    # The candle of 12:00 should have been stored at 13:00; 1h, the interval and the grace are free.
    stored_line.clock[0] = datetime(2024, 3, 2, 15, 0, 4, tzinfo=UTC)
    still = tick(stored_line, first.cursor)
    assert verdicts(still) == {}
    stored_line.clock[0] = datetime(2024, 3, 2, 15, 0, 7, tzinfo=UTC)
    late = tick(stored_line, still.cursor)
    assert verdicts(late) == {"ohlcv_1h": False}
    assert verdicts(tick(stored_line, late.cursor)) == {}

    (event,) = late.asset_events
    assert isinstance(event, dg.AssetCheckEvaluation)
    assert event.metadata["count"].value == 3
    assert event.severity == dg.AssetCheckSeverity.ERROR

    stored_line.materialize(timeframes=("1h",), layers=("ohlcv",))
    assert verdicts(tick(stored_line, late.cursor)) == {"ohlcv_1h": True}


def test_freshness_says_nothing_of_what_was_never_stored(empty_line: SmallLine) -> None:
    found = tick(empty_line)
    assert verdicts(found) == {}
    request = only_request(found)
    assert request.tags["dagster/asset_partition_range_start"] == "BTC-USDT|2024-03"


def test_memory_survives_its_way_through_the_cursor() -> None:
    memory = Memory({"candles": NOW}, {"binance/ohlcv_1h": False}, answers=False, told=NOW)
    assert read_memory(memory.to_cursor()) == memory
    # A cursor from before anybody was told of breakers, and of how things stand.
    held = json.loads(memory.to_cursor())
    older = {key: kept for key, kept in held.items() if key not in {"answers", "told"}}
    assert read_memory(json.dumps(older)) == replace(memory, answers=True, told=None)
    assert read_memory(None) == Memory({}, {})
    assert json.loads(memory.to_cursor())["last"] == {"candles": "2024-03-02T12:00:07+00:00"}


def hourly_score(line: SmallLine) -> dict[str, object]:
    with line.lake() as lake:
        rows = lake.scores.newest("binance").filter(pair="BTC-USDT", timeframe="1h")
    return rows.filter(period="2024-03").to_dicts()[0]


def test_the_score_of_a_line_that_has_stopped_falls_by_the_clock(stored_line: SmallLine) -> None:
    before = hourly_score(stored_line)
    # 1 h by thresholds.yaml, 1 h of refresh and 5 s of grace; that of 12:00 closes at 13:00.
    limit = timedelta(hours=2, seconds=5)
    stored_line.clock[0] = NOW.replace(hour=13, second=0) + limit
    tick(stored_line)
    assert hourly_score(stored_line) == before
    stored_line.clock[0] += limit
    tick(stored_line)
    after = hourly_score(stored_line)
    assert (before["timeliness"], after["timeliness"]) == (1.0, 0.5)
    # The candles of 12:00, 13:00 and 14:00 are overdue, that of 15:00 (closed at 16:00) is not.
    assert (after["stored"], after["expected"]) == (36, 39)


def test_scores_that_cannot_be_noted_hold_up_no_candle(
    stored_line: SmallLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, is_tick: bool) -> int:
        assert is_tick
        raise StorageError("cannot write the state database: disk full")

    monkeypatch.setattr(new_candles, "score_again", refuse)
    stored_line.clock[0] = NOW + HOUR
    assert only_request(tick(stored_line))
