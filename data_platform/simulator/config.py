"""What a simulator is made of: exchanges, pairs, seed, clock, replayed series; and the venues.

Stays out: HTTP and threads (`server`), wire formats (one module per dialect).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic_markets import market_profile
from data_platform.domain.timeframes import Timeframe
from data_platform.simulator import binance, bybit, coinbase, kraken, okx
from data_platform.simulator.edits import Standing
from data_platform.simulator.fault_orders import FaultOrder
from data_platform.simulator.limits import Limit, adjust_limit
from data_platform.simulator.tapes import ReplayTape, SyntheticTape, Tape
from data_platform.simulator.venue import Dialect, Venue, VenueMarket
from data_platform.simulator.wire import to_ms

ReplayKey: TypeAlias = tuple[str, Pair, Timeframe]
StandingOf: TypeAlias = Callable[[str, Pair, Callable[[], int]], Standing]

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
    faults: tuple[FaultOrder, ...] = ()
    """What is spoilt from the beginning."""
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Our exchange -> values of its limit in place of the documented ones (see `adjust_limit`);
    the limits of exchanges that are not named here are not enforced."""
    latency_ms: float = 0.0
    """From a request's arrival to its answer; any number of requests wait at once."""

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


def build_venues(config: SimulatorConfig, standing: StandingOf | None = None) -> dict[str, Venue]:
    """Return the simulated exchanges by our name.

    Args:
        config: what to simulate.
        standing: how a market stands: of our exchange, the pair's first name and the clock.

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
        name: _build_venue(name, exchange, config, standing)
        for name, exchange in config.exchanges.items()
    }


def build_limits(config: SimulatorConfig) -> dict[str, Limit]:
    """Return the limits that are enforced, by our name of the exchange.

    Raises:
        WrongUseError: an exchange that is not simulated, or a value that its limit has not.
    """
    limits = {}
    for name, values in config.limits.items():
        if name not in config.exchanges:
            raise WrongUseError(
                f"limits of {name!r}: not simulated. Simulated: {', '.join(config.exchanges)}."
            )
        limits[name] = adjust_limit(_dialect(name, config).limit, values, name)
    return limits


def _dialect(name: str, config: SimulatorConfig) -> Dialect:
    by_name = {dialect.name: dialect for dialect in DIALECTS}
    dialect = by_name.get(config.exchanges[name].ccxt_id)
    if dialect is None:
        raise WrongUseError(
            f"exchange {name!r} cannot be simulated: no wire format "
            f"{config.exchanges[name].ccxt_id!r} here. Known: {', '.join(by_name)}."
        )
    return dialect


def _build_venue(
    name: str, exchange: SimulatedExchange, config: SimulatorConfig, standing: StandingOf | None
) -> Venue:
    dialect = _dialect(name, config)
    markets = [_build_market(name, exchange, pair, dialect, config) for pair in exchange.pairs]
    mine = partial(standing, name) if standing else None
    return Venue(name, dialect, markets, config.now_ms, mine)


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
    return VenueMarket(pair, dialect.wire_names(pair)[0], profile, tape, listed_ms, pair)
