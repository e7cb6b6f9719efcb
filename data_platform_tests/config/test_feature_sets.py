from pathlib import Path

import pytest

from data_platform.config.feature_sets import read_feature_set, refuse_unknown_markets
from data_platform.config.strict_yaml import parse_yaml
from data_platform.domain.errors import ConfigError
from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.features.markets import MarketColumns

FILE = Path("features/mine.yaml")
HEAD = "name: mine\nversion: 2\n"


def read(text: str, stem: str = "mine") -> FeatureSet:
    return read_feature_set(parse_yaml(text.encode(), Path(f"features/{stem}.yaml")))


def test_a_feature_set_is_read_in_full() -> None:
    found = read(
        HEAD + "returns: [1, 5]\nvolatility: [20]\nindicators: [rsi_14]\n"
        "joins:\n  1m: {1H: [sma_20], 1d: [rsi_14]}\n"
    )
    minute, hour, day = (to_timeframe(name) for name in ("1m", "1h", "1d"))
    assert found == FeatureSet(
        name="mine",
        version=2,
        returns=(1, 5),
        volatility=(20,),
        indicators=("rsi_14",),
        joins={minute: {hour: ("sma_20",), day: ("rsi_14",)}},
    )


def test_other_markets_a_fill_policy_and_timeframes_are_read() -> None:
    found = read(
        HEAD + "fill: none\ntimeframes: [1h]\nmarkets:\n"
        "  btc: {pair: BTC/USDT, returns: [1, 5], volatility: [20], indicators: [ema_12]}\n"
        "  okx: {pair: BTC/USDT, exchange: okx, returns: [1]}\n"
    )
    btc = MarketColumns("btc", Pair("BTC/USDT"), None, (1, 5), (20,), ("ema_12",))
    okx = MarketColumns("okx", Pair("BTC/USDT"), "okx", (1,))
    assert found.markets == (btc, okx)
    assert (found.fill, found.timeframes) == ("none", (to_timeframe("1h"),))


def test_an_indicator_need_not_be_stored_and_may_have_any_parameters() -> None:
    assert read(HEAD + "indicators: [ema_7, bb_33_1.5]\n").indicators == ("ema_7", "bb_33_1.5")


def test_two_versions_of_a_set_are_two_files() -> None:
    assert read(HEAD, "mine-v2").key == "mine-v2"
    with pytest.raises(ConfigError, match=r"called mine.yaml or mine-v2.yaml"):
        read(HEAD, "mine-v1")


@pytest.mark.parametrize(
    ("market", "message"),
    [
        ("{pair: SOL/USDT, returns: [1]}", r"3: markets.x.pair: SOL/USDT is not among the pairs"),
        ("{pair: BTC/USD, exchange: okx, returns: [1]}", r"3: markets.x.pair: BTC/USD is not"),
        (
            "{pair: BTC/USD, exchange: kraken, returns: [1]}",
            r"exchange: 'kraken' is not configured",
        ),
    ],
)
def test_a_market_that_is_not_configured_is_refused(market: str, message: str) -> None:
    pairs = {"okx": [Pair("BTC/USDT")], "coinbase": [Pair("BTC/USD")]}
    document = parse_yaml(f"name: mine\nversion: 1\nmarkets: {{x: {market}}}".encode(), FILE)
    with pytest.raises(ConfigError, match=message):
        refuse_unknown_markets(document, read_feature_set(document), pairs)
    there = parse_yaml(b"name: mine\nversion: 1\nmarkets: {x: {pair: BTC/USD, returns: [1]}}", FILE)
    refuse_unknown_markets(there, read_feature_set(there), pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: mine\n", "1: key 'version' is missing."),
        ("version: 1\n", "1: key 'name' is missing."),
        ("name: other\nversion: 1\n", "1: name: expected the file's own name 'mine'"),
        ("name: mine\nversion: 0\n", "2: version: expected at least 1, found 0."),
        (HEAD + "return: [1]\n", "3: return: unknown key. Did you mean 'returns'?"),
        (HEAD + "returns: [0]\n", "3: returns[0]: expected at least 1, found 0."),
        (HEAD + "returns: [1.5]\n", "3: returns[0]: expected a whole number, found 1.5."),
        (HEAD + "returns: [2000]\n", "3: returns[0]: expected at most 1,000, found 2000."),
        (HEAD + "returns:\n", "3: returns: expected a list, found nothing."),
        (HEAD + "returns: [x]\n", '3: returns[0]: expected a whole number, found "x".'),
        (HEAD + "volatility: [1]\n", "3: volatility[0]: expected at least 2, found 1."),
        (HEAD + "volatility:\n  - 20\n  -\n", "5: volatility[1]: expected a whole number, found"),
        (HEAD + "returns:\n  - 1\n  - 1\n", "5: returns[1]: 1 stands twice."),
        (HEAD + "indicators: [foo_1]\n", "3: indicators[0]: unknown indicator 'foo_1'. Accepted: "),
        (HEAD + "fill: carry\n", "3: fill: unknown fill policy 'carry'. Accepted: carry_10, none"),
        (
            HEAD + "fill: linear_3\n",
            "3: fill: fill policy 'linear_3' reads the candle behind a gap",
        ),
        (HEAD + "timeframes: [1m, 2m]\n", "3: timeframes[1]: unknown timeframe '2m'."),
        (HEAD + "timeframes: [1h, 1H]\n", "3: timeframes[1]: "),
        (HEAD + "markets:\n  btc: {}\n", "4: markets.btc: key 'pair' is missing."),
        (HEAD + "markets:\n  btc: {pair: BTC/USDT}\n", "4: markets.btc: names no column"),
        (
            HEAD + "markets:\n  btc: {pair: BTC/USDT, return: [1]}\n",
            "4: markets.btc.return: unknown key. Did you mean 'returns'?",
        ),
        (
            HEAD + "markets:\n  btc:\n    pair: BTC/USDT\n    indicators: [foo_1]\n",
            "6: markets.btc.indicators[0]: unknown indicator 'foo_1'.",
        ),
        (
            HEAD + "markets:\n  btc: {pair: BTC/USDT, returns: [1, 1]}\n",
            "4: markets.btc.returns[1]: 1 stands twice.",
        ),
        (
            HEAD + "markets:\n  1h: {pair: BTC/USDT, returns: [1]}\n",
            "4: markets.1h: ",
        ),
        (
            HEAD + "markets:\n  returns: {pair: BTC/USDT, returns: [1]}\n",
            "4: markets.returns: 'returns' names other columns of the set already.",
        ),
        (
            HEAD + "markets:\n  a: {pair: BTC/USDT, returns: [1]}\n"
            "  b: {pair: BTC/USDT, returns: [2]}\n",
            "5: markets.b.pair: BTC/USDT stands twice.",
        ),
        (HEAD + "indicators: [rsi_14, rsi_14]\n", "3: indicators[1]: 'rsi_14' stands twice."),
        (HEAD + "joins: {2m: {}}\n", "3: joins.2m: unknown timeframe '2m'. Accepted: 1m, "),
        (HEAD + "joins:\n  1h: {}\n  1H: {}\n", "5: joins.1H: 1h stands twice."),
        (HEAD + "joins: {1h: {1h: [rsi_14]}}\n", "3: joins.1h.1h: 1h is not coarser than 1h."),
        (HEAD + "joins: {1h: {4h: [foo_1]}}\n", "3: joins.1h.4h[0]: unknown indicator 'foo_1'."),
        (HEAD + "joins: {1h: {4h: rsi_14}}\n", '3: joins.1h.4h: expected a list, found "rsi_14".'),
    ],
)
def test_a_wrong_feature_set_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(f"features/mine.yaml:{message}")
