"""Reads, from built definitions, the facts that an asset shows in the UI."""

import dagster as dg

from data_platform_tests.small_line import SmallLine


def spec_of(line: SmallLine, table: str) -> dg.AssetSpec:
    key = dg.AssetKey(["binance", table])
    return next(spec for spec in line.definitions.resolve_all_asset_specs() if spec.key == key)


def columns_of(line: SmallLine, table: str) -> list[str]:
    schema = spec_of(line, table).metadata["dagster/column_schema"]
    return [column.name for column in getattr(schema, "value", schema).columns]


def reads_of(line: SmallLine, table: str) -> set[str]:
    return {dep.asset_key.path[-1] for dep in spec_of(line, table).deps}


def pool_of(line: SmallLine, table: str) -> str | None:
    graph = line.definitions.resolve_asset_graph()
    pools = graph.get(dg.AssetKey(["binance", table])).pools
    return next(iter(pools or ()), None)
