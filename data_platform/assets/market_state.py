"""The state files of one exchange's markets: how things stand, for other programs."""

import warnings
from typing import TYPE_CHECKING, Any

import dagster as dg

from data_platform.assets.line import OWNER, Line, asset_key, open_lake_of
from data_platform.domain.state_files import STATE_FILES
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lake import Lake

if TYPE_CHECKING:
    from data_platform.operations.health_report import ReportRules
    from data_platform.operations.state_files import StateReport

FIRST_UNREAD = 10


def market_state_key(exchange: str) -> dg.AssetKey:
    """Return the key of an exchange's state files: `binance/market_state`."""
    return dg.AssetKey([exchange, "market_state"])


def build_market_state(line: Line) -> dg.AssetsDefinition:
    """Return the asset that writes an exchange's state files, after each tick."""
    name = line.exchange.name
    # It has no partitions and rides in runs over ranges of them, which Dagster refuses to an asset
    # without this policy; the policy warns that it is beta.
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
        decorate = dg.asset(
            key=market_state_key(name),
            deps=_reads(line),
            group_name=name,
            backfill_policy=dg.BackfillPolicy.single_run(),
            kinds={"json"},
            owners=[OWNER],
            tags={"exchange": name, "layer": "market_state"},
            metadata={"dagster/column_schema": _schema()},
            required_resource_keys={"lake"},
            description=(
                f"Files for other programs, below the lake's `state/`: newest closed candles and "
                f"context of each of {line.exchange.row.title}'s markets; health, freshness and "
                "quality of all exchanges in `data_status.json` and `quality_report.json`. Each "
                "is replaced whole, so that nobody reads half a file."
            ),
        )

    @decorate
    def market_state(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from data_platform.operations.health_report import renew_report

        lake = open_lake_of(context)
        report = renew_state_files(line, lake)
        if report.unread:
            context.log.warning("\n".join(report.unread))
        page = dg.MetadataValue.path(str(renew_report(lake, _rules(line), line.clock())))
        return dg.MaterializeResult(metadata={**_metadata(report), "report": page})

    return market_state


def renew_state_files(line: Line, lake: Lake) -> "StateReport":
    """Write the state files of an exchange's markets, and those that all exchanges share.

    Raises:
        StorageError: one cannot be written, or the state database not be read.
    """
    from data_platform.operations.state_files import write_state_files

    return write_state_files(lake, _rules(line), line.clock, {line.exchange.name})


def _rules(line: Line) -> "ReportRules":
    from data_platform.config.scope import to_report_rules

    settings = line.settings
    every, allowance = settings.exchanges.values(), settings.refresh.candles
    return to_report_rules(every, allowance, settings.thresholds)


def _reads(line: Line) -> list[dg.AssetKey]:
    name, timeframes = line.exchange.name, line.exchange.timeframes
    hour = to_timeframe("1h")
    candles = [asset_key(name, "ohlcv", each) for each in timeframes]
    return [*candles, *([asset_key(name, "indicators", hour)] if hour in timeframes else [])]


def _schema() -> dg.TableSchema:
    kinds = {name: model.__doc__ or "" for name, model in STATE_FILES.items()}
    return dg.TableSchema([dg.TableColumn(name, "json", words) for name, words in kinds.items()])


def _metadata(report: "StateReport") -> dict[str, Any]:
    status = report.status
    return {
        "overall_health": status.overall_health,
        "halt_trading": status.halt_trading,
        **({} if status.quality_score is None else {"quality_score": status.quality_score}),
        "markets": len(status.markets),
        "files_written": len(report.files),
        "path": dg.MetadataValue.path(str(report.folder)),
        "data_status": dg.MetadataValue.path(str(report.folder / "data_status.json")),
        "quality_report": dg.MetadataValue.path(str(report.folder / "quality_report.json")),
        "could_not_read": report.unread[:FIRST_UNREAD],
    }
