from datetime import timedelta
from pathlib import Path

import pytest

from data_platform.config.strict_yaml import parse_yaml, read_yaml
from data_platform.config.thresholds import read_retention
from data_platform.domain.errors import ConfigError
from data_platform.settings import PROJECT_ROOT

FILE = Path("thresholds.yaml")
SHIPPED = PROJECT_ROOT / "configs/thresholds.yaml"


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
