"""Jobs: named selections for the UI, cron and CI, healing, and the housekeeping of runs."""

import time
from collections.abc import Sequence
from functools import partial

import dagster as dg
import polars as pl
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from data_platform.assets.agreement import judge_beside_others
from data_platform.assets.candles import priority_of
from data_platform.assets.line import Clock, Line, asset_key, partition_metadata
from data_platform.assets.scores import score_candles
from data_platform.checks import (
    agreement_checks,
    history_of,
    spell_failures,
    to_evaluation,
    verdicts_of,
)
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.operations.backup import back_up, source_of
from data_platform.operations.heal import due_months, find_due
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, note_step
from data_platform.operations.requests import Desk, answer_requests, waiting_requests
from data_platform.operations.retention import apply_retention, find_leaving
from data_platform.operations.update import CandleUpdate
from data_platform.partitions import to_partition_key
from data_platform.resources import source_key
from data_platform.runs import BACKFILL_TAG, HEAL_TAG, prune_superseded_runs
from data_platform.settings import Settings, dagster_home

REQUEST_JOB = "answer_requests_job"

Job = UnresolvedAssetJobDefinition | dg.JobDefinition

NO_BACKUPS = "there is no `backups` in the platform config: it names the folder to back up to"
"""Why nothing is backed up by itself."""


def build_jobs(settings: Settings, lines: Sequence[Line], clock: Clock) -> list[Job]:
    """Return every job: of the project, and of each exchange."""
    return [
        build_catalog_job(),
        build_prune_job(),
        build_request_job(lines),
        build_backup_job(settings),
        build_retention_job(settings, clock),
        *(job for line in lines for job in build_line_jobs(line)),
        *map(build_heal_job, lines),
    ]


def line_job_name(exchange: str) -> str:
    """Return the name of the job that materializes an exchange's whole line."""
    return f"materialize_{exchange}_line_job"


def candles_job_name(exchange: str) -> str:
    """Return the name of the job that fetches an exchange's candles and computes nothing."""
    return f"fetch_{exchange}_candles_job"


def judge_job_name(exchange: str) -> str:
    """Return the name of the job that holds all of an exchange's candles against others."""
    return f"judge_{exchange}_candles_job"


def heal_job_name(exchange: str) -> str:
    """Return the name of the job that asks again for all that an exchange's candles lack."""
    return f"heal_{exchange}_gaps_job"


def build_line_jobs(line: Line) -> list[UnresolvedAssetJobDefinition]:
    """Return an exchange's jobs: the whole line, its candles alone, their verdicts alone."""
    exchange = line.exchange
    candles = [asset_key(exchange.name, "ohlcv", each) for each in exchange.timeframes]
    return [
        dg.define_asset_job(
            line_job_name(exchange.name),
            selection=dg.AssetSelection.groups(exchange.name),
            description=f"{exchange.row.title}: candles, derived layers and exports of the "
            "chosen partitions; asks only for what is missing.",
        ),
        dg.define_asset_job(
            candles_job_name(exchange.name),
            selection=dg.AssetSelection.assets(*candles),
            description=f"{exchange.row.title}: only the candles of the chosen partitions.",
        ),
        dg.define_asset_job(
            judge_job_name(exchange.name),
            selection=dg.AssetSelection.checks(*agreement_checks(line)),
            description=f"{exchange.row.title}: holds every month again against finer timeframes "
            "and other exchanges of which something has moved; fetches nothing.",
        ),
    ]


def build_heal_job(line: Line) -> dg.JobDefinition:
    """Return the job that asks for every due gap of an exchange's candles, however long.

    It needs no choice of partitions: it finds the months itself, and each counts as materialized.
    """
    name = line.exchange.name
    source = source_key(name)

    @dg.op(name=f"heal_{name}_gaps", required_resource_keys={"lake", source}, pool=name)
    def heal_gaps(context: dg.OpExecutionContext) -> None:
        lake: Lake = context.resources.lake.open(context.run_id)
        opened = getattr(context.resources, source).open
        open_source = partial(opened, lake.breakers, priority_of(context.run.tags))
        rules, due = line.settings.rules_of(line.exchange), find_due_of(line, lake)
        failures: dict[Partition, str] = {}
        for timeframe in line.exchange.fetched:
            partitions = due_months(due, name, timeframe)
            if not partitions:
                continue
            update = CandleUpdate(lake, open_source, rules, line.watch, line.clock)
            report = update.run(partitions)
            judge_beside_others(line, lake, report, is_tick=False)
            score_candles(line, lake, timeframe, report, is_tick=False)
            note_step(lake, name, HEAL_TAG, report)
            _record(context, line, lake, report)
            failures |= report.failures
        if failures:
            raise dg.Failure(spell_failures(failures))

    @dg.job(
        name=heal_job_name(name),
        tags={HEAL_TAG: name, BACKFILL_TAG: name},
        description=f"{line.exchange.row.title}: asks again for all candles that are missing and "
        "due, of every pair, timeframe and month; needs no choice of partitions.",
    )
    def heal_gaps_job() -> None:
        heal_gaps()

    return heal_gaps_job


def find_due_of(line: Line, lake: Lake) -> pl.DataFrame:
    """Return every part of a gap of an exchange's candles that is to be asked for now."""
    exchange = line.exchange
    wanted = [
        Series(exchange.name, pair, each) for pair in exchange.pairs for each in exchange.fetched
    ]
    return find_due(lake, history_of(line), wanted, exchange.row.page_size, line.clock())


def _record(context: dg.OpExecutionContext, line: Line, lake: Lake, report: LayerReport) -> None:
    keys: dict[dg.AssetKey, set[str]] = {}
    for part in report.partitions:
        series, month = part.partition.series, part.partition.period
        asset, key = (
            asset_key(series.exchange, "ohlcv", series.timeframe),
            to_partition_key(series.pair, month),
        )
        keys.setdefault(asset, set()).add(key)
        context.log_event(
            dg.AssetMaterialization(asset, partition=key, metadata=partition_metadata(part))
        )
    for asset, carried in keys.items():
        for _, verdict in verdicts_of(lake, line, {asset}, carried):
            context.instance.report_runless_asset_event(to_evaluation(asset, verdict))
    for alert in report.alerts:
        context.log.warning(alert)


def build_catalog_job() -> UnresolvedAssetJobDefinition:
    """Return the job that rebuilds the DuckDB catalogue."""
    return dg.define_asset_job(
        "rebuild_catalog_job",
        selection=dg.AssetSelection.assets("catalog"),
        description="Rebuild the DuckDB catalogue: views and macros, no data.",
    )


def build_request_job(lines: Sequence[Line]) -> dg.JobDefinition:
    """Return the job that answers the request files that wait."""

    @dg.op(name="answer_requests", required_resource_keys={"lake"})
    def answer_waiting(context: dg.OpExecutionContext) -> None:
        lake: Lake = context.resources.lake.open(context.run_id)
        histories = {it.exchange.name: history_of(it) for it in lines}
        settings = lines[0].settings
        column = settings.thresholds.profiles.default_column
        desk = Desk(lake, settings.known, histories, column)
        paths = waiting_requests(desk.folder, time.time())
        for answer in answer_requests(desk, paths, lines[0].clock()):
            words = answer.error or f"{answer.rows} rows in {answer.output_path}"
            context.log.info("%s %s: %s", answer.request_id, answer.status, words)

    @dg.job(
        name=REQUEST_JOB,
        description="Answer the files in requests/ below the lake's root, each by a file in "
        "requests/answers/.",
    )
    def answer_requests_job() -> None:
        answer_waiting()

    return answer_requests_job


def build_prune_job() -> dg.JobDefinition:
    """Return the job that deletes runs of ticks whose partitions newer runs have written again."""

    @dg.op
    def prune_runs(context: dg.OpExecutionContext) -> None:
        pruned = prune_superseded_runs(context.instance)
        context.log.info("%s superseded runs pruned", len(pruned))

    @dg.job(description="Delete superseded runs of ticks, so that event storage stops growing.")
    def prune_runs_job() -> None:
        prune_runs()

    return prune_runs_job


def build_backup_job(settings: Settings) -> dg.JobDefinition:
    """Return the job that makes one more backup where the config says, while others write."""

    @dg.op
    def back_up_lake(context: dg.OpExecutionContext) -> None:
        if settings.backups is None:
            raise dg.Failure(NO_BACKUPS, allow_retries=False)
        source = source_of(settings.data_root, settings.state_url, dagster_home())
        made = back_up(source, settings.backups.folder, keep=settings.backups.keep)
        context.log.info(made.spelled())
        faults = [f"{fault.path}: {fault.reason}" for fault in made.generation.faults]
        if faults:
            raise dg.Failure(f"The backup is made, without {', '.join(faults)}.")

    @dg.job(description="Back up the lake, its state and Dagster's storage, as `backups` says.")
    def back_up_job() -> None:
        back_up_lake()

    return back_up_job


def build_retention_job(settings: Settings, clock: Clock) -> dg.JobDefinition:
    """Return the job that moves what config no longer keeps among the tables to the archive."""

    @dg.op(required_resource_keys={"lake"})
    def archive_old_months(context: dg.OpExecutionContext) -> None:
        lake: Lake = context.resources.lake.open(context.run_id)
        leaving = find_leaving(lake, settings.thresholds.retention, clock())
        failures = apply_retention(lake, leaving)
        pinned = sum(it.is_pinned for it in leaving)
        moved = len(leaving) - pinned - len(failures)
        context.log.info("%s partitions moved to archive/, %s stay pinned", moved, pinned)
        if failures:
            raise dg.Failure(" ".join(failures))

    @dg.job(description="Move months that `retention` no longer keeps to archive/.")
    def archive_old_months_job() -> None:
        archive_old_months()

    return archive_old_months_job
