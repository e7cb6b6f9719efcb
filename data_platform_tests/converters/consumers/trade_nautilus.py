"""Run by NautilusTrader's own interpreter: trade given signals in its engine, print JSON.

Arguments: the catalog, a bar type, file of signals (by the closing time of their bar).
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.engine import (  # type: ignore[import-not-found]
    BacktestEngine,
    BacktestEngineConfig,
)
from nautilus_trader.config import LoggingConfig  # type: ignore[import-not-found]
from nautilus_trader.model.currencies import USDT  # type: ignore[import-not-found]
from nautilus_trader.model.data import Bar, BarType  # type: ignore[import-not-found]
from nautilus_trader.model.enums import (  # type: ignore[import-not-found]
    AccountType,
    OmsType,
    OrderSide,
)
from nautilus_trader.model.events import OrderFilled  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Money  # type: ignore[import-not-found]
from nautilus_trader.persistence.catalog import (  # type: ignore[import-not-found]
    ParquetDataCatalog,
)
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]


class GivenSignals(Strategy):  # type: ignore[misc]
    """Buys and sells on the bars that close at given times."""

    def __init__(self, bar_type: BarType, signals: dict[str, list[str]]) -> None:
        super().__init__()
        self.bar_type = bar_type
        self.signals = signals
        self.fills: list[list[Any]] = []

    def on_start(self) -> None:
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        closed = spell(bar.ts_init)
        for side, times in ((OrderSide.BUY, "entries"), (OrderSide.SELL, "exits")):
            if closed in self.signals[times]:
                instrument = self.cache.instrument(self.bar_type.instrument_id)
                order = self.order_factory.market(instrument.id, side, instrument.make_qty(0.1))
                self.submit_order(order)

    def on_order_filled(self, event: OrderFilled) -> None:
        self.fills.append([spell(event.ts_event), float(event.last_px.as_decimal())])


def spell(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 10**9, UTC).isoformat()


def main(root: str, name: str, signals: dict[str, list[str]]) -> None:
    catalog, bar_type = ParquetDataCatalog(root), BarType.from_str(name)
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=bar_type.instrument_id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=None,
        starting_balances=[Money(1_000_000, USDT)],
    )
    engine.add_instrument(catalog.instruments(instrument_ids=[str(bar_type.instrument_id)])[0])
    engine.add_data(catalog.bars(bar_types=[name]))
    strategy = GivenSignals(bar_type, signals)
    engine.add_strategy(strategy)
    engine.run()
    fills = strategy.fills
    trades = [[*fills[at], *fills[at + 1]] for at in range(0, len(fills) - 1, 2)]
    sys.stdout.write(json.dumps(trades))
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text()))
