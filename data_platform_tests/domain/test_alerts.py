import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from data_platform.domain.alerts import (
    SEVERITIES,
    Alarm,
    AlarmType,
    Alert,
    Channel,
    Severity,
    is_worse,
    spell_time,
)
from data_platform.domain.state_files import SCHEMAS

ALARM = Alarm("score_low", "high", "okx", "okx/BTC-USDT", "okx/BTC-USDT/1h", "words", "done")


def test_alert_is_an_object_of_the_stated_fields() -> None:
    alert = Alert("a1", datetime(2024, 1, 1, 12, tzinfo=UTC), ALARM)
    assert alert.to_object() == {
        "alert_id": "a1",
        "timestamp": "2024-01-01T12:00:00.000Z",
        "severity": "high",
        "type": "score_low",
        "message": "words",
        "affected": {"market": "okx/BTC-USDT", "source": "okx"},
        "action_taken": "done",
        "escalate": False,
    }


def test_every_alert_is_what_the_shipped_schema_says() -> None:
    schema = json.loads((SCHEMAS / "alert.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    at = datetime(2024, 1, 1, 12, tzinfo=UTC)
    for kind in get_args(AlarmType):
        for severity in SEVERITIES:
            alarm = replace(ALARM, type=kind, severity=severity, market=None)
            validator.validate(Alert("a1", at, alarm).to_object())
    told = Alert("a1", at, ALARM).to_object()
    for wrong in ({"severity": "loud"}, {"affected": {"market": None}}, {"more": 1}):
        assert not validator.is_valid({**told, **wrong})


def test_time_is_told_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert spell_time(datetime(2024, 1, 1, 9, tzinfo=tokyo)) == "2024-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [("critical", "high", True), ("high", "high", False), ("medium", "high", False)],
)
def test_worse_is_above(new: Severity, old: Severity, expected: bool) -> None:
    assert is_worse(new, old) is expected


def test_channel_never_shows_its_url() -> None:
    channel = Channel("mailto://user:hunter2@example.com")
    for text in (repr(channel), str(channel), channel.name, channel.spelled, f"{[channel]}"):
        assert "hunter2" not in text
        assert "user" not in text
    assert channel.spelled.startswith("mailto (channel ")
    assert channel.name != Channel("mailto://user:other@example.com").name
