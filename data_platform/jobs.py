"""Jobs: named selections for the UI, cron and CI, and the housekeeping of runs."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from data_platform.assets.line import Line, asset_key
from data_platform.runs import prune_superseded_runs

Job = UnresolvedAssetJobDefinition | dg.JobDefinition


def build_jobs(lines: Sequence[Line]) -> list[Job]:
    """Return every job: of the project, and of each exchange."""
    return [
        build_catalog_job(),
        build_prune_job(),
        *(job for line in lines for job in build_line_jobs(line)),
    ]


def line_job_name(exchange: str) -> str:
    """Return the name of the job that materializes an exchange's whole line."""
    return f"materialize_{exchange}_line_job"


def candles_job_name(exchange: str) -> str:
    """Return the name of the job that fetches an exchange's candles and computes nothing."""
    return f"fetch_{exchange}_candles_job"


def build_line_jobs(line: Line) -> list[UnresolvedAssetJobDefinition]:
    """Return an exchange's jobs: the whole line, and its candles alone."""
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
    ]


def build_catalog_job() -> UnresolvedAssetJobDefinition:
    """Return the job that rebuilds the DuckDB catalogue."""
    return dg.define_asset_job(
        "rebuild_catalog_job",
        selection=dg.AssetSelection.assets("catalog"),
        description="Rebuild the DuckDB catalogue: views and macros, no data.",
    )


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
