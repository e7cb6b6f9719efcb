"""Schedules: the nightly look for what is missing or stale, the recheck, the housekeeping.

They start stopped, as is Dagster's habit, unless the config says otherwise.
"""

from collections.abc import Sequence

import dagster as dg

from data_platform.assets.agreement import neighbours_of
from data_platform.assets.candles import COMPARE_TAG
from data_platform.assets.line import Clock, Line, asset_key
from data_platform.jobs import NO_BACKUPS, candles_job_name, judge_job_name, line_job_name
from data_platform.operations.agreement import find_moved
from data_platform.operations.backlog import find_backlog, find_doubts
from data_platform.operations.lake import opened_lake
from data_platform.operations.recheck import old_candles, recent_candles
from data_platform.operations.retention import find_leaving
from data_platform.partitions import to_blocks
from data_platform.runs import BACKFILL_TAG
from data_platform.settings import Settings

NIGHTLY = "17 0 * * *"
"""After the day's last candle has closed, off the full hour at which everybody asks."""

JUDGING = "7 1 * * *"
"""After the nightly runs, which bring what is missing."""

RECHECK = "37 2 * * *"
"""When a day's corrections have been made, and the nightly run has ended."""

OLD_MONTHS_WEEKDAY = 0
"""Monday: the day on which months that are over are asked for again, too."""

PRUNING = "47 3 * * *"

BACKUP = "17 4 * * *"
"""When the night's runs are over, and before old months move."""

RETENTION = "7 5 * * *"


def build_schedules(
    settings: Settings, lines: Sequence[Line], clock: Clock
) -> list[dg.ScheduleDefinition]:
    """Return every schedule: of the project, and of each exchange."""
    return [
        build_prune_schedule(settings),
        build_backup_schedule(settings),
        build_retention_schedule(settings, clock),
        *map(build_nightly_schedule, lines),
        *map(build_judge_schedule, lines),
        *map(build_recheck_schedule, lines),
    ]


def build_nightly_schedule(line: Line) -> dg.ScheduleDefinition:
    """Return the schedule that asks for every month of which something is missing or stale."""
    name = line.exchange.name

    @dg.schedule(
        name=f"nightly_{name}_schedule",
        cron_schedule=NIGHTLY,
        execution_timezone="UTC",
        default_status=_status(line.settings),
        job_name=line_job_name(name),
        description=f"{line.exchange.row.title}: asks only for what is missing or stale.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        now, scope = line.clock(), line.settings.scope_of(line.exchange)
        with opened_lake(line.settings.data_root, line.settings.state_url) as lake:
            backlog = find_backlog(lake, scope, now)
            page_size = line.exchange.row.page_size
            doubts = find_doubts(lake, scope, page_size, now) - backlog
        if not backlog and not doubts:
            return dg.SkipReason("every month is stored and no derived layer is stale")
        # Where an old answer is only asked for again, a run of the whole line would cost seven
        # times the events; what comes of it makes the other layers stale.
        candles = [asset_key(name, "ohlcv", each) for each in line.exchange.fetched]
        blocks = [
            *((block, None) for block in to_blocks(backlog, line.exchange.pairs)),
            *((block, candles) for block in to_blocks(doubts, line.exchange.pairs)),
        ]
        day = context.scheduled_execution_time
        return [
            dg.RunRequest(
                run_key=f"{name}-{day:%Y-%m-%d}-{number}",
                asset_selection=assets,
                tags={**block.tags, BACKFILL_TAG: name},
            )
            for number, (block, assets) in enumerate(blocks)
        ]

    return nightly


def build_judge_schedule(line: Line) -> dg.ScheduleDefinition:
    """Return the schedule that judges again what came in another run than its candles."""
    name = line.exchange.name

    @dg.schedule(
        name=f"judge_{name}_schedule",
        cron_schedule=JUDGING,
        execution_timezone="UTC",
        default_status=_status(line.settings),
        job_name=judge_job_name(name),
        description=f"{line.exchange.row.title}: holds months again against finer timeframes and "
        "other exchanges where something has moved since.",
    )
    def judge(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | dg.RunRequest:
        with opened_lake(line.settings.data_root, line.settings.state_url) as lake:
            moved = next(find_moved(lake, neighbours_of(line)), None)
        if moved is None:
            return dg.SkipReason("every verdict rests on what is stored now")
        day = context.scheduled_execution_time
        return dg.RunRequest(run_key=f"{name}-judge-{day:%Y-%m-%d}", tags={BACKFILL_TAG: name})

    return judge


def build_recheck_schedule(line: Line) -> dg.ScheduleDefinition:
    """Return the schedule that asks again for stored candles, to notice what has been changed.

    The last days daily, a random choice of months that are over weekly; the choice is the date's,
    so that a retry asks for the same.
    """
    name = line.exchange.name

    @dg.schedule(
        name=f"recheck_{name}_schedule",
        cron_schedule=RECHECK,
        execution_timezone="UTC",
        default_status=_status(line.settings),
        job_name=candles_job_name(name),
        description=f"{line.exchange.row.title}: compares stored candles with the exchange's.",
    )
    def recheck(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        now, pairs, day = line.clock(), line.exchange.pairs, context.scheduled_execution_time
        with opened_lake(line.settings.data_root, line.settings.state_url) as lake:
            wanted = [recent_candles(lake, name, pairs, now)]
            if day.weekday() == OLD_MONTHS_WEEKDAY:
                wanted += old_candles(lake, name, pairs, day.date(), now)
        blocks = [(block, it.since) for it in wanted for block in to_blocks(it.cells, pairs)]
        if not blocks:
            return dg.SkipReason("nothing is stored that could be compared")
        candles = [asset_key(name, "ohlcv", each) for each in line.exchange.fetched]
        return [
            dg.RunRequest(
                run_key=f"{name}-recheck-{day:%Y-%m-%d}-{number}",
                asset_selection=candles,
                tags={
                    **block.tags,
                    COMPARE_TAG: f"{since:%Y-%m-%d}",
                    BACKFILL_TAG: name,
                },
            )
            for number, (block, since) in enumerate(blocks)
        ]

    return recheck


def build_prune_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule that prunes superseded runs of ticks, daily."""
    return dg.ScheduleDefinition(
        name="prune_runs_schedule",
        job_name="prune_runs_job",
        cron_schedule=PRUNING,
        execution_timezone="UTC",
        default_status=_status(settings),
        description="Deletes runs of ticks that newer ones have superseded.",
    )


def build_backup_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule that backs the lake up daily, where the config says to which folder."""

    @dg.schedule(
        name="back_up_schedule",
        job_name="back_up_job",
        cron_schedule=BACKUP,
        execution_timezone="UTC",
        default_status=_status(settings),
        description="Backs up the lake, its state and Dagster's storage, as `backups` says.",
    )
    def backup(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | dg.RunRequest:
        if settings.backups is None:
            return dg.SkipReason(NO_BACKUPS)
        return dg.RunRequest(run_key=f"backup-{context.scheduled_execution_time:%Y-%m-%d}")

    return backup


def build_retention_schedule(settings: Settings, clock: Clock) -> dg.ScheduleDefinition:
    """Return the schedule that archives old months daily, where the config has them leave.

    Never started by the config: what moves data away is turned on by hand.
    """

    @dg.schedule(
        name="retention_schedule",
        job_name="archive_old_months_job",
        cron_schedule=RETENTION,
        execution_timezone="UTC",
        description="Moves months that `retention` no longer keeps to archive/.",
    )
    def retention(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | dg.RunRequest:
        keep = settings.thresholds.retention
        if not keep:
            return dg.SkipReason("no timeframe has a `retention` in thresholds.yaml")
        with opened_lake(settings.data_root, settings.state_url) as lake:
            leaving = find_leaving(lake, keep, clock())
        if all(it.is_pinned for it in leaving):
            return dg.SkipReason("no month is old enough that no snapshot pins")
        return dg.RunRequest(run_key=f"retention-{context.scheduled_execution_time:%Y-%m-%d}")

    return retention


def _status(settings: Settings) -> dg.DefaultScheduleStatus:
    is_running = settings.automation == "running"
    return dg.DefaultScheduleStatus.RUNNING if is_running else dg.DefaultScheduleStatus.STOPPED
