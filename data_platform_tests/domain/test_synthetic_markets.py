import math
import re

import pytest

from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic_markets import market_profile

PAIRS = ("BTC/USDT", "ETH/USD", "XRP/USD", "DOGE/USDT", "PEPE/USDT", "ETH/BTC", "USDC/USD")


@pytest.mark.parametrize("symbol", PAIRS)
@pytest.mark.parametrize("exchange", ["binance", "kraken", "coinbase", "okx", "somewhere"])
def test_every_market_has_a_plausible_profile(exchange: str, symbol: str) -> None:
    profile = market_profile(Market(exchange, Pair(symbol)))
    assert profile.price > 0
    assert profile.price * 10**profile.price_decimals > 1000, "a tick is at most 0.1 % of the price"
    assert 0 <= profile.volume_decimals <= 8
    assert 0 < profile.quiet_share <= 0.5


@pytest.mark.parametrize("symbol", PAIRS)
def test_a_wild_day_prints_with_fifteen_digits_at_most(symbol: str) -> None:
    profile = market_profile(Market("binance", Pair(symbol)))
    wild_lots = profile.daily_volume * 30 * 10**profile.volume_decimals
    assert math.log10(wild_lots) < 15


def test_one_asset_shares_its_price_path_between_dollars_and_exchanges() -> None:
    profiles = [
        market_profile(Market("binance", Pair("BTC/USDT"))),
        market_profile(Market("kraken", Pair("BTC/USD"))),
        market_profile(Market("okx", Pair("BTC/USDC"))),
    ]
    assert {profile.asset for profile in profiles} == {"BTC/USD"}
    assert {profile.price for profile in profiles} == {60_000.0}
    assert len({profile.name for profile in profiles}) == 3


def test_thin_exchanges_are_quieter() -> None:
    quiet = [
        market_profile(Market(exchange, Pair("XRP/USD"))).quiet_share
        for exchange in ("binance", "okx", "kraken")
    ]
    assert quiet == sorted(quiet)
    assert quiet[0] < quiet[-1]


def test_ticks_and_lots_are_plain_decimals() -> None:
    bitcoin = market_profile(Market("kraken", Pair("BTC/USD")))
    assert bitcoin.tick == "0.1"
    tiny = market_profile(Market("binance", Pair("DOGE/BTC")))
    assert re.fullmatch(r"0\.0+1", tiny.tick), "no exponent on the wire"
    assert re.fullmatch(r"1|0\.0*1", tiny.lot)
