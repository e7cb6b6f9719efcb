import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import (
    MAX_KEY_LENGTH,
    Pair,
    from_key,
    read_pair,
    to_exchange,
    to_pair,
)

KNOWN = [Pair("BTC/USDT"), Pair("ETH/USDT"), Pair("BTC/USD")]


@pytest.mark.parametrize(
    ("symbol", "key"),
    [
        ("BTC/USDT", "BTC-USDT"),
        ("1000PEPE/USDT:USDT", "1000PEPE-USDT%3AUSDT"),
        ("BTC/USD:BTC-240329", "BTC-USD%3ABTC%2D240329"),
        ("../USDT", "%2E%2E-USDT"),
        ("A\0/USD", "A%00-USD"),
        ("ÅNG/USD", "%C3%85NG-USD"),
    ],
)
def test_keys_are_reversible_and_hold_nothing_odd(symbol: str, key: str) -> None:
    assert Pair(symbol).key == key
    assert from_key(key) == Pair(symbol)


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_r27_any_symbol_round_trips_or_is_refused(base: str, quote: str) -> None:
    try:
        pair = Pair(f"{base}/{quote}")
    except (WrongUseError, UnicodeEncodeError):
        return
    assert from_key(pair.key) == pair
    assert not set(pair.key) & set("/\\|.*?[]: \0")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/", "/USDT", ""])
def test_what_is_no_pair_is_refused(symbol: str) -> None:
    with pytest.raises(WrongUseError, match="BASE/QUOTE"):
        Pair(symbol)


def test_a_symbol_too_long_for_a_path_is_refused() -> None:
    with pytest.raises(WrongUseError, match=f"at most {MAX_KEY_LENGTH}"):
        Pair("A" * 300 + "/USD")


@pytest.mark.parametrize("key", ["BTC", "BTC-", "BTC/USDT", "BTC-USDT-X", "btc%2-USDT", "%FF-USD"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(WrongUseError):
        from_key(key)


@pytest.mark.parametrize("text", ["BTC/USDT", "BTC-USDT", "BTCUSDT", "btcusdt", "btc/usdt"])
def test_people_may_spell_a_pair_as_they_like(text: str) -> None:
    assert to_pair(text, KNOWN) == Pair("BTC/USDT")


def test_an_ambiguous_spelling_is_refused_with_the_candidates() -> None:
    known = [Pair("BTC/USDT"), Pair("BTCU/SDT")]
    with pytest.raises(WrongUseError, match="ambiguous: it could be BTC/USDT, BTCU/SDT"):
        to_pair("BTCUSDT", known)


def test_an_unknown_pair_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(WrongUseError, match="Accepted: BTC/USD, BTC/USDT, ETH/USDT"):
        to_pair("DOGEUSDT", KNOWN)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("BTC/USDT", "BTC/USDT"),
        ("btc/usdt", "BTC/USDT"),
        ("btc-usdt", "BTC/USDT"),
        ("BTCUSDT", "BTC/USDT"),
        ("ethbtc", "ETH/BTC"),
        ("1000PEPEUSDT", "1000PEPE/USDT"),
        ("kPEPE/USDC:USDC", "kPEPE/USDC:USDC"),
        ("BTC/USD:BTC-240329", "BTC/USD:BTC-240329"),
    ],
)
def test_a_pair_is_read_without_a_list_to_choose_from(text: str, symbol: str) -> None:
    assert read_pair(text) == Pair(symbol)


@pytest.mark.parametrize(
    ("text", "candidates"),
    [("ARBUSD", "AR/BUSD, ARB/USD"), ("BTCTUSD", "BTC/TUSD, BTCT/USD")],
)
def test_one_word_that_splits_in_two_ways_is_refused(text: str, candidates: str) -> None:
    with pytest.raises(WrongUseError, match=f"ambiguous: it could be {candidates}"):
        read_pair(text)


@pytest.mark.parametrize(
    "text", ["", "USDT", "BTCXYZ", "BTC USDT", "A/B/C", "BTC-USDT-SWAP", "B|C"]
)
def test_what_reads_as_no_pair_is_refused(text: str) -> None:
    with pytest.raises(WrongUseError, match=r"is no pair\. Accepted: BTC/USDT, BTC-USDT or"):
        read_pair(text)


@pytest.mark.parametrize("text", ["okx", "OKX", " Okx "])
def test_an_exchange_is_meant_in_any_case(text: str) -> None:
    assert to_exchange(text, ["binance", "okx"]) == "okx"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("binnance", "Did you mean binance. Accepted: binance, okx."),
        ("x", "exchange 'x' is unknown here. Accepted: binance, okx."),
        ("", "exchange '' is unknown here. Accepted: binance, okx."),
    ],
)
def test_an_unknown_exchange_is_refused_with_what_is_accepted(text: str, told: str) -> None:
    with pytest.raises(WrongUseError, match=told):
        to_exchange(text, ["binance", "okx"])
