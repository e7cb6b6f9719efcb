from pathlib import Path

import pytest

from data_platform.config.scores import read_profiles
from data_platform.config.strict_yaml import parse_yaml, read_yaml
from data_platform.domain.errors import ConfigError
from data_platform.quality.score import Profiles
from data_platform.settings import PROJECT_ROOT, load_settings

SHIPPED = PROJECT_ROOT / "configs/thresholds.yaml"


def profiles(text: str) -> Profiles:
    return read_profiles(parse_yaml(f"checks: {{}}\n{text}".encode(), Path("thresholds.yaml")))


def test_the_shipped_file_says_what_the_ruling_says() -> None:
    found = read_profiles(read_yaml(SHIPPED))
    assert found == Profiles()
    assert dict(found.five.weights) == {
        "completeness": 0.30,
        "accuracy": 0.30,
        "consistency": 0.20,
        "timeliness": 0.10,
        "validity": 0.10,
    }
    assert dict(found.four.weights) == {
        "completeness": 0.30,
        "validity": 0.30,
        "timeliness": 0.25,
        "consistency": 0.15,
    }
    assert found.default == "five_dimensions"
    assert load_settings({}).thresholds.profiles == found


def test_a_silent_file_keeps_the_defaults() -> None:
    assert profiles("") == Profiles()


def test_weights_of_ones_own_need_a_version_of_their_own() -> None:
    own = """\
scores:
  default: four_dimensions
  four_dimensions:
    version: 2
    weights: {completeness: 0.5, validity: 0.5}
"""
    found = profiles(own)
    assert (found.four.key, dict(found.four.weights)) == (
        "four_dimensions-v2",
        {"completeness": 0.5, "validity": 0.5},
    )
    assert found.default_column == "score_four"
    assert found.five == Profiles().five
    with pytest.raises(ConfigError, match=r"yaml:5: scores.four_dimensions.version: version 1 is"):
        profiles(own.replace("version: 2", "version: 1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scores: {default: best}\n", "2: scores.default: expected one of five_dimensions, four_"),
        ("scores:\n  six: {}\n", "3: scores.six: unknown key. Accepted: default, five_dimensions"),
        (
            "scores:\n  five_dimensions:\n    version: 2\n    weights: {completeness: 0.9}\n",
            "5: scores.five_dimensions.weights: expected weights that sum to 1, found 0.9.",
        ),
        (
            "scores:\n  five_dimensions:\n    version: 2\n    weights:\n      beauty: 1.0\n",
            "6: scores.five_dimensions.weights.beauty: unknown component. Accepted: completeness",
        ),
        (
            "scores:\n  five_dimensions:\n    version: 2\n    weights:\n      accuracy: -0.1\n",
            "6: scores.five_dimensions.weights.accuracy: expected at least 0.0, found -0.1",
        ),
        (
            "scores:\n  five_dimensions:\n    version: 0\n    weights: {accuracy: 1.0}\n",
            "4: scores.five_dimensions.version: expected at least 1, found 0",
        ),
        (
            "scores:\n  five_dimensions: {version: 2}\n",
            "3: scores.five_dimensions: key 'weights' is missing.",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profiles(text)
    assert str(caught.value).startswith(f"thresholds.yaml:{message}")
