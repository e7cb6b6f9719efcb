import json
from pathlib import Path

import pytest

from data_platform.config.models import PlatformFile, json_schema, read_model
from data_platform.config.strict_yaml import parse_yaml
from data_platform.domain.errors import ConfigError
from data_platform.settings import PROJECT_ROOT

FILE = Path("some.yaml")
REMEDY = "python -m data_platform.config.models > configs/platform.schema.json"


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_model(parse_yaml(text.encode(), FILE), PlatformFile)
    return str(caught.value)


def test_the_shipped_schema_is_up_to_date() -> None:
    shipped = (PROJECT_ROOT / "configs/platform.schema.json").read_text()
    assert shipped == json_schema(), REMEDY


def test_the_schema_knows_keys_and_accepted_values() -> None:
    definitions = json.loads(json_schema())["$defs"]
    exchange = definitions["ExchangeEntry"]
    assert exchange["required"] == ["pairs"]
    assert exchange["additionalProperties"] is False
    timeframes = exchange["properties"]["timeframes"]["items"]["enum"]
    assert timeframes == ["1m", "5m", "15m", "1h", "4h", "1d"]
    assert definitions["RefreshEntry"]["properties"]["derived"]["default"] == "1h"


def test_every_key_of_the_schema_has_a_description() -> None:
    definitions = json.loads(json_schema())["$defs"]
    fields = [field for model in definitions.values() for field in model["properties"].values()]
    assert len(fields) > 10
    assert all(field.get("description") for field in fields)


def test_a_typo_is_named_before_the_key_that_it_leaves_missing() -> None:
    message = refusal("exchanges:\n  binance:\n    pair: [BTC/USDT]\n")
    assert message == (
        "some.yaml:3: exchanges.binance.pair: unknown key. Did you mean 'pairs'? Accepted: pairs, "
        "timeframes, start, history_days, pair_start, derive, ccxt_id, base_url, backup, "
        "rate_limit, timeout, grace, api_key_env. (One of 2 problems.)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exchanges: {}", "1: exchanges: expected at least one entry, found none."),
        ("exchanges:", "1: exchanges: expected keys with values, found nothing."),
        (
            "exchanges:\n  okx:\n    pairs: []",
            "3: exchanges.okx.pairs: expected at least one entry, found none.",
        ),
        (
            "exchanges:\n  okx:\n    pairs:",
            "3: exchanges.okx.pairs: expected a list, found nothing.",
        ),
        (
            "exchanges:\n  okx: {pairs: [A/B], timeframes: []}",
            "2: exchanges.okx.timeframes: expected at least one entry, found none.",
        ),
        (
            "exchanges:\n  okx: {pairs: [A/B], timeout: }",
            "2: exchanges.okx.timeout: expected a number and a unit (30s, 5m, 1h, 1d), found noth",
        ),
    ],
)
def test_what_is_left_empty_is_told_as_nothing(text: str, message: str) -> None:
    assert refusal(f"{text}\n").startswith(f"some.yaml:{message}")


def test_the_first_wrong_line_is_named() -> None:
    message = refusal("refresh:\n  candles: 5x\nexchanges:\n  binance: {pairs: [x]}\n")
    assert message.startswith("some.yaml:2: refresh.candles: ")


def test_a_long_value_is_cut_in_the_message() -> None:
    message = refusal(f"exchanges: {'x' * 500}\n")
    assert len(message) < 150
