"""One small simulator for every test of this room, and ccxt pointed at it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

import polars as pl

from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.config import ReplayKey, SimulatedExchange, SimulatorConfig
from data_platform_tests.quotes import QUOTES

T = TypeVar("T")
Clock: TypeAlias = datetime | Callable[[], datetime]
Rows: TypeAlias = list[list[float]]

NOW = datetime(2024, 3, 15, 10, 7, 23, 456_000, tzinfo=UTC)
LISTED = datetime(2024, 3, 11, 13, 37, tzinfo=UTC)
"""When LINK was listed; BTC was always there."""

EXCHANGES = tuple(QUOTES)


def pair_of(exchange: str, base: str = "BTC") -> Pair:
    return Pair(f"{base}/{QUOTES[exchange]}")


def series_of(exchange: str, timeframe: str, base: str = "BTC") -> Series:
    return Series(exchange, pair_of(exchange, base), to_timeframe(timeframe))


def config(
    clock: Clock = NOW, replay: Mapping[ReplayKey, pl.DataFrame] | None = None, seed: int = 11
) -> SimulatorConfig:
    return SimulatorConfig(
        exchanges={
            name: SimulatedExchange(
                name,
                (pair_of(name), pair_of(name, "LINK"), pair_of(name, "DOGE")),
                listed_at={pair_of(name, "LINK"): LISTED},
            )
            for name in EXCHANGES
        },
        seed=seed,
        clock=clock,
        replay=replay or {},
    )


def ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def rows_of(frame: pl.DataFrame) -> Rows:
    return [[ms(time), *numbers] for time, *numbers in frame.rows()]


class Client(Protocol):
    """What these tests use of ccxt's async class."""

    markets: dict[str, dict[str, Any]]

    async def load_markets(self) -> dict[str, dict[str, Any]]: ...
    async def fetch_time(self) -> int: ...
    async def fetch_ohlcv(
        self,
        symbol: str,
        timeframe: str,
        since: int | None = None,
        limit: int | None = None,
        params: dict[str, str] = ...,
    ) -> Rows: ...
    async def close(self) -> None: ...


class SyncClient(Protocol):
    """What these tests use of ccxt's sync class."""

    def load_markets(self) -> dict[str, dict[str, Any]]: ...
    def fetch_time(self) -> int: ...
    def price_to_precision(self, symbol: str, price: float) -> str: ...
    def fetch_ohlcv(
        self, symbol: str, timeframe: str, since: int | None = None, limit: int | None = None
    ) -> Rows: ...


def with_client(exchange: str, url: str, ask: Callable[[Client], Awaitable[T]]) -> T:
    """Return what `ask` returns, given the unmodified async client of ccxt pointed at `url`."""

    async def run() -> T:
        import ccxt.async_support as ccxt

        client: Client = moved(getattr(ccxt, exchange)({"enableRateLimit": False}), exchange, url)
        try:
            return await ask(client)
        finally:
            await client.close()

    return asyncio.run(run())


def sync_client(exchange: str, url: str) -> SyncClient:
    """Return the unmodified sync client of ccxt pointed at `url`."""
    import ccxt

    client: SyncClient = moved(getattr(ccxt, exchange)({"enableRateLimit": False}), exchange, url)
    return client


def moved(client: Any, exchange: str, url: str) -> Any:  # noqa: ANN401 - ccxt is not typed
    client.urls["api"] = _elsewhere(client.urls["api"], f"{url}/{exchange}")
    return client


def _elsewhere(value: Any, base: str) -> Any:  # noqa: ANN401 - ccxt nests dicts freely
    if isinstance(value, dict):
        return {name: _elsewhere(inner, base) for name, inner in value.items()}
    return base + urlsplit(value).path if isinstance(value, str) else value
