"""The alert sensor, through Dagster, on a line that really stops: seen by a receiver over HTTP."""

import json
from dataclasses import replace
from datetime import timedelta

import dagster as dg

from data_platform.definitions import build_definitions
from data_platform.domain.alerts import Channel
from data_platform.runs import find_running
from data_platform_tests.receiver import Receiver, receiver
from data_platform_tests.small_line import NOW, SmallLine

STARTED = dg.DagsterEvent(
    event_type_value=dg.DagsterEventType.RUN_START.value, job_name="materialize_binance_line_job"
)


def look(line: SmallLine, hook: Receiver) -> str:
    settings = replace(line.settings, channels=(Channel(hook.url),))
    definitions = build_definitions(settings, clock=lambda: line.clock[0])
    sensor = definitions.get_repository_def().get_sensor_def("alert_sensor")
    context = dg.build_sensor_context(instance=line.instance, definitions=definitions)
    return sensor.evaluate_tick(context).skip_message or ""


def test_line_that_stops_is_told_once_and_its_recovery_once(stored_line: SmallLine) -> None:
    with receiver() as hook:
        assert look(stored_line, hook) == "0 alarms ring, 0 messages are new"
        stored_line.clock[0] = NOW + timedelta(hours=4)
        assert look(stored_line, hook) == "1 alarms ring, 1 messages are new"
        assert look(stored_line, hook) == "1 alarms ring, 0 messages are new"
        assert stored_line.materialize(layers=("ohlcv",)).success
        stored_line.clock[0] += timedelta(minutes=3)
        assert look(stored_line, hook) == "0 alarms ring, 1 messages are new"
    began, over = hook.got
    assert "[critical] binance: no new candles of any market: binance/" in began["message"]
    assert "[info] Over, after 0:00:00: binance: no new candles" in over["message"]
    file = stored_line.root / "data/state/alerts/2024-03.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["type"], row["severity"]) for row in rows] == [
        ("feed_offline", "critical"),
        ("feed_offline", "info"),
    ]
    assert rows[0]["timestamp"] == "2024-03-02T16:00:07.000Z"


def test_channel_that_fails_gets_its_message_at_a_later_look(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + timedelta(hours=4)
    with receiver() as hook:
        hook.status = 500
        assert look(stored_line, hook) == "1 alarms ring, 1 messages are new"
        hook.status = 200
        look(stored_line, hook)
    assert len(hook.got) == 1


def test_run_at_work_is_told_with_its_exchange_and_kind(empty_line: SmallLine) -> None:
    instance = empty_line.instance
    job = empty_line.definitions.resolve_job_def("materialize_binance_line_job")
    keys = frozenset({dg.AssetKey(["binance", "ohlcv_1h"])})
    run = instance.create_run_for_job(job, tags={"tick": "binance"}, asset_selection=keys)
    assert find_running(instance, NOW) == []
    instance.report_dagster_event(STARTED, run.run_id)
    [found] = find_running(instance, NOW)
    assert (found.exchange, found.kind, found.run_id, found.is_running) == (
        "binance",
        "tick",
        run.run_id,
        True,
    )
