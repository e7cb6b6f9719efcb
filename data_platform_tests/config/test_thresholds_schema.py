import json

import jsonschema
import pytest

from data_platform.config.standards import RULE_LIMITS
from data_platform.config.strict_yaml import parse_yaml, read_yaml
from data_platform.config.thresholds_schema import json_schema
from data_platform.settings import PROJECT_ROOT
from data_platform_tests.config.test_standards import FILE, SERIES, SHIPPED

REMEDY = "python -m data_platform.config.thresholds_schema > configs/thresholds.schema.json"


def accepts(text: str) -> bool:
    checker = jsonschema.Draft202012Validator(json.loads(json_schema()))
    return bool(checker.is_valid(parse_yaml(text.encode(), FILE).values))


def test_the_shipped_schema_is_up_to_date_and_named_by_the_file() -> None:
    shipped = PROJECT_ROOT / "configs/thresholds.schema.json"
    assert shipped.read_text() == json_schema(), REMEDY
    assert SHIPPED.read_text().startswith(f"# yaml-language-server: $schema={shipped.name}\n")


def test_it_is_a_schema_and_the_shipped_file_is_of_it() -> None:
    schema = json.loads(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_yaml(SHIPPED).values, schema)


def test_every_check_is_known_with_its_sentence_and_defaults() -> None:
    checks = json.loads(json_schema())["$defs"]["Checks"]["properties"]
    assert set(checks) == set(RULE_LIMITS)
    assert all(check["description"].endswith(".") for check in checks.values())
    assert checks["no_price_jumps"]["properties"]["1h"]["default"] == 0.2
    assert checks["no_price_jumps"]["properties"]["severity"]["default"] == "warn"


@pytest.mark.parametrize(
    "text",
    [
        "checks: {no_price_jump: {1m: 1}}",
        "checks: {no_price_jumps: {2m: 1}}",
        "checks: {no_price_jumps: {1m: 5m}}",
        "checks: {no_price_jumps: {severity: critical}}",
        "checks: {quiet_times: {severity: warn}}",
        "checks: {days_complete: {share: 2}}",
        f"{SERIES}  kraken: {{}}",
        f"{SERIES}  kraken/*/1m: {{price_moves: {{1m: 1}}}}",
    ],
)
def test_what_the_file_may_not_say_an_editor_marks(text: str) -> None:
    assert not accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "checks: {candles_fresh: {1m: 90s, 5m: 300}}",
        f"{SERIES}  kraken/BTC/USD/1m: {{prices_move: {{1m: 5, severity: error}}}}",
    ],
)
def test_what_the_file_may_say_an_editor_accepts(text: str) -> None:
    assert accepts(text)
