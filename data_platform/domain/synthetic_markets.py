"""What a made-up market looks like: price level, tick, lot, turnover, quiet minutes.

Holds the profile of any market, known or not, as one value. Levels and tick sizes follow the
exchanges' own listings of spring 2024 (https://api.binance.com/api/v3/exchangeInfo,
https://api.kraken.com/0/public/AssetPairs, read for the orders of magnitude only).
Stays out: the candles themselves.
"""

import hashlib
import math
from dataclasses import dataclass
from decimal import Decimal

from data_platform.domain.markets import Market

MAX_DAILY_LOTS = 10**13
"""A usual day's volume in lots; a wild day has 30 times as much and stays below 15 digits."""


@dataclass(frozen=True, slots=True)
class MarketProfile:
    """Everything that the generator must know of one market."""

    name: str
    """`<exchange>/<pair key>`; seeds what is this market's own: volumes, wicks, quiet minutes."""
    asset: str
    """`<base>/<quote>`, dollars of any kind as USD; seeds the price path, so that the same asset
    has nearly the same price on every exchange."""
    price: float
    """The level around which the price wanders, quote per base."""
    price_decimals: int
    """Decimals of one tick: 2 means 0.01."""
    volume_decimals: int
    """Decimals of one lot."""
    daily_volume: float
    """Volume of a usual day, base currency."""
    daily_volatility: float
    """Standard deviation of a usual day's log return."""
    quiet_share: float
    """Share of minutes without a trade, about."""

    @property
    def tick(self) -> str:
        """Return the smallest step of a price as decimal text: `0.01`."""
        return f"{Decimal(1).scaleb(-self.price_decimals):f}"

    @property
    def lot(self) -> str:
        """Return the smallest step of a volume as decimal text."""
        return f"{Decimal(1).scaleb(-self.volume_decimals):f}"


# Asset: (price in USD, turnover of a usual day in USD on the largest exchange, volatility).
_ASSETS: dict[str, tuple[float, float, float]] = {
    "BTC": (60_000.0, 1.5e9, 0.028),
    "ETH": (3_000.0, 8e8, 0.035),
    "SOL": (150.0, 3e8, 0.048),
    "BNB": (550.0, 1.5e8, 0.030),
    "XRP": (0.55, 1.5e8, 0.040),
    "DOGE": (0.14, 1e8, 0.050),
    "ADA": (0.45, 6e7, 0.042),
    "LTC": (80.0, 4e7, 0.038),
    "LINK": (15.0, 4e7, 0.044),
    "DOT": (7.0, 3e7, 0.043),
    "AVAX": (35.0, 5e7, 0.050),
    "BCH": (420.0, 3e7, 0.042),
    "TRX": (0.12, 3e7, 0.028),
    "ATOM": (8.0, 2e7, 0.044),
    "UNI": (9.0, 2e7, 0.048),
    "XLM": (0.11, 2e7, 0.042),
    "EUR": (1.08, 1e7, 0.004),
}
_DOLLARS = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "DAI", "TUSD", "USDD"})

# Exchange: (share of the turnover, factor on quiet minutes, decimals of a price above 10,000).
_EXCHANGES: dict[str, tuple[float, float, int]] = {
    "binance": (1.0, 1.0, 2),
    "okx": (0.35, 2.0, 1),
    "coinbase": (0.4, 2.0, 2),
    "kraken": (0.12, 6.0, 1),
}


def market_profile(market: Market) -> MarketProfile:
    """Return the profile of any market; unknown assets and exchanges get a plausible one.

    Args:
        market: any exchange's name with any pair.

    Returns:
        The same profile for the same market, always.
    """
    base, quote = market.pair.base, market.pair.quote
    base_price, turnover, volatility = _asset(base)
    quote_price = 1.0 if quote in _DOLLARS else _asset(quote)[0]
    share, quiet_factor, decimals_above = _EXCHANGES.get(market.exchange, (0.2, 3.0, 2))
    price = base_price / quote_price
    daily_volume = turnover * share / base_price
    return MarketProfile(
        name=str(market),
        asset=f"{base}/{'USD' if quote in _DOLLARS else quote}",
        price=price,
        price_decimals=_price_decimals(price, decimals_above),
        volume_decimals=_volume_decimals(daily_volume),
        daily_volume=daily_volume,
        daily_volatility=volatility,
        quiet_share=min(0.5, quiet_factor * 0.003 * (1.5e9 / turnover) ** 0.7),
    )


def _asset(name: str) -> tuple[float, float, float]:
    if name in _DOLLARS:
        return 1.0, 5e7, 0.0005
    if name in _ASSETS:
        return _ASSETS[name]
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
    return float(f"{10 ** (number * 3.5 - 1.5):.3g}"), 1e7, 0.05


def _price_decimals(price: float, decimals_above: int) -> int:
    if price >= 10_000:  # noqa: PLR2004
        return decimals_above
    if price >= 100:  # noqa: PLR2004
        return 2
    return min(12, max(3, 4 - math.floor(math.log10(price))))


def _volume_decimals(daily_volume: float) -> int:
    return max(0, min(8, math.floor(math.log10(MAX_DAILY_LOTS / daily_volume))))
