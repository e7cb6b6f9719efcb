import sqlite3
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from data_platform.assets.candles import TICK_TAG
from data_platform.runs import is_busy, prune_superseded_runs
from data_platform.settings import PROJECT_ROOT, load_settings
from data_platform_tests.small_line import SmallLine, waiting_run

KEYS = {"BTC-USDT|2024-03", "ETH-USDT|2024-03"}


def run_tick(
    line: SmallLine, first: str = "BTC-USDT|2024-03", last: str = "ETH-USDT|2024-03", **tags: str
) -> str:
    job = line.definitions.resolve_job_def("fetch_binance_candles_job")
    result = job.execute_in_process(
        instance=line.instance,
        asset_selection=[dg.AssetKey(["binance", "ohlcv_1d"])],
        raise_on_error=False,
        tags={
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
            **(tags or {TICK_TAG: "binance"}),
        },
    )
    return result.run_id


def event_file(line: SmallLine, run_id: str) -> Path:
    return line.root / "home/history/runs" / f"{run_id}.db"


def run_ids(line: SmallLine) -> set[str]:
    return {run.run_id for run in line.instance.get_runs()}


def test_superseded_ticks_go_with_their_files_and_partitions_stay(empty_line: SmallLine) -> None:
    ticks = [run_tick(empty_line) for _ in range(4)]
    assert all(event_file(empty_line, run_id).exists() for run_id in ticks)
    assert set(prune_superseded_runs(empty_line.instance)) == set(ticks[:3])
    assert run_ids(empty_line) == {ticks[3]}
    assert [event_file(empty_line, run_id).exists() for run_id in ticks] == [False] * 3 + [True]
    assert not any((empty_line.root / "home/storage" / run_id).exists() for run_id in ticks[:3])
    assert empty_line.materialized("ohlcv", "1d") == KEYS
    assert prune_superseded_runs(empty_line.instance) == []


def test_last_run_of_a_partition_stays(empty_line: SmallLine) -> None:
    wide = run_tick(empty_line)
    narrow = run_tick(empty_line, last="BTC-USDT|2024-03")
    assert prune_superseded_runs(empty_line.instance) == []
    rest = run_tick(empty_line, first="ETH-USDT|2024-03")
    assert prune_superseded_runs(empty_line.instance) == [wide]
    assert run_ids(empty_line) == {narrow, rest}
    assert empty_line.materialized("ohlcv", "1d") == KEYS


def test_failed_tick_stays_until_a_newer_one_has_succeeded(empty_line: SmallLine) -> None:
    good = run_tick(empty_line)
    data = empty_line.root / "data"
    (data / "state.db").rename(data / "aside.db")
    with sqlite3.connect(data / "state.db") as other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
        other.execute("INSERT INTO alembic_version VALUES ('9999')")
    other.close()
    failed = run_tick(empty_line)
    run = empty_line.instance.get_run_by_id(failed)
    assert run is not None
    assert run.status == DagsterRunStatus.FAILURE
    assert prune_superseded_runs(empty_line.instance) == []
    (data / "aside.db").rename(data / "state.db")
    newer = run_tick(empty_line)
    assert set(prune_superseded_runs(empty_line.instance)) == {good, failed}
    assert run_ids(empty_line) == {newer}


def test_backfills_and_unfinished_runs_are_never_pruned(empty_line: SmallLine) -> None:
    backfill = run_tick(empty_line, backfill="binance")
    waiting = waiting_run(tick="binance")
    empty_line.instance.add_run(waiting)
    newest = run_tick(empty_line)
    assert prune_superseded_runs(empty_line.instance) == []
    assert run_ids(empty_line) == {backfill, waiting.run_id, newest}


def test_exchange_is_busy_while_its_own_tick_waits(empty_line: SmallLine) -> None:
    assert not is_busy(empty_line.instance, "binance", "tick")
    run_tick(empty_line)
    assert not is_busy(empty_line.instance, "binance", "tick")
    empty_line.instance.add_run(waiting_run(tick="okx"))
    empty_line.instance.add_run(waiting_run(backfill="binance"))
    assert not is_busy(empty_line.instance, "binance", "tick")
    assert is_busy(empty_line.instance, "binance", "backfill")
    empty_line.instance.add_run(waiting_run(DagsterRunStatus.STARTING, tick="binance"))
    assert is_busy(empty_line.instance, "binance", "tick")


def test_backfill_that_was_started_in_the_ui_keeps_its_exchange_busy(
    empty_line: SmallLine,
) -> None:
    run = dg.DagsterRun(
        "a_job",
        status=DagsterRunStatus.QUEUED,
        tags={"dagster/backfill": "abc"},
        remote_job_origin=waiting_run().remote_job_origin,
        asset_selection=frozenset({dg.AssetKey(["binance", "ohlcv_1d"])}),
    )
    empty_line.instance.add_run(run)
    assert is_busy(empty_line.instance, "binance", "backfill")
    assert not is_busy(empty_line.instance, "binance", "tick")
    assert not is_busy(empty_line.instance, "okx", "backfill")


@pytest.mark.slow
def test_event_storage_stops_growing_when_ticks_are_pruned(empty_line: SmallLine) -> None:
    sizes = []
    for number in range(1, 41):
        run_tick(empty_line)
        if number % 10 == 0:
            prune_superseded_runs(empty_line.instance)
            sizes.append(storage_bytes(empty_line))
    assert sizes[3] <= 1.2 * sizes[1], (sizes, biggest_files(empty_line))
    assert empty_line.materialized("ohlcv", "1d") == KEYS


def storage_bytes(line: SmallLine) -> int:
    return sum(path.stat().st_size for path in (line.root / "home").rglob("*") if path.is_file())


def biggest_files(line: SmallLine) -> list[tuple[int, str]]:
    home = line.root / "home"
    files = [(path.stat().st_size, str(path.relative_to(home))) for path in home.rglob("*")]
    return sorted(files, reverse=True)[:8]


def test_tick_finds_a_slot_while_every_exchange_is_backfilled(empty_line: SmallLine) -> None:
    from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
        QueuedRunCoordinatorDaemon,
    )

    exchanges = load_settings({}, config=PROJECT_ROOT / "configs/platform.yaml").exchanges
    instance, begun = empty_line.instance, dg.DagsterRunStatus.STARTED
    ticks = [waiting_run(tick=name) for name in exchanges]
    backfills = [waiting_run(begun, backfill=name) for name in exchanges]
    of_a_person = waiting_run(begun, **{"dagster/backfill": "a person's"})
    second = waiting_run(backfill="okx")
    for each in (*backfills, of_a_person, second, *ticks):
        instance.add_run(each)
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    limits = instance.get_concurrency_config()
    found = daemon._get_runs_to_dequeue(instance, limits, fixed_iteration_time=None)
    assert {it.run_id for it in found} == {it.run_id for it in ticks}


def test_tick_may_fetch_beside_a_backfill_and_one_that_a_person_started(
    empty_line: SmallLine,
) -> None:
    pools = empty_line.instance.event_log_storage
    pools.initialize_concurrency_limit_to_default("okx")
    claims = [pools.claim_concurrency_slot("okx", f"run {it}", "a step") for it in range(4)]
    assert [it.is_claimed for it in claims] == [True, True, True, False]
