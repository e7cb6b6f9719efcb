"""The simulated exchanges under one clock that tests turn, and updates that ask them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.operations.lake import Lake
from data_platform.operations.plan import UpdateRules
from data_platform.operations.report import LayerReport
from data_platform.operations.update import CandleUpdate
from data_platform.operations.watch import Watch, nobody_watches
from data_platform.quality.standards import Standards
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import Simulator
from data_platform.sources.access import Access, Retry
from data_platform.sources.ccxt_source import CcxtSource
from data_platform_tests.factories import GRACE, series_of, time
from data_platform_tests.quotes import QUOTES

NOW = time("2024-03-15 10:07:23")
LISTED = time("2024-02-11 13:37")
"""When NEW was listed; BTC and DOGE were always there."""

EXCHANGES = tuple(QUOTES)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Venues:
    simulator: Simulator
    clock: Clock
    opened: int = 0
    """Sources opened since the last rewind."""
    _asked: dict[str, int] = field(default_factory=dict)

    def rewind(self) -> None:
        self.clock.now = NOW
        self.opened = 0
        self._asked = self.simulator.candle_requests

    def asked(self, exchange: str) -> int:
        """How many candle requests an exchange had since this was last asked."""
        now = self.simulator.candle_requests
        new = now[exchange] - self._asked.get(exchange, 0)
        self._asked = now
        return new

    def open(self, exchange: str) -> CcxtSource:
        self.opened += 1
        return CcxtSource(
            Access(
                exchange=exchange_row(exchange),
                requests_per_minute=600_000,
                base_url=f"{self.simulator.url}/{exchange}",
                timeout=timedelta(seconds=10),
                grace=GRACE,
                concurrency=8,
                retry=Retry(pause=timedelta(milliseconds=10)),
            )
        )

    def update(
        self,
        lake: Lake,
        partitions: Sequence[Partition],
        *,
        start: datetime | None = None,
        compare_from: datetime | None = None,
        watch: Watch | None = None,
        only: Mapping[Series, Sequence[TimeRange]] | None = None,
    ) -> LayerReport:
        exchange = partitions[0].series.exchange
        return CandleUpdate(
            lake,
            lambda: self.open(exchange),
            rules_of(partitions, start=start, compare_from=compare_from, only=only),
            watch or nobody_watches(),
            clock=self.clock,
        ).run(partitions)

    def truth(self, series: Series, start: datetime, end: datetime) -> pl.DataFrame:
        return self.simulator.candles(series, start, end)


def rules_of(
    partitions: Sequence[Partition],
    *,
    start: datetime | None = None,
    compare_from: datetime | None = None,
    only: Mapping[Series, Sequence[TimeRange]] | None = None,
) -> UpdateRules:
    first = start or min(partition.period.start for partition in partitions)
    pairs = {partition.series.pair for partition in partitions}
    return UpdateRules(
        exchange=exchange_row(partitions[0].series.exchange),
        grace=GRACE,
        starts=dict.fromkeys(pairs, first),
        limits=Standards(),
        compare_from=compare_from,
        only=only,
    )


def market(exchange: str, timeframe: str = "1h", base: str = "BTC") -> Series:
    return series_of(exchange, f"{base}/{QUOTES[exchange]}", timeframe)


def simulator_config() -> tuple[SimulatorConfig, Clock]:
    clock = Clock()
    exchanges = {}
    for name, quote in QUOTES.items():
        pairs = tuple(Pair(f"{base}/{quote}") for base in ("BTC", "DOGE", "NEW"))
        exchanges[name] = SimulatedExchange(name, pairs, {pairs[2]: LISTED})
    return SimulatorConfig(exchanges, seed=5, clock=clock), clock
