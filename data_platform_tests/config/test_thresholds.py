from datetime import timedelta
from pathlib import Path

import pytest

from data_platform.config.strict_yaml import parse_yaml, read_yaml
from data_platform.config.thresholds import RULE_LIMITS, read_limits, read_retention
from data_platform.domain.errors import ConfigError
from data_platform.settings import PROJECT_ROOT

FILE = Path("thresholds.yaml")
SHIPPED = PROJECT_ROOT / "configs/thresholds.yaml"


def limits(text: str) -> dict[str, dict[str, float]]:
    return read_limits(parse_yaml(text.encode(), FILE))


def test_the_shipped_file_names_every_limit_of_every_check() -> None:
    document = read_yaml(SHIPPED)
    assert set(document.values["checks"]) == set(RULE_LIMITS)  # type: ignore[arg-type]
    for name, own in RULE_LIMITS.items():
        assert set(document.values["checks"][name]) == set(own)  # type: ignore[index,call-overload,arg-type]


def test_the_shipped_file_says_what_the_rulings_say() -> None:
    shipped = read_limits(read_yaml(SHIPPED))
    assert shipped == {
        "no_price_jumps": {"1m": 0.1, "5m": 0.1, "15m": 0.15, "1h": 0.2, "4h": 0.3, "1d": 0.5},
        "no_volume_spikes": {"1m": 60, "5m": 40, "15m": 20, "1h": 20, "4h": 20, "1d": 20},
        "no_outlying_returns": {
            "sigmas": 5, "1m": 0.03, "5m": 0.04, "15m": 0.06, "1h": 0.1, "4h": 0.15, "1d": 0.25
        },
        "prices_move": {"1m": 60, "5m": 27, "15m": 15, "1h": 8, "4h": 4, "1d": 2},
        "zero_volume_as_usual": {"share": 0.25},
        "no_long_gaps": {"1m": 5, "5m": 2, "15m": 1, "1h": 1, "4h": 1, "1d": 1},
        "days_complete": {"share": 0.01},
        "history_complete": {"missing": 0},
        "quiet_times": dict.fromkeys(("1m", "5m", "15m", "1h", "4h", "1d"), 6 * 3600),
        "coarser_candles_agree": {"price": 0, "volume": 1e-12},
        "exchanges_agree": {
            "1m": 0.01, "5m": 0.03, "15m": 0.03, "1h": 0.03, "4h": 0.03, "1d": 0.03
        },
        "no_copied_candles": {"candles": 3},
        "candles_fresh": {
            "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 3600, "1d": 86400
        },
    }  # fmt: skip


def test_each_shipped_limit_has_its_comment() -> None:
    lines = SHIPPED.read_text().splitlines()
    keys = [index for index, line in enumerate(lines) if line.startswith("  ") and "{" in line]
    assert len(keys) == len(RULE_LIMITS)
    assert all(lines[index - 1].startswith("  # ") for index in keys)


def test_what_the_file_does_not_name_keeps_the_defaults() -> None:
    found = limits("checks:\n  candles_fresh: {1m: 90, 1H: 2h}\n")
    assert found["candles_fresh"]["1m"] == 90
    assert found["candles_fresh"]["1h"] == 7200
    assert found["candles_fresh"]["1d"] == 86400
    assert found["days_complete"] == {"share": 0.01}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaps: {}\n", "1: gaps: unknown key. Accepted: checks, retention, scores, alerts."),
        (
            "checks:\n  days: {share: 1}\n",
            "2: checks.days: unknown check. Accepted: candles_fresh, ",
        ),
        ("checks:\n  days_complete: {part: 1}\n", "2: checks.days_complete.part: unknown limit. "),
        ("checks:\n  no_long_gaps:\n    2m: 5\n", "3: checks.no_long_gaps.2m: unknown limit. "),
        ("checks:\n  no_long_gaps: {1h: 5, 1H: 2}\n", "2: checks.no_long_gaps.1H: 1h stands twice"),
        (
            "checks:\n  no_long_gaps: {1m: -5}\n",
            "2: checks.no_long_gaps.1m: expected a number from",
        ),
        ("checks:\n  no_long_gaps: {1m: true}\n", "2: checks.no_long_gaps.1m: expected a number"),
        ("checks:\n  no_long_gaps: {1m: [5]}\n", "2: checks.no_long_gaps.1m: expected a number"),
        ("checks:\n", "1: checks: expected keys with values, found nothing."),
        ("checks:\n  x:\n", "2: checks.x: expected keys with values, found nothing."),
        (
            "checks:\n  no_long_gaps: {1m: }\n",
            "2: checks.no_long_gaps.1m: expected a number from 0 or a duration (30s, 5m, 1h, 1d)",
        ),
        (
            "checks:\n  days_complete: {share: 5m}\n",
            "2: checks.days_complete.share: expected a number, found a duration.",
        ),
        (
            "checks:\n  days_complete: {share: 5}\n",
            "2: checks.days_complete.share: expected a share from 0 to 1, found 5.",
        ),
        ("checks:\n  candles_fresh: {1d: 24}\n  x: 1\n", "3: checks.x: expected keys with values"),
        (
            "checks:\n  candles_fresh: {1d: 1w}\n",
            "2: checks.candles_fresh.1d: '1w' is no duration.",
        ),
    ],
)
def test_wrong_thresholds_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits(text)
    assert str(caught.value).startswith(f"thresholds.yaml:{message}")


def retention(text: str) -> dict[str, timedelta]:
    return read_retention(parse_yaml(f"checks: {{}}\n{text}".encode(), FILE))


def test_nothing_leaves_where_nothing_is_said() -> None:
    assert read_retention(read_yaml(SHIPPED)) == {}
    assert retention("") == {}
    assert retention("retention: {4h: unlimited}\n") == {}


def test_the_shipped_table_says_what_the_rulings_say_once_it_is_turned_on() -> None:
    text = SHIPPED.read_text().replace("# retention: {", "retention: {")
    assert read_retention(parse_yaml(text.encode(), FILE)) == {
        "1m": timedelta(days=90),
        "5m": timedelta(days=180),
        "15m": timedelta(days=365),
        "1h": timedelta(days=730),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("retention: {2m: 5d}\n", "2: retention.2m: "),
        ("retention:\n  1h: 30d\n  1H: 20d\n", "4: retention.1H: 1h stands twice"),
        ("retention: {1h: 30}\n", "2: retention.1h: "),
        ("retention: {1h: for ever}\n", "2: retention.1h: "),
        ("retention: {1h: 0d}\n", "2: retention.1h: "),
        ("retention: 90d\n", "2: retention: "),
    ],
)
def test_a_wrong_retention_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        retention(text)
    assert str(caught.value).startswith(f"thresholds.yaml:{message}")
