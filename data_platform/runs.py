"""Launch, watch and prune Dagster runs.

Stays out: what a run does. A selection that Dagster cannot carry in one run (pairs that are not
neighbours) becomes one run per block of neighbours.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus

from data_platform.assets.candles import COMPARE_TAG, TICK_TAG
from data_platform.assets.line import REFUSED_ROWS, asset_key, run_kind
from data_platform.domain.errors import WrongUseError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.alarm_facts import RunTime
from data_platform.partitions import PartitionRange, from_partition_key, to_ranges

BACKFILL_TAG = "backfill"
"""Tag of a run over history: the exchange; one at a time (configs/dagster.yaml)."""

UI_BACKFILL_TAG = "dagster/backfill"

STALE_TAG = "stale"
"""Tag of a run that only computes again what is stale: the exchange."""

HEAL_TAG = "heal"
"""Tag of a run that asks again for what is missing: the exchange."""

EVENT_PAGE = 1000
DATABASE_WAIT_SECONDS = 60

MATERIALIZED = DagsterEventType.ASSET_MATERIALIZATION
PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED

IN_PROGRESS = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True, slots=True)
class Selection:
    """What to materialize of one exchange."""

    exchange: str
    pairs: tuple[Pair, ...]
    timeframes: tuple[Timeframe, ...]
    layers: tuple[str, ...]
    first: Period
    last: Period
    """Last month, inclusive."""
    full: bool = False
    """Ask the exchange for every candle again and compare."""

    @property
    def keys(self) -> list[dg.AssetKey]:
        """Return the assets selected."""
        return [
            asset_key(self.exchange, layer, timeframe)
            for layer in self.layers
            for timeframe in self.timeframes
        ]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a selection's runs ended."""

    success: bool
    run_ids: tuple[str, ...]
    failures: tuple[str, ...]
    """One line each: what failed and why."""
    refused: Mapping[Partition, int]
    """Rows that the audit refused, by the partition of candles that they came for."""
    failed_checks: tuple[str, ...]
    """Checks of the selection that did not pass: `binance/ohlcv_1h no_long_gaps`."""


def materialize_selection(
    definitions: dg.Definitions,
    selection: Selection,
    defined_pairs: Sequence[Pair],
    instance: DagsterInstance,
) -> RunOutcome:
    """Materialize a selection in this process, on a persistent instance.

    Args:
        definitions: of `build_definitions`, whose watch hears of progress.
        selection: what to materialize.
        defined_pairs: all pairs of the exchange's partitions.
        instance: records the runs.

    Raises:
        WrongUseError: the selection is empty.
    """
    ranges = to_ranges(selection.pairs, selection.first, selection.last, defined_pairs)
    if not ranges or not selection.keys:
        raise WrongUseError(f"nothing of {selection.exchange} is selected.")
    results = [_run_block(definitions, selection, block, instance) for block in ranges]
    events = [event for result in results for event in result.all_events]
    failures = tuple(failure_reasons(events))
    return RunOutcome(
        success=not failures,
        run_ids=tuple(result.run_id for result in results),
        failures=failures,
        refused=_refused_rows(selection, events),
        failed_checks=_failed_checks(results[-1].all_events),
    )


def _run_block(
    definitions: dg.Definitions,
    selection: Selection,
    block: PartitionRange,
    instance: DagsterInstance,
) -> dg.ExecuteInProcessResult:
    job = definitions.get_repository_def().get_implicit_job_def_for_assets(selection.keys)
    if job is None:
        raise WrongUseError(f"the selected assets of {selection.exchange} share no partitions.")
    full = {COMPARE_TAG: f"{block.first.start:%Y-%m-%d}"} if selection.full else {}
    return job.execute_in_process(
        instance=instance,
        asset_selection=selection.keys,
        tags={**block.tags, **full, BACKFILL_TAG: selection.exchange},
        raise_on_error=False,
    )


def failure_reasons(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Return what failed and why: the lines of a `Failure`, one line for any other exception."""
    reasons: list[str] = []
    for event in events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            reasons += data.user_failure_data.description.splitlines()
            continue
        cause = data.error.cause or data.error if data.error else None
        words = cause.message if cause else f"{event.step_key} failed"
        reasons.append(" ".join(words.split()))
    return reasons


def _refused_rows(selection: Selection, events: Iterable[dg.DagsterEvent]) -> dict[Partition, int]:
    exchange = selection.exchange
    candles = {asset_key(exchange, "ohlcv", each): each for each in selection.timeframes}
    refused: dict[Partition, int] = {}
    for event in events:
        timeframe = candles.get(event.asset_key) if event.asset_key else None
        if not event.is_step_materialization or timeframe is None or event.partition is None:
            continue
        rows = event.step_materialization_data.materialization.metadata[REFUSED_ROWS].value
        if isinstance(rows, int) and rows:
            pair, period = from_partition_key(event.partition)
            refused[Partition("ohlcv", Series(exchange, pair, timeframe), period)] = rows
    return refused


def _failed_checks(events: Iterable[dg.DagsterEvent]) -> tuple[str, ...]:
    evaluated = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return tuple(
        f"{check.asset_key.to_user_string()} {check.check_name}"
        for check in evaluated
        if not check.passed
    )


def prune_superseded_runs(instance: DagsterInstance) -> list[str]:
    """Delete runs of ticks all of whose partitions newer runs have materialized again.

    The last run of a partition is never deleted, whether it materialized or failed: the partition
    would look missing, or its failure forgotten. On SQLite a deleted run leaves its event file
    and its compute logs; they are unlinked too.

    Args:
        instance: whose runs.

    Returns:
        The ids of the deleted runs.
    """
    covered: set[Cell] = set()
    pruned = []
    for run in _until_oldest_tick(instance.get_runs()):
        if not run.is_finished:
            continue
        if TICK_TAG in run.tags and _cells(instance, run, PLANNED) <= covered:
            _delete(instance, run)
            pruned.append(run.run_id)
        else:
            covered |= _cells(instance, run, MATERIALIZED)
    return pruned


def is_busy(instance: DagsterInstance, exchange: str, tag: str) -> bool:
    """Tell whether a run of an exchange is queued or running, of those that carry a tag.

    A backfill that was started in the UI carries Dagster's own tag, and counts as one.
    """
    if instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS, tags={tag: exchange}), limit=1):
        return True
    if tag != BACKFILL_TAG:
        return False
    busy = instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS))
    return any(UI_BACKFILL_TAG in run.tags and _carries(run, exchange) for run in busy)


def find_running(instance: DagsterInstance, now: datetime) -> list[RunTime]:
    """Return the runs at work that carry assets of an exchange, and how long they have been."""
    records = instance.get_run_records(dg.RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    found = []
    for record in records:
        run, began = record.dagster_run, record.start_time
        exchange = next((it.path[0] for it in run.asset_selection or ()), None)
        if exchange is None or began is None:
            continue
        started = datetime.fromtimestamp(began, UTC)
        seconds, kind = (now - started).total_seconds(), run_kind(run.tags)
        found.append(RunTime(exchange, kind, run.run_id, started, seconds, is_running=True))
    return found


def _carries(run: DagsterRun, exchange: str) -> bool:
    return any(key.path[0] == exchange for key in run.asset_selection or ())


Cell = tuple[str, str]
"""An asset and a partition."""


def _until_oldest_tick(runs: Sequence[DagsterRun]) -> Sequence[DagsterRun]:
    # Newest first; what lies before the oldest tick, such as a backfill of all history, supersedes
    # none and is not read.
    ticks = [number for number, run in enumerate(runs) if TICK_TAG in run.tags]
    return runs[: ticks[-1] + 1] if ticks else []


def _cells(instance: DagsterInstance, run: DagsterRun, kind: DagsterEventType) -> set[Cell]:
    cells: set[Cell] = set()
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(run.run_id, cursor, of_type=kind, limit=EVENT_PAGE)
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event and event.asset_key:
                cells.add((event.asset_key.to_string(), str(event.partition)))
        if not page.has_more:
            return cells
        cursor = page.cursor


def _delete(instance: DagsterInstance, run: DagsterRun) -> None:
    instance.delete_run(run.run_id)
    if not instance.is_persistent:
        return
    home = Path(instance.root_directory)
    (home / "history" / "runs" / f"{run.run_id}.db").unlink(missing_ok=True)
    shutil.rmtree(home / "storage" / run.run_id, ignore_errors=True)
    _forget_checks(home / "history" / "runs" / "index.db", run.run_id)


def _forget_checks(index: Path, run_id: str) -> None:
    # `delete_run` leaves every check's record behind (dagster 1.13.27: 2.5 kB each, 1.1 MB after
    # 40 ticks of one asset, 2026-11-25), and no call of Dagster's deletes them.
    if not index.exists():
        return
    with closing(sqlite3.connect(index, timeout=DATABASE_WAIT_SECONDS)) as connection, connection:
        connection.execute("DELETE FROM asset_check_executions WHERE run_id = ?", (run_id,))
