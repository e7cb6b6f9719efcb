"""The DuckDB catalogue: views and macros over the lake, no data of its own."""

import dagster as dg

from data_platform.assets.line import OWNER


def build_catalog_asset() -> dg.AssetsDefinition:
    """Return the catalogue asset; rebuilt by its own run, not by ticks."""

    @dg.asset(
        key="catalog",
        group_name="lake",
        kinds={"duckdb"},
        owners=[OWNER],
        required_resource_keys={"lake"},
        description=(
            "`catalog.duckdb`: macros such as candles(exchange, timeframe, pair) and views over "
            "all series. Holds no rows; any DuckDB opens it read-only beside the Parquet files."
        ),
    )
    def catalog(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from data_platform.storage.catalog import build_catalog

        path = build_catalog(context.resources.lake.open(context.run_id).store.root)
        return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(path))})

    return catalog
