"""Exchanges: one row each, its quirks as typed fields.

What an exchange does differently stands here as data; behaviour that no field can express lives
in `sources/`, named after the quirk. Facts measured with ccxt 4.5.90 against wire-level
imitations on 2026-11-21, limits from the exchanges' documents of that day.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from data_platform.domain.timeframes import Timeframe

SinceMeaning = Literal["next_rows", "window", "newest_only"]
QuietCandle = Literal["flat", "omitted"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """How one exchange answers a request for candles."""

    name: str
    """Our name, as in config, asset keys and paths; also ccxt's id unless `ccxt_id` is set."""
    title: str
    """How people write it."""
    page_size: int
    """Candles in one answer at most."""
    since_meaning: SinceMeaning
    """`next_rows`: the first rows at or after `since`, across gaps. `window`: only rows inside
    `since` + page_size candles, so an empty page proves a gap there. `newest_only`: the newest
    rows whatever `since` says."""
    quiet_candle: QuietCandle
    """What stands for a candle without trades."""
    requests_per_minute: float
    """Requests for candles that all processes together send: a few percent below what it allows,
    so that a network's jitter does not exceed it. One after the other in even steps."""
    window_seconds: float = 1.0
    """Seconds over which it counts requests, or a whole part of them. The longer, the less it costs
    when a busy machine delays one."""
    pairs_cost: int = 1
    """Requests for candles that asking for its pairs counts as."""
    history_candles: int | None = None
    """How many of the newest candles can be had at all; None: everything since the listing."""
    derive: dict[str, str] = field(default_factory=dict)
    """Timeframes that it lacks -> the finer one they are derived from."""
    ccxt_id: str = ""
    """The class in ccxt; empty: the same as `name`."""
    card: str = ""
    """What a trader should know about its history, shown in the UI."""

    def reach(self, timeframe: Timeframe) -> timedelta | None:
        """Return how far back the candles go that can be had at all; None: to the listing."""
        return self.history_candles * timeframe.duration if self.history_candles else None


EXCHANGES: tuple[Exchange, ...] = (
    Exchange(
        name="binance",
        title="Binance",
        page_size=1000,
        since_meaning="next_rows",
        quiet_candle="flat",
        # 6,000 weight a minute; one request weighs 2, the list of pairs 20.
        requests_per_minute=2940,
        window_seconds=5,
        pairs_cost=10,
        card="Full history since listing, 1,000 candles a request.",
    ),
    Exchange(
        name="bybit",
        title="Bybit",
        page_size=1000,
        since_meaning="next_rows",
        quiet_candle="flat",
        # 600 in 5 s; one too many costs a ban of ten minutes.
        requests_per_minute=7080,
        window_seconds=5,
        card="Full history since listing, 1,000 candles a request.",
    ),
    Exchange(
        name="coinbase",
        title="Coinbase",
        page_size=300,
        since_meaning="window",
        quiet_candle="omitted",
        # 10 a second with a burst of 15; pairs come in two requests at once.
        requests_per_minute=588,
        pairs_cost=2,
        derive={"4h": "1h"},
        card=(
            "Full history since listing, 300 candles a request. Sends no candle for a time "
            "without trades; has no 4h, which is derived from 1h."
        ),
    ),
    Exchange(
        name="kraken",
        title="Kraken",
        page_size=720,
        since_meaning="newest_only",
        quiet_candle="flat",
        requests_per_minute=50,
        history_candles=720,
        card=(
            "Gives only the newest 720 candles of each timeframe (12 hours of 1m): older ones "
            "cannot be had, newer ones accumulate from the day you start. A longer pause loses "
            "candles for good."
        ),
    ),
    Exchange(
        name="okx",
        title="OKX",
        page_size=300,
        since_meaning="window",
        quiet_candle="flat",
        # 20 in 2 s for history, 40 for recent candles.
        requests_per_minute=588,
        window_seconds=2,
        card="Full history since listing, 300 candles a request.",
    ),
)

_BY_NAME = {exchange.name: exchange for exchange in EXCHANGES}


def exchange_row(name: str, ccxt_id: str | None = None) -> Exchange:
    """Return the row of an exchange, or one of careful defaults for any other ccxt exchange.

    Args:
        name: our name of the exchange.
        ccxt_id: ccxt's class when it differs from the name.

    Returns:
        The row of `name`, else that of `ccxt_id` under the given name, else small pages whose
        emptiness is believed only inside their window, at one request a second.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    known = _BY_NAME.get(ccxt_id or "")
    if known:
        return replace(known, name=name, ccxt_id=known.name)
    return Exchange(
        name=name,
        title=name,
        page_size=100,
        since_meaning="window",
        quiet_candle="omitted",
        requests_per_minute=60,
        ccxt_id=ccxt_id or name,
        card="No row of its own yet: fetched with careful defaults.",
    )
