from pathlib import Path

import pytest

from data_platform.config.feature_sets import read_feature_set
from data_platform.config.strict_yaml import parse_yaml
from data_platform.domain.errors import ConfigError
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.feature_set import FeatureSet

STORED = ("rsi_14", "sma_20")
HEAD = "name: mine\nversion: 2\n"


def read(text: str) -> FeatureSet:
    return read_feature_set(parse_yaml(text.encode(), Path("features/mine.yaml")), STORED)


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
        (
            HEAD + "indicators: [ema_12]\n",
            "3: indicators[0]: 'ema_12' is not among the",
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
