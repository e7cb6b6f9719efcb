from datetime import timedelta

from data_platform.domain.exchanges import EXCHANGES, exchange_row
from data_platform.domain.timeframes import to_timeframe


def test_the_named_exchanges_have_a_row() -> None:
    assert [row.name for row in EXCHANGES] == ["binance", "bybit", "coinbase", "kraken", "okx"]


def test_a_second_account_of_a_known_exchange_keeps_its_quirks() -> None:
    row = exchange_row("kraken_eu", "kraken")
    assert (row.name, row.ccxt_id, row.history_candles) == ("kraken_eu", "kraken", 720)


def test_an_exchange_without_a_row_gets_careful_defaults() -> None:
    row = exchange_row("gate")
    assert (row.ccxt_id, row.since_meaning, row.page_size) == ("gate", "window", 100)


def test_reach_is_as_long_as_the_candles_that_can_be_had() -> None:
    kraken = exchange_row("kraken")
    assert kraken.reach(to_timeframe("1m")) == timedelta(hours=12)
    assert kraken.reach(to_timeframe("1d")) == timedelta(days=720)
    assert exchange_row("okx").reach(to_timeframe("1m")) is None


def test_derived_timeframes_name_a_finer_one_that_divides_them() -> None:
    for row in EXCHANGES:
        for coarse, fine in row.derive.items():
            assert to_timeframe(coarse).seconds % to_timeframe(fine).seconds == 0
            assert to_timeframe(coarse).seconds > to_timeframe(fine).seconds
