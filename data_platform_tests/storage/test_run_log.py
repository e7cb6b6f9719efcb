from datetime import timedelta
from typing import Any

import polars as pl

from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.run_log import RunLog, Step
from data_platform.storage.state_frames import state_frames
from data_platform_tests.storage.lake import utc

NOON = utc(2024, 1, 1, 12)


def step(minute: int, run_id: str = "a", **more: Any) -> Step:  # noqa: ANN401
    started = NOON + timedelta(minutes=minute)
    return Step(run_id, "okx", "tick", started, started + timedelta(seconds=30), **more)


def rows(store: PartitionStore, *steps: Step) -> list[dict[str, Any]]:
    for each in steps:
        RunLog(store.state).add(each)
    frame: pl.DataFrame = state_frames(store.state)["runs"]
    return frame.to_dicts()


def test_the_steps_of_a_run_are_one_row(store: PartitionStore) -> None:
    [row] = rows(
        store,
        step(
            0, written=2, requests=5, errors={"transient": 1}, candles=9, lag=timedelta(seconds=7)
        ),
        step(1, written=1, failed=1, errors={"transient": 2, "refused": 1}, refused=4),
        step(2, lag=timedelta(seconds=3)),
    )
    assert (row["started_at"], row["ended_at"]) == (NOON, NOON + timedelta(minutes=2, seconds=30))
    names = ("steps", "written", "failed", "requests", "retries", "candles", "refused")
    assert [row[name] for name in names] == [3, 3, 1, 5, 4, 9, 4]
    assert row["errors_json"] == '{"refused": 1, "transient": 3}'
    assert row["lag_ms"] == 7000


def test_each_run_and_exchange_has_its_own_row(store: PartitionStore) -> None:
    found = rows(store, step(5, "b"), step(0, "a"))
    assert [row["run_id"] for row in found] == ["a", "b"]
    assert found[0]["lag_ms"] is None


def test_the_newest_answer_of_a_run_is_that_of_its_newest_step_that_had_one(
    store: PartitionStore,
) -> None:
    [row] = rows(
        store,
        step(0, answered_at=NOON, latency=timedelta(milliseconds=80)),
        step(1, answered_at=NOON + timedelta(minutes=1), latency=timedelta(milliseconds=120.6)),
        step(2),
    )
    assert row["answered_at"] == NOON + timedelta(minutes=1)
    assert row["latency_ms"] == 121


def test_the_newest_answer_may_be_of_a_run_that_began_earlier(store: PartitionStore) -> None:
    late, soon = NOON + timedelta(hours=5), NOON + timedelta(hours=1)
    rows(
        store,
        step(0, "backfill", answered_at=late, latency=timedelta(milliseconds=90)),
        step(60, "tick", answered_at=soon, latency=timedelta(milliseconds=40)),
        step(61, "derived"),
    )
    newest = RunLog(store.state).newest_answer("okx")
    assert newest is not None
    assert (newest.run_id, newest.answered_at) == ("backfill", late)
    assert newest.latency == timedelta(milliseconds=90)
    assert RunLog(store.state).newest_answer("binance") is None
