"""The JSON Schema of `configs/thresholds.yaml`, for editors: every check with its own limits.

The model of the file knows no check by name; the rules do, with their descriptions and defaults.
`python -m data_platform.config.thresholds_schema > configs/thresholds.schema.json` writes it anew.
"""

import json
import sys
from typing import Any, get_args

from data_platform.config.standards import RULE_LIMITS, RULES, TIMES
from data_platform.config.thresholds_file import ThresholdsFile
from data_platform.config.values import DURATION_PATTERN
from data_platform.quality.continuity import QUIET_TIMES
from data_platform.quality.rule import Severity

_DESCRIPTIONS = {
    **{rule.name: rule.description for rule in RULES},
    QUIET_TIMES: "Longest hole that is a time without trades where quiet candles are omitted.",
}
_SEVERITIES = {rule.name: rule.severity for rule in RULES}
_SERIES = "^[^/]+/[^/]+(/[^/]+)?/[^/]+$"


def json_schema() -> str:
    """Return the schema, as `configs/thresholds.schema.json` holds it."""
    schema = ThresholdsFile.model_json_schema()
    checks = {"type": "object", "additionalProperties": False, "properties": _checks()}
    schema["$defs"]["Checks"] = checks
    del schema["$defs"]["CheckEntry"]
    own = schema["properties"]
    own["checks"] = {"description": own["checks"]["description"], "$ref": "#/$defs/Checks"}
    own["series"] = {
        "description": own["series"]["description"],
        "type": "object",
        "propertyNames": {"pattern": _SERIES},
        "additionalProperties": {"$ref": "#/$defs/Checks"},
    }
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**dialect, **schema}, indent=2) + "\n"


def _checks() -> dict[str, Any]:
    return {
        name: {
            "type": "object",
            "description": _DESCRIPTIONS[name],
            "additionalProperties": False,
            "properties": {**_severity(name), **_limits(name)},
        }
        for name in RULE_LIMITS
    }


def _severity(rule: str) -> dict[str, Any]:
    if rule not in _SEVERITIES:
        return {}
    return {"severity": {"enum": list(get_args(Severity)), "default": _SEVERITIES[rule]}}


def _limits(rule: str) -> dict[str, Any]:
    number: dict[str, Any] = {"type": "number", "minimum": 0}
    time = {"anyOf": [number, {"type": "string", "pattern": DURATION_PATTERN}]}
    kind = time if rule in TIMES else number
    return {
        name: {**kind, **({"maximum": 1} if name == "share" else {}), "default": value}
        for name, value in RULE_LIMITS[rule].items()
    }


if __name__ == "__main__":
    sys.stdout.write(json_schema())
