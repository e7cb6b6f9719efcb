"""Run by NautilusTrader's own interpreter: print as JSON what it makes of a catalog."""

import json
import sys
from typing import Any

from nautilus_trader.backtest.node import (  # type: ignore[import-not-found]
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.config import LoggingConfig  # type: ignore[import-not-found]
from nautilus_trader.model.data import Bar, BarType  # type: ignore[import-not-found]
from nautilus_trader.model.enums import OrderSide  # type: ignore[import-not-found]
from nautilus_trader.model.events import OrderFilled  # type: ignore[import-not-found]
from nautilus_trader.persistence.catalog import (  # type: ignore[import-not-found]
    ParquetDataCatalog,
)
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]


class BuyThenSell(Strategy):  # type: ignore[misc]
    """Buys on the tenth bar, sells on the twentieth, and notes what it is told and when."""

    def __init__(self, bar_type: BarType) -> None:
        super().__init__()
        self.bar_type = bar_type
        self.seen: list[list[Any]] = []
        self.fills: list[list[Any]] = []

    def on_start(self) -> None:
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        self.seen.append([self.clock.timestamp_ns(), *row(bar)])
        sides = {10: OrderSide.BUY, 20: OrderSide.SELL}
        if side := sides.get(len(self.seen)):
            instrument = self.cache.instrument(self.bar_type.instrument_id)
            quantity = instrument.make_qty(0.123456789)
            self.submit_order(self.order_factory.market(instrument.id, side, quantity))

    def on_order_filled(self, event: OrderFilled) -> None:
        self.fills.append([event.ts_event, str(event.last_px), str(event.last_qty)])


def row(bar: Bar) -> list[Any]:
    values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return [bar.ts_event, bar.ts_init, *(str(value.as_decimal()) for value in values)]


def backtest(root: str, bar_type: BarType) -> BuyThenSell:
    venue = BacktestVenueConfig(
        name="BINANCE",
        oms_type="NETTING",
        account_type="CASH",
        base_currency=None,
        starting_balances=["100000 USDT"],
    )
    data = BacktestDataConfig(catalog_path=root, data_cls=Bar, bar_types=[str(bar_type)])
    config = BacktestRunConfig(
        engine=BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)),
        venues=[venue],
        data=[data],
        chunk_size=500,
    )
    node = BacktestNode([config])
    node.build()
    strategy = BuyThenSell(bar_type)
    node.get_engine(config.id).add_strategy(strategy)
    node.run()
    return strategy


def main(root: str, names: list[str]) -> None:
    catalog = ParquetDataCatalog(root)
    strategy = backtest(root, BarType.from_str(names[0]))
    january = {"start": "2024-01-31T22:00:00Z", "end": "2024-02-01T02:00:00Z"}
    found = {
        "instruments": [instrument.to_dict(instrument) for instrument in catalog.instruments()],
        "bars": {name: [row(bar) for bar in catalog.bars(bar_types=[name])] for name in names},
        "around_the_month": [bar.ts_init for bar in catalog.bars(bar_types=[names[0]], **january)],
        "intervals": {name: catalog.get_intervals(Bar, name) for name in names},
        "seen": strategy.seen,
        "fills": strategy.fills,
    }
    sys.stdout.write(json.dumps(found))


main(sys.argv[1], sys.argv[2:])
