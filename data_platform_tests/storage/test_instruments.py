from pathlib import Path

from data_platform.domain.markets import Market, Pair
from data_platform.domain.precision import Precision
from data_platform.storage.instruments import Instruments
from data_platform.storage.state import State

BTC = Market("binance", Pair("BTC/USDT"))


def opened(root: Path) -> Instruments:
    return Instruments(State(f"sqlite:///{root / 'state.db'}"))


def test_of_an_unknown_exchange_no_market_is_known(root: Path) -> None:
    assert opened(root).of_exchange("binance") == {}


def test_what_is_needed_widens_and_never_shrinks(root: Path) -> None:
    assert opened(root).widen(BTC, Precision(2, 5)) == Precision(2, 5)
    assert opened(root).widen(BTC, Precision(1, 8)) == Precision(2, 8)
    assert opened(root).widen(BTC, Precision(0, 0)) == Precision(2, 8)
    assert opened(root).of_exchange("binance") == {BTC: Precision(2, 8)}


def test_each_market_has_its_own(root: Path) -> None:
    odd, other = Market("binance", Pair("BTC/USDT:USDT")), Market("okx", BTC.pair)
    opened(root).widen(BTC, Precision(2, 5))
    opened(root).widen(odd, Precision(1, 0))
    opened(root).widen(other, Precision(8, 8))
    assert opened(root).of_exchange("binance") == {BTC: Precision(2, 5), odd: Precision(1, 0)}
