from pathlib import Path

import pytest

from data_platform.domain.markets import Market, Pair
from data_platform.domain.precision import Precision
from data_platform.storage.instruments import Instruments
from data_platform.storage.state import State

BTC = Market("binance", Pair("BTC/USDT"))


def opened(root: Path) -> Instruments:
    return Instruments(State(f"sqlite:///{root / 'state.db'}"))


def test_of_an_unknown_market_no_decimals_are_needed(root: Path) -> None:
    assert opened(root).read(BTC) == Precision(0, 0)


def test_what_is_needed_widens_and_never_shrinks(root: Path) -> None:
    assert opened(root).widen(BTC, Precision(2, 5)) == Precision(2, 5)
    assert opened(root).widen(BTC, Precision(1, 8)) == Precision(2, 8)
    assert opened(root).widen(BTC, Precision(0, 0)) == Precision(2, 8)
    assert opened(root).read(BTC) == Precision(2, 8)


@pytest.mark.parametrize("other", [Market("okx", BTC.pair), Market("binance", Pair("BTC/USD"))])
def test_it_is_one_markets_alone(root: Path, other: Market) -> None:
    opened(root).widen(BTC, Precision(2, 5))
    assert opened(root).read(other) == Precision(0, 0)
