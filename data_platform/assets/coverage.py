"""A picture of what is stored, in the metadata of the candle assets."""

from dataclasses import replace

import dagster as dg

from data_platform.assets.line import Line, open_lake_of
from data_platform.config.scope import to_watched
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.health_report import draw_coverage


def show_coverage(context: dg.AssetExecutionContext, line: Line, timeframe: Timeframe) -> None:
    """Put a picture of what is stored of all pairs beside the run's last partition.

    That one is the asset's newest materialization, and one picture a run is enough: 3 KB.
    """
    settings = line.settings
    watched = to_watched(line.exchange, settings.refresh.candles, settings.thresholds)
    own = [it for it in watched.series if it.timeframe == timeframe]
    drawn = draw_coverage(open_lake_of(context), replace(watched, series=own), line.clock())
    last = context.partition_keys[-1]
    context.add_asset_metadata({"coverage": dg.MetadataValue.md(drawn)}, partition_key=last)
