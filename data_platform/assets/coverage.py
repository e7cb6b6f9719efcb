"""A picture of what is stored, in the metadata of the candle assets."""

import dagster as dg

from data_platform.assets.line import Line, open_lake_of
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.health_report import Watched, draw_coverage


def show_coverage(context: dg.AssetExecutionContext, line: Line, timeframe: Timeframe) -> None:
    """Put a picture of what is stored of all pairs beside the run's last partition.

    One picture of some KB a run is enough, at its newest materialization, which the UI shows.
    """
    exchange, rules = line.exchange, line.settings.score_rules_of(line.exchange)
    own = [series for series in exchange.series if series.timeframe == timeframe]
    watched = Watched(exchange.name, rules.history, own, rules.fresh)
    drawn = draw_coverage(open_lake_of(context), watched, line.clock())
    # Dagster keeps a run's partitions as a set and tells of them in its order: so does this.
    told = line.partitions.subset_with_partition_keys(context.partition_keys).get_partition_keys()
    *_, last = told
    context.add_asset_metadata({"coverage": dg.MetadataValue.md(drawn)}, partition_key=last)
