import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterInstance, DagsterRunStatus
from dagster._core.events import EngineEventData

from data_platform.settings import PROJECT_ROOT
from data_platform.stuck_runs import SILENCE, find_stuck_runs, free_run
from data_platform_tests.small_line import waiting_run

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text((PROJECT_ROOT / "configs/dagster.yaml").read_text())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def add_run(instance: DagsterInstance, status: DagsterRunStatus, pid: int | None = None) -> str:
    """Record a run at work, as its worker does: with the number of its process."""
    run = instance.add_run(waiting_run(status=status))
    if pid is not None:
        words = f"Started process for run (pid: {pid})."
        instance.report_engine_event(words, run, EngineEventData.in_process(pid))
    return run.run_id


@pytest.fixture
def dead() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


AT_WORK = [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]


@pytest.mark.parametrize("status", AT_WORK)
def test_a_run_whose_process_is_gone_is_found_and_ended(
    instance: DagsterInstance, dead: int, status: DagsterRunStatus
) -> None:
    run_id = add_run(instance, status, dead)
    (stuck,) = find_stuck_runs(instance, datetime.now(UTC))
    assert (stuck.run_id, stuck.status) == (run_id, status.value)
    free_run(instance, stuck)
    free_run(instance, stuck)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    canceled = status == DagsterRunStatus.CANCELING
    assert run.status == (DagsterRunStatus.CANCELED if canceled else DagsterRunStatus.FAILURE)
    assert find_stuck_runs(instance, LATER) == []


def test_a_run_whose_process_lives_or_that_waits_is_let_be(
    instance: DagsterInstance, dead: int
) -> None:
    add_run(instance, DagsterRunStatus.STARTED, os.getpid())
    add_run(instance, DagsterRunStatus.QUEUED, dead)
    add_run(instance, DagsterRunStatus.SUCCESS, dead)
    assert find_stuck_runs(instance, LATER) == []


def test_a_process_that_began_long_after_the_run_is_another_one(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run(instance, DagsterRunStatus.STARTED, os.getpid())
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("data_platform.stuck_runs._begun", lambda _: later)
    assert len(find_stuck_runs(instance, LATER)) == 1


def test_a_run_that_has_named_no_process_is_given_time(instance: DagsterInstance) -> None:
    add_run(instance, DagsterRunStatus.STARTING)
    now = datetime.now(UTC)
    assert find_stuck_runs(instance, now) == []
    assert len(find_stuck_runs(instance, now + SILENCE + timedelta(minutes=1))) == 1


def test_a_run_in_this_process_names_it(instance: DagsterInstance) -> None:
    """What Dagster itself notes of a run in process; its words are what a stuck run is told by."""

    @dg.asset
    def thing() -> None:
        pass

    result = dg.materialize([thing], instance=instance)
    found = [event for event in result.all_events if isinstance(event, DagsterEvent)]
    assert any(f"(pid: {os.getpid()})" in (event.message or "") for event in found)


def test_a_zombie_is_no_process(instance: DagsterInstance) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            pass
        add_run(instance, DagsterRunStatus.STARTED, process.pid)
        assert len(find_stuck_runs(instance, datetime.now(UTC))) == 1
    finally:
        process.wait()
