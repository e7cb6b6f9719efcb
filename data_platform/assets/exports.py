"""Exports: the stored candles in other programs' own formats."""

import dagster as dg

from data_platform.assets.line import (
    Line,
    line_asset,
    open_lake_of,
    partitions_of,
    to_result,
)
from data_platform.converters.converter import Converter
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.dictionary import TableColumn
from data_platform.operations.export import export_layer


def build_export(line: Line, timeframe: Timeframe, converter: Converter) -> dg.AssetsDefinition:
    """Return the export asset of one program and timeframe."""
    scope = "one file per pair" if converter.scope == "pair" else "one file per pair and month"

    @line_asset(
        line,
        converter.name,
        timeframe,
        description=(
            f"{timeframe} candles for {converter.title}, {scope}, as the exchange sent them: "
            "missing candles are missing, never invented."
        ),
        columns=[TableColumn(it.name, it.type, it.description) for it in converter.columns],
        reads=[("ohlcv", timeframe)],
    )
    def export(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        partitions = partitions_of(context, line, converter.name, timeframe)
        return to_result(
            context, export_layer(open_lake_of(context), partitions, converter, line.watch)
        )

    return export
