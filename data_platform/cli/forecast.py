"""What a download would cost, as the table of `download --dry-run`; nothing is sent or written."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from rich.table import Table

from data_platform.cli.orders import Order
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.estimate import Cost, estimate_coarser, estimate_update
from data_platform.operations.lake import Lake, looked_at_lake
from data_platform.operations.report import spell_causes
from data_platform.settings import Settings

EXPLANATION = (
    "At most: months before a pair's listing turn out empty after a few requests. Retries, and "
    "about five requests a process for the exchange's clock and pairs, come on top."
)

MEGABYTE = 1_000_000


def foretell(settings: Settings, orders: Sequence[Order], now: datetime) -> dict[str, Cost]:
    """Return what each exchange's order would cost, by exchange.

    Raises:
        StorageError: the state database cannot be read.
    """
    with looked_at_lake(settings.data_root, settings.state_url) as lake:
        return {order.exchange: _cost(lake, settings, order, now) for order in orders}


def to_table(settings: Settings, orders: Sequence[Order], costs: Mapping[str, Cost]) -> Table:
    """Return the costs as a table, one row per exchange."""
    table = Table("exchange")
    for title in ("requests", "a minute at most", "minutes", "candles", "MB on disk"):
        table.add_column(title, justify="right")
    for order in orders:
        cost = costs[order.exchange]
        rate = settings.exchanges[order.exchange].requests_per_minute
        minutes = cost.duration(rate).total_seconds() / 60
        table.add_row(
            order.exchange,
            f"{cost.requests:,}",
            f"{rate:,.0f}",
            f"{minutes:,.1f}",
            f"{cost.candles:,}",
            f"{cost.stored_bytes(order.layers) / MEGABYTE:,.1f}",
        )
    return table


def spell_unread(costs: Mapping[str, Cost]) -> list[str]:
    """Return one line for each cause for which something could not be counted."""
    causes = [line for cost in costs.values() for line in spell_causes(cost.unread)]
    return [f"{line} It is not counted above." for line in causes]


def _cost(lake: Lake, settings: Settings, order: Order, now: datetime) -> Cost:
    exchange = settings.exchanges[order.exchange]
    if "ohlcv" not in order.layers:
        return Cost()
    since = order.periods[0].start if order.full else None
    rules = replace(settings.rules_of(exchange), compare_from=since)
    total = Cost()
    for timeframe in order.timeframes:
        estimate = estimate_coarser if timeframe in exchange.derive else estimate_update
        total += estimate(lake, _partitions(order, timeframe), rules, now)
    return total


def _partitions(order: Order, timeframe: Timeframe) -> list[Partition]:
    return [
        Partition("ohlcv", Series(order.exchange, pair, timeframe), period)
        for pair in order.pairs
        for period in order.periods
    ]
