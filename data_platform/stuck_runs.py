"""Runs that say they are at work and whose process is gone, as a power cut leaves them.

Dagster itself frees them after hours only, by `max_runtime_seconds`. A run notes the processes that
work on it in its events; one is stuck when none of them lives on this machine.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus

AT_WORK = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]

SILENCE = timedelta(minutes=10)
"""How long a run that has named no process may take to begin."""

_PROCESS = re.compile(r"\(pid: (\d+)\)")
_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class StuckRun:
    """One run whose process is gone."""

    run_id: str
    status: str
    since: datetime


def find_stuck_runs(instance: DagsterInstance, now: datetime) -> list[StuckRun]:
    """Return every run that says it is at work and is not, the oldest first.

    Args:
        instance: whose runs.
        now: the clock, UTC.
    """
    found = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=AT_WORK)):
        run = record.dagster_run
        begun = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
        since = begun or record.create_timestamp.astimezone(UTC)
        processes = _processes(instance, run.run_id)
        lives = any(_lives(each, since) for each in processes)
        is_silent = not processes and now - since > SILENCE
        if is_silent or (processes and not lives):
            found.append(StuckRun(run.run_id, run.status.value, since))
    return sorted(found, key=lambda it: it.since)


def free_run(instance: DagsterInstance, stuck: StuckRun) -> None:
    """End a stuck run as failed, or as canceled where that was asked for, and free its slots."""
    run = instance.get_run_by_id(stuck.run_id)
    if run is None or run.is_finished:
        return
    words = "Its process is gone: freed by data-platform doctor."
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, words)
    else:
        instance.report_run_failed(run, words)
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        storage.free_concurrency_slots_for_run(run.run_id)


def _processes(instance: DagsterInstance, run_id: str) -> set[int]:
    found: set[int] = set()
    page = instance.get_records_for_run(
        run_id, of_type=DagsterEventType.ENGINE_EVENT, limit=_EVENTS
    )
    for record in page.records:
        found |= {int(pid) for pid in _PROCESS.findall(record.event_log_entry.message)}
        event = record.event_log_entry.dagster_event
        found |= {int(pid) for pid in _PROCESS.findall(event.message or "")} if event else set()
    return found


def _lives(pid: int, since: datetime) -> bool:
    """Tell whether a process lives that began no later than shortly after a run did."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    begun = _begun(pid)
    # A process that began long after is another one, to which the number was given again.
    return begun is None or begun <= since + SILENCE


def _begun(pid: int) -> datetime | None:
    """Return when a process began, or None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text().splitlines()
            if line.startswith("btime")
        )
        if status[0] == "Z":
            # A process that has ended and whose parent has not asked how.
            return datetime.max.replace(tzinfo=UTC)
        return datetime.fromtimestamp(boot + int(status[19]) / os.sysconf("SC_CLK_TCK"), UTC)
    except (OSError, StopIteration, ValueError, IndexError):
        return None
