"""What a simulator is made of: exchanges, pairs, seed, clock, replayed series; and the venues.

Stays out: HTTP and threads (`server`), wire formats (one module per dialect).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic_markets import market_profile
from data_platform.domain.timeframes import Timeframe
from data_platform.simulator import binance, bybit, coinbase, kraken, okx
from data_platform.simulator.tapes import ReplayTape, SyntheticTape, Tape
from data_platform.simulator.venue import Dialect, Venue, VenueMarket

ReplayKey: TypeAlias = tuple[str, Pair, Timeframe]

DEFAULT_LISTING = datetime(2017, 1, 1, tzinfo=UTC)

DIALECTS: tuple[Dialect, ...] = (
    binance.DIALECT,
    bybit.DIALECT,
    coinbase.DIALECT,
    kraken.DIALECT,
    okx.DIALECT,
)


@dataclass(frozen=True, slots=True)
class SimulatedExchange:
    """One exchange to simulate."""

    ccxt_id: str
    """Whose wire format it speaks, as ccxt names it."""
    pairs: tuple[Pair, ...]
    """What is traded there."""
    listed_at: Mapping[Pair, datetime] = field(default_factory=dict)
    """When a pair's trading began, UTC; `DEFAULT_LISTING` for the others."""


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Everything that decides what a simulator answers."""

    exchanges: Mapping[str, SimulatedExchange]
    """Our name of each exchange, which is also its path prefix."""
    seed: int = 1
    """Another seed is another history."""
    clock: Callable[[], datetime] | datetime | None = None
    """The exchanges' clock: a fixed instant, a function, or the real one when None."""
    replay: Mapping[ReplayKey, pl.DataFrame] = field(default_factory=dict)
    """(our exchange, pair, timeframe) -> candles to serve instead of made-up ones. Coarser
    timeframes of a replayed 1m series are aggregated, all others of that pair are empty."""

    def now_ms(self) -> int:
        """Return the exchanges' clock in UTC milliseconds."""
        clock = self.clock
        now = (
            datetime.now(UTC)
            if clock is None
            else clock
            if isinstance(clock, datetime)
            else clock()
        )
        return to_ms(now)


def to_ms(time: datetime) -> int:
    """Return an aware datetime in UTC milliseconds since 1970."""
    return int(time.timestamp() * 1000)


def build_venues(config: SimulatorConfig) -> dict[str, Venue]:
    """Return the simulated exchanges by our name.

    Raises:
        WrongUseError: an exchange whose wire format is not known here, a replayed series whose
            pair is not traded, or a replayed frame that is no candle frame.
    """
    for exchange, pair, timeframe in config.replay:
        traded = config.exchanges.get(exchange)
        if traded is None or pair not in traded.pairs:
            raise WrongUseError(
                f"replayed series {exchange}/{pair.key}/{timeframe} is not simulated; add the "
                "pair to the exchange's pairs."
            )
    return {
        name: _build_venue(name, exchange, config) for name, exchange in config.exchanges.items()
    }


def _build_venue(name: str, exchange: SimulatedExchange, config: SimulatorConfig) -> Venue:
    by_name = {dialect.name: dialect for dialect in DIALECTS}
    dialect = by_name.get(exchange.ccxt_id)
    if dialect is None:
        raise WrongUseError(
            f"exchange {name!r} cannot be simulated: no wire format {exchange.ccxt_id!r} here. "
            f"Known: {', '.join(by_name)}."
        )
    markets = [_build_market(name, exchange, pair, dialect, config) for pair in exchange.pairs]
    return Venue(name, dialect, markets, config.now_ms)


def _build_market(
    name: str,
    exchange: SimulatedExchange,
    pair: Pair,
    dialect: Dialect,
    config: SimulatorConfig,
) -> VenueMarket:
    profile = market_profile(Market(name, pair))
    listed_ms = to_ms(exchange.listed_at.get(pair, DEFAULT_LISTING))
    given = {
        timeframe: frame
        for (where, what, timeframe), frame in config.replay.items()
        if (where, what) == (name, pair)
    }
    omits_quiet = exchange_row(exchange.ccxt_id).quiet_candle == "omitted"
    tape: Tape = (
        ReplayTape(given)
        if given
        else SyntheticTape(config.seed, profile, listed_ms, omits_quiet=omits_quiet)
    )
    return VenueMarket(pair, dialect.wire_names(pair)[0], profile, tape, listed_ms)
