import math

import polars as pl

from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.fill import fill_candles
from data_platform.features.markets import MarketColumns, add_market
from data_platform_tests.factories import series_of
from data_platform_tests.features.test_fill import at, stored

MINUTE = to_timeframe("1m")
BTC = MarketColumns("btc", Pair("BTC/USDT"), returns=(1,), volatility=(2,))


def grid(minutes: list[int]) -> pl.DataFrame:
    return fill_candles(stored(minutes), None, [], MINUTE, at(0), at(max(minutes) + 1))


def test_the_other_market_stands_beside_the_candle_that_closes_with_it() -> None:
    own, other = grid([0, 1, 2, 3]), grid([0, 1, 2, 3])
    joined = add_market(own, other, BTC)
    assert joined.select(own.columns).equals(own)
    assert joined.columns[own.width :] == ["return_1_btc", "log_return_1_btc", "volatility_2_btc"]
    # The close of minute n is 15 + n.
    assert joined["return_1_btc"].to_list() == [None, 16 / 15 - 1, 17 / 16 - 1, 18 / 17 - 1]
    moves = [math.log(16 / 15), math.log(17 / 16)]
    spread = abs(moves[0] - moves[1]) / math.sqrt(2)
    assert math.isclose(joined["volatility_2_btc"][2], spread, rel_tol=1e-12)


def test_a_candle_that_did_not_come_is_unknown_and_no_older_one_stands_in() -> None:
    joined = add_market(grid([0, 1, 2, 3, 4]), grid([0, 1, 3, 4]), BTC)
    assert joined["return_1_btc"].to_list() == [None, 16 / 15 - 1, None, 18 / 16 - 1, 19 / 18 - 1]
    late = add_market(grid([0, 1, 2, 3, 4]), grid([0, 1]), BTC)
    assert late["return_1_btc"].to_list() == [None, 16 / 15 - 1, None, None, None]


def test_the_other_series_is_of_the_same_exchange_unless_one_is_named() -> None:
    series = series_of("binance", "ETH/USDT", "5m")
    assert str(BTC.beside(series)) == "binance/BTC-USDT/5m"
    there = MarketColumns("okx", Pair("ETH/USDT"), "okx", indicators=("sma_3",))
    assert str(there.beside(series)) == "okx/ETH-USDT/5m"
    assert [column.name for column in there.columns] == ["sma_3_okx"]
    assert "of ETH/USDT on okx, of the candle that closes with this one." in (
        there.columns[0].description
    )
    assert (BTC.history, there.history) == (2, 0)
