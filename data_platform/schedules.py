"""Schedules: the nightly look for what is missing or stale, and the daily pruning of runs.

They start stopped, as is Dagster's habit, unless the config says otherwise.
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from data_platform.assets.line import Line, asset_key
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period
from data_platform.jobs import line_job_name
from data_platform.operations.backlog import find_backlog, find_doubts
from data_platform.operations.lake import opened_lake
from data_platform.partitions import PartitionRange, to_ranges
from data_platform.runs import BACKFILL_TAG
from data_platform.settings import Settings

NIGHTLY = "17 0 * * *"
"""After the day's last candle has closed, off the full hour at which everybody asks."""

PRUNING = "47 3 * * *"


def build_schedules(settings: Settings, lines: Sequence[Line]) -> list[dg.ScheduleDefinition]:
    """Return every schedule: of the project, and of each exchange."""
    return [build_prune_schedule(settings), *map(build_nightly_schedule, lines)]


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
        candles = [asset_key(name, "ohlcv", each) for each in scope.fetched]
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


def _status(settings: Settings) -> dg.DefaultScheduleStatus:
    is_running = settings.automation == "running"
    return dg.DefaultScheduleStatus.RUNNING if is_running else dg.DefaultScheduleStatus.STOPPED


def to_blocks(
    backlog: Iterable[tuple[Pair, Period]], defined: tuple[Pair, ...]
) -> list[PartitionRange]:
    """Return ranges that hold the backlog: neighbouring pairs with the same months share one.

    Months in between that need nothing are carried along; they cost no request and no write.
    """
    months: dict[Pair, list[Period]] = {}
    for pair, period in backlog:
        months.setdefault(pair, []).append(period)
    spans: dict[tuple[Period, Period], list[Pair]] = {}
    for pair, periods in sorted(months.items()):
        spans.setdefault((min(periods), max(periods)), []).append(pair)
    blocks: list[PartitionRange] = []
    for (first, last), pairs in spans.items():
        blocks += to_ranges(pairs, first, last, defined)
    return blocks
