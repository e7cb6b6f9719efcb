"""Dagster resources: configuration in, the platform's own objects out. No logic.

A run's config can point a lake or an exchange elsewhere; keys are read from the environment by
name and never stored.
"""

from datetime import timedelta

import dagster as dg
from pydantic import PrivateAttr

from data_platform.config.environment import read_api_key
from data_platform.domain.exchanges import exchange_row
from data_platform.operations.lake import Lake, open_lake
from data_platform.settings import ExchangeSettings, Settings
from data_platform.sources.access import Access, Priority
from data_platform.sources.base import CandleSource
from data_platform.sources.breaker import BreakerStore


class LakeResource(dg.ConfigurableResource[Lake]):
    """The Parquet tree and its state database."""

    data_root: str
    """Root of the lake."""
    state_url: str
    """SQLAlchemy URL of the state database."""

    _lake: Lake | None = PrivateAttr(default=None)

    def open(self, run_id: str) -> Lake:
        """Open the lake in the name of a run, once for all its steps."""
        if self._lake is None:
            self._lake = open_lake(self.data_root, self.state_url, run_id)
        return self._lake

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Close what the run has opened."""
        if self._lake is not None:
            self._lake.state.close()
            self._lake = None


class SourceResource(dg.ConfigurableResource[CandleSource]):
    """One exchange, reached through ccxt."""

    exchange: str
    """Our name of the exchange."""
    ccxt_id: str
    """ccxt's class."""
    base_url: str | None = None
    """Replaces scheme and host of every URL; None: the exchange itself."""
    requests_per_minute: float
    """Budget of candle requests."""
    timeout_seconds: float
    """Of one request."""
    grace_seconds: float
    """How long after its close a candle may still change."""
    api_key_env: str | None = None
    """Name of the environment variable that holds a key; public candles need none."""

    def open(self, breakers: BreakerStore, priority: Priority) -> CandleSource:
        """Return a source that connects when it is first asked.

        Args:
            breakers: keeps whether the exchange answers at all.
            priority: whose requests go first.

        Raises:
            ConfigError: a key is configured and not in the environment.
        """
        from data_platform.sources.ccxt_source import CcxtSource

        access = Access(
            exchange=exchange_row(self.exchange, self.ccxt_id),
            base_url=self.base_url,
            requests_per_minute=self.requests_per_minute,
            timeout=timedelta(seconds=self.timeout_seconds),
            grace=timedelta(seconds=self.grace_seconds),
            api_key=read_api_key(self.exchange, self.api_key_env),
            priority=priority,
        )
        return CcxtSource(access, breakers)


def source_key(exchange: str) -> str:
    """Return the resource key of an exchange's source."""
    return f"{exchange}_source"


def build_resources(settings: Settings) -> dict[str, object]:
    """Return the lake and one source per exchange, by resource key."""
    sources = {source_key(name): _source(it) for name, it in settings.exchanges.items()}
    lake = LakeResource(data_root=str(settings.data_root), state_url=settings.state_url)
    return {"lake": lake, **sources}


def _source(exchange: ExchangeSettings) -> SourceResource:
    return SourceResource(
        exchange=exchange.name,
        ccxt_id=exchange.row.ccxt_id or exchange.name,
        base_url=exchange.base_url,
        requests_per_minute=exchange.requests_per_minute,
        timeout_seconds=exchange.timeout.total_seconds(),
        grace_seconds=exchange.grace.total_seconds(),
        api_key_env=exchange.api_key_env,
    )
