"""What the traded volume says about the price: money flow."""

import polars as pl

from data_platform.indicators.indicator import PERCENT, Column, Indicator, Parameter, Recipe
from data_platform.indicators.momentum import typical_price
from data_platform.indicators.windows import lagged, ratio, window_sum


def money_flow_index(rows: int) -> Recipe:
    """Return the recipe of the MFI; null where nothing was traded at a changed price."""
    name = f"mfi_{rows}"
    column = Column(name, PERCENT, f"Share of money at rising prices, last {rows} candles.")
    typical, flow = pl.col("typical"), pl.col("typical") * pl.col("volume")
    before = lagged(typical)
    flows = (
        pl.when(typical > before).then(flow).otherwise(0.0).alias("into"),
        pl.when(typical < before).then(flow).otherwise(0.0).alias("out_of"),
    )
    sums = (
        window_sum(pl.col("into"), rows, first=1).alias("sum_into"),
        window_sum(pl.col("out_of"), rows, first=1).alias("sum_out_of"),
    )
    share = 100 * ratio(pl.col("sum_into"), pl.col("sum_into") + pl.col("sum_out_of"))
    steps = ((typical_price().alias("typical"),), flows, sums, (share.alias(name),))
    return Recipe((column,), rows, steps)


INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="mfi",
        title="Money flow index",
        parameters=(Parameter("rows"),),
        source="https://chartschool.stockcharts.com/table-of-contents/"
        "technical-indicators-and-overlays/technical-indicators/money-flow-index-mfi",
        build=money_flow_index,
    ),
)
