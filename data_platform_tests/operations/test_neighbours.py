from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.neighbours import Neighbourhood
from data_platform.quality.standards import Standards
from data_platform_tests.factories import series_of

NAMES = ("1d", "1m", "4h", "1h")
OWN = tuple(series_of("coinbase", pair, name) for pair in ("BTC/USD", "ETH/USD") for name in NAMES)
OTHERS = (
    series_of("kraken", "BTC/USD", "1h"),
    series_of("kraken", "BTC/USD", "1d"),
    series_of("binance", "BTC/USDT", "1h"),
    series_of("binance", "BTC/USDT:USDT", "1h"),
    series_of("binance", "ETH/BTC", "1h"),
)
HOUR = series_of("coinbase", "BTC/USD", "1h")
GIVEN = Neighbourhood(OWN, frozenset({to_timeframe("4h")}), OTHERS, Standards())


def test_finer_are_the_fetched_ones_of_the_pair_the_finest_first() -> None:
    day = HOUR.at(to_timeframe("1d"))
    assert GIVEN.finer(day) == (HOUR.at(to_timeframe("1m")), HOUR)
    assert GIVEN.finer(HOUR) == (HOUR.at(to_timeframe("1m")),)
    assert GIVEN.finer(HOUR.at(to_timeframe("1m"))) == ()


def test_a_derived_timeframe_has_none_that_are_finer() -> None:
    assert GIVEN.finer(HOUR.at(to_timeframe("4h"))) == ()


def test_the_same_pair_has_the_same_quote_and_alike_is_every_market_of_the_base() -> None:
    assert GIVEN.same(HOUR) == OTHERS[:1]
    assert GIVEN.alike(HOUR) == (OTHERS[0], OTHERS[2], OTHERS[3])
    assert GIVEN.alike(HOUR.at(to_timeframe("4h"))) == ()
