"""The DuckDB catalogue: views and macros over the lake, no data of its own."""

import dagster as dg

from data_platform.assets.line import OWNER
from data_platform.domain.candles import COLUMN_DESCRIPTIONS


def build_catalog_asset() -> dg.AssetsDefinition:
    """Return the catalogue asset; rebuilt by its own run, not by ticks."""

    @dg.asset(
        key="catalog",
        group_name="lake",
        kinds={"duckdb"},
        owners=[OWNER],
        tags={"layer": "catalog"},
        metadata={"dagster/column_schema": dg.TableSchema(_columns())},
        required_resource_keys={"lake"},
        description=(
            "`catalog.duckdb`: macros such as candles(exchange, timeframe, pair) and views over "
            "all series. Holds no rows; any DuckDB opens it read-only beside the Parquet files."
        ),
    )
    def catalog(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from data_platform.storage.catalog import build_catalog

        path = build_catalog(context.resources.lake.open(context.run.run_id).store.root)
        return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(path))})

    return catalog


def _columns() -> list[dg.TableColumn]:
    keys = {
        "exchange": "Our name of the exchange; first argument of every macro.",
        "timeframe": "1m to 1d; second argument.",
        "pair": "BTC-USDT; third argument.",
    }
    return [
        *(dg.TableColumn(name, "VARCHAR", words) for name, words in keys.items()),
        dg.TableColumn("open_time", "TIMESTAMP WITH TIME ZONE", COLUMN_DESCRIPTIONS["open_time"]),
    ]
