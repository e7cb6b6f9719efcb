"""What `download` is asked for: options of any spelling to one order per exchange.

Stays out: running anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from data_platform.domain.errors import WrongUseError
from data_platform.domain.layers import LAYERS
from data_platform.domain.markets import Pair, to_exchange, to_pair
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.timeframes import Timeframe
from data_platform.settings import ExchangeSettings, Settings


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person typed; empty means everything that is configured."""

    exchanges: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    """Any spelling."""
    timeframes: tuple[Timeframe, ...] = ()
    layers: tuple[str, ...] = ()
    start: datetime | None = None
    """First day, UTC."""
    end: datetime | None = None
    """Day after the last one, UTC."""
    full: bool = False
    """Ask for everything again and compare."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one process downloads: one exchange's part of a wish."""

    exchange: str
    pairs: tuple[Pair, ...]
    timeframes: tuple[Timeframe, ...]
    layers: tuple[str, ...]
    periods: tuple[Period, ...]
    """Whole months, in order."""
    full: bool = False
    """Ask for everything again and compare, instead of only for what is missing."""

    @property
    def size(self) -> int:
        """Return how many partitions that is, of every layer."""
        return len(self.pairs) * len(self.timeframes) * len(self.layers) * len(self.periods)


def to_orders(settings: Settings, wish: Wish, now: datetime) -> tuple[Order, ...]:
    """Return one order per exchange that has some of what is wished.

    Args:
        settings: what is configured.
        wish: what was typed.
        now: the clock, UTC; no month after it exists.

    Raises:
        WrongUseError: a word means nothing here, or nothing is left; the message tells what is
            accepted.
    """
    exchanges = [settings.exchanges[name] for name in _exchange_names(settings, wish)]
    by_exchange = _pairs(exchanges, wish.pairs)
    _refuse_unknown_timeframes(exchanges, wish.timeframes)
    layers = _layers(wish.layers)
    orders = tuple(
        Order(
            exchange=exchange.name,
            pairs=by_exchange[exchange.name],
            timeframes=timeframes,
            layers=layers,
            periods=periods,
            full=wish.full,
        )
        for exchange in exchanges
        if (timeframes := _wanted(exchange.timeframes, wish.timeframes))
        and by_exchange[exchange.name]
        and (periods := _periods(exchange, wish, now))
    )
    if not orders:
        raise WrongUseError(_nothing_left(exchanges, now))
    return orders


def _exchange_names(settings: Settings, wish: Wish) -> list[str]:
    wished = {to_exchange(text, settings.exchanges) for text in wish.exchanges}
    return [name for name in settings.exchanges if name in wished or not wished]


def _pairs(
    exchanges: Sequence[ExchangeSettings], texts: Sequence[str]
) -> Mapping[str, tuple[Pair, ...]]:
    if not texts:
        return {exchange.name: exchange.pairs for exchange in exchanges}
    found: dict[str, set[Pair]] = {exchange.name: set() for exchange in exchanges}
    everything = {pair for exchange in exchanges for pair in exchange.pairs}
    for text in texts:
        meant = to_pair(text, everything)
        for exchange in exchanges:
            if meant in exchange.pairs:
                found[exchange.name].add(meant)
    return {name: tuple(sorted(pairs)) for name, pairs in found.items()}


def _refuse_unknown_timeframes(
    exchanges: Sequence[ExchangeSettings], wished: Sequence[Timeframe]
) -> None:
    known = {timeframe for exchange in exchanges for timeframe in exchange.timeframes}
    for timeframe in wished:
        if timeframe not in known:
            accepted = ", ".join(_names(_in_order(known)))
            raise WrongUseError(f"timeframe {timeframe} is not configured. Accepted: {accepted}.")


def _layers(wished: Sequence[str]) -> tuple[str, ...]:
    known = [layer.name for layer in LAYERS]
    unknown = [name for name in wished if name not in known]
    if unknown:
        raise WrongUseError(f"unknown layer {unknown[0]!r}. Accepted: {', '.join(known)}.")
    return tuple(name for name in known if name in wished or not wished)


def _wanted(configured: Sequence[Timeframe], wished: Sequence[Timeframe]) -> tuple[Timeframe, ...]:
    return tuple(timeframe for timeframe in configured if timeframe in wished or not wished)


def _periods(exchange: ExchangeSettings, wish: Wish, now: datetime) -> tuple[Period, ...]:
    first = exchange.first_period.start
    start = max(wish.start or first, first)
    end = min(wish.end or now, now)
    if wish.start and wish.end and wish.end <= wish.start:
        raise WrongUseError(
            f"--end {wish.end:%Y-%m-%d} must lie after --start {wish.start:%Y-%m-%d}; "
            "it is the day after the last one."
        )
    return tuple(periods_between(start, end))


def _nothing_left(exchanges: Sequence[ExchangeSettings], now: datetime) -> str:
    ranges = ", ".join(
        f"{exchange.name} {exchange.first_period}..{now:%Y-%m}" for exchange in exchanges
    )
    return f"nothing configured is that pair, timeframe and time together. Configured: {ranges}."


def _in_order(timeframes: set[Timeframe]) -> list[Timeframe]:
    return sorted(timeframes, key=lambda timeframe: timeframe.seconds)


def _names(timeframes: Sequence[Timeframe]) -> list[str]:
    return [timeframe.name for timeframe in timeframes]
