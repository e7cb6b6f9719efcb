"""What every asset of an exchange shares: its partitions, its facts for the UI, its results.

Holds the decorator's arguments and the metadata; no layer's own words.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg

from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.column_facts import column_facts
from data_platform.operations.derive import derive_layer
from data_platform.operations.dictionary import TableColumn
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe
from data_platform.operations.report import (
    LayerReport,
    PartitionReport,
    PartitionScore,
    note_step,
    spell_causes,
)
from data_platform.operations.watch import Watch
from data_platform.partitions import partitions_of_run, to_partition_key
from data_platform.settings import ExchangeSettings, Settings

OWNER = "team:market-data"
FIRST_FAILURES = 10
DAY_SECONDS = 86_400
REFUSED_ROWS = "refused_rows"
"""Under this name a partition's metadata tells how many rows its audit refused."""

TABLES = ("ohlcv", "filled", "indicators", "features")
"""Layers in the lake's own format; the others are exports."""

COMPUTED = ("indicators", "features")
"""Layers whose columns are told of in the metadata of their partitions."""

RUN_KINDS = ("tick", "heal", "stale", "compare_from", "backfill")
"""Tags that tell who asked for a run, the most telling first."""

MANUAL = "manual"
"""The kind of a run that a person started."""

Materialize = Callable[[dg.AssetExecutionContext], dg.MaterializeResult[None]]
"""The function of an asset that stores its own content."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Line:
    """One exchange's part of the graph, as its factories need it."""

    exchange: ExchangeSettings
    settings: Settings
    partitions: dg.PartitionsDefinition
    watch: Watch
    clock: Clock
    """Gives the time, UTC, by which automation and checks judge."""


def run_kind(tags: Mapping[str, str]) -> str:
    """Return who asked for a run, by its tags."""
    return next((tag for tag in RUN_KINDS if tag in tags), MANUAL)


def utc_now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(tz=UTC)


def asset_key(exchange: str, layer: str, timeframe: Timeframe) -> dg.AssetKey:
    """Return the key of a layer's table: `binance/ohlcv_1h`."""
    return dg.AssetKey([exchange, f"{layer}_{timeframe}"])


def line_asset(  # noqa: PLR0913  # the facts of a table, all by name
    line: Line,
    layer: str,
    timeframe: Timeframe,
    *,
    description: str,
    columns: Sequence[TableColumn],
    reads: Sequence[tuple[str, Timeframe]],
    source: str | None = None,
) -> Callable[[Materialize], dg.AssetsDefinition]:
    """Return the decorator of one layer and timeframe of a line.

    Args:
        line: the exchange.
        layer: a name of `LAYERS`.
        timeframe: of its candles.
        description: what a trader reads in the UI.
        columns: the table's schema.
        reads: the layers and timeframes it depends on.
        source: resource key of the exchange, of assets that fetch; they share its pool.
    """
    # `BackfillPolicy` warns that it is beta: 168 times, and it tells nobody more.
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
        decorator = dg.asset(
            key=asset_key(line.exchange.name, layer, timeframe),
            deps=[asset_key(line.exchange.name, *read) for read in reads],
            group_name=line.exchange.name,
            partitions_def=line.partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            description=description,
            kinds={"parquet", "polars"} if layer in TABLES else {layer},
            owners=[OWNER],
            tags={"exchange": line.exchange.name, "layer": layer, "timeframe": timeframe.name},
            op_tags={"dagster/priority": str(_priority(layer, timeframe))},
            code_version=str(LAYERS_BY_NAME[layer].code_version),
            metadata=_facts(columns, line.exchange if source else None, timeframe),
            required_resource_keys={"lake", source} if source else {"lake"},
            pool=line.exchange.name if source else None,
        )
    return cast("Callable[[Materialize], dg.AssetsDefinition]", decorator)


def partitions_of(
    context: dg.AssetExecutionContext, line: Line, layer: str, timeframe: Timeframe
) -> tuple[Partition, ...]:
    """Return what this step is to materialize."""
    return partitions_of_run(context.partition_keys, layer, line.exchange.name, timeframe)


def build_derived(
    line: Line,
    layer: str,
    timeframe: Timeframe,
    recipes: Sequence[Recipe],
    decorate: Callable[[Materialize], dg.AssetsDefinition],
) -> dg.AssetsDefinition:
    """Return the asset of a layer that recipes compute.

    Args:
        line: the exchange.
        layer: a name of `LAYERS`.
        timeframe: of the candles.
        recipes: how the layer is made; several for several feature sets.
        decorate: of `line_asset`.
    """

    @decorate
    def derived(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        partitions = partitions_of(context, line, layer, timeframe)
        report = derive_layer(open_lake_of(context), partitions, recipes, line.watch)
        return to_result(context, report)

    return derived


def open_lake_of(context: dg.AssetExecutionContext) -> Lake:
    """Open the lake in the name of the run."""
    lake: Lake = context.resources.lake.open(context.run.run_id)
    return lake


def to_result(context: dg.AssetExecutionContext, report: LayerReport) -> dg.MaterializeResult[None]:
    """Return a step's result: metadata of each partition, and the sums of the run.

    The same sums go into the log of runs.
    """
    kind = run_kind(context.run.tags)
    note_step(open_lake_of(context), context.asset_key.path[0], kind, report)
    for part in report.partitions:
        key = to_partition_key(part.partition.series.pair, part.partition.period)
        context.add_asset_metadata(partition_metadata(part), partition_key=key)
    for alert in report.alerts:
        context.log.warning(alert)
    return dg.MaterializeResult(
        metadata={
            "written": report.count("written"),
            "unchanged": report.count("unchanged"),
            "failed": len(report.failures),
            "candle_requests": report.requests,
            "candles_fetched": report.candles,
            "failed_attempts": sum(report.faults.values()),
            "failed_attempts_by_kind": dict(report.faults),
            "alerts": report.alerts[:FIRST_FAILURES],
            "failures": spell_causes(report.failures)[:FIRST_FAILURES],
        }
    )


def partition_metadata(part: PartitionReport) -> dict[str, Any]:
    """Return what the UI tells of a partition."""
    return {
        "dagster/partition_row_count": part.rows,
        "status": part.outcome,
        "first_open_time": part.first.isoformat() if part.first else "none",
        "last_open_time": part.last.isoformat() if part.last else "none",
        "missing_candles": part.missing,
        REFUSED_ROWS: part.refused,
        **(_score_metadata(part.score) if part.score else {}),
        # The whole story of a candle: `data-platform history`.
        **({"rewritten": list(part.rewrites)} if part.rewrites else {}),
        **({"lag_seconds": part.lag.total_seconds()} if part.lag else {}),
        **({"code_version": part.code_version} if part.code_version else {}),
        **_columns(part),
        "path": dg.MetadataValue.path(str(part.path)) if part.path else "no file: no rows",
    }


def _columns(part: PartitionReport) -> dict[str, Any]:
    """Return the null share and the range of each computed column; one entry a feature set."""
    if part.partition.layer not in COMPUTED or part.path is None:
        return {}
    name = f"columns_{part.partition.feature_set}" if part.partition.feature_set else "columns"
    return {name: dg.MetadataValue.json(column_facts(part.path))}


def _score_metadata(score: PartitionScore) -> dict[str, Any]:
    # A number that is absent would be no point of the UI's plot: it is left out.
    value = {} if score.value is None else {"quality_score": score.value}
    absent = {"absent_components": score.absent} if score.absent else {}
    return {**value, **score.components, **absent}


def _priority(layer: str, timeframe: Timeframe) -> int:
    # Candles are awaited, the finest most: at a full hour those of 1m would wait for five others.
    return DAY_SECONDS // timeframe.seconds if layer == "ohlcv" else 0


def _facts(
    columns: Sequence[TableColumn], asked: ExchangeSettings | None, timeframe: Timeframe
) -> dict[str, Any]:
    facts = {"dagster/column_schema": _schema(columns)}
    return facts if asked is None else {**facts, "source_card": _source_card(asked, timeframe)}


def _source_card(exchange: ExchangeSettings, timeframe: Timeframe) -> dg.JsonMetadataValue:
    row, reach = exchange.row, exchange.reach(timeframe)
    newest = f"its newest {row.history_candles} candles: {reach}"
    quiet = {"flat": "a candle without volume", "omitted": "no candle"}
    return dg.MetadataValue.json(
        {
            "candles a request": row.page_size,
            "requests a minute": exchange.requests_per_minute,
            "history": newest if reach else "everything since the listing",
            "a time without trades": quiet[row.quiet_candle],
        }
    )


def _schema(columns: Sequence[TableColumn]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(it.name, it.type, it.description) for it in columns])
