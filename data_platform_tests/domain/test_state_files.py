import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from data_platform.domain.state_files import SCHEMAS, STATE_FILES, json_schema, spell_time

REMEDY = "python -m data_platform.domain.state_files"


@pytest.mark.parametrize("name", STATE_FILES)
def test_the_shipped_schema_is_up_to_date(name: str) -> None:
    shipped = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    assert shipped == json_schema(name), REMEDY


@pytest.mark.parametrize("name", STATE_FILES)
def test_the_schema_is_one_of_its_draft_and_leaves_no_key_open(name: str) -> None:
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    objects = [part for part in walk(schema) if part.get("type") == "object"]
    assert objects
    for part in objects:
        names = "propertyNames" in part or name_of(part) == "sources"
        assert part.get("additionalProperties") is False or names, part


@pytest.mark.parametrize("name", STATE_FILES)
def test_every_field_has_a_meaning_and_must_be_there(name: str) -> None:
    schema = json_schema(name)
    for part in (schema, *schema["$defs"].values()):
        assert sorted(part["required"]) == sorted(part["properties"])
        assert all(field["description"] for field in part["properties"].values())


def test_fields_are_those_that_programs_were_promised() -> None:
    def fields(name: str, part: str | None = None) -> set[str]:
        schema = json_schema(name)
        return set((schema["$defs"][part] if part else schema)["properties"])

    assert fields("data_status") == {
        *("updated_at", "sources", "markets", "overall_health", "quality_score", "halt_trading"),
    }
    assert fields("data_status", "SourceStatus") == {"status", "last_response", "latency_ms"}
    assert fields("data_status", "SeriesState") == {
        *("last_bar", "quality_score", "bars_today", "gaps_today"),
    }
    assert fields("latest_ohlcv") == {"updated_at", "market", "timeframes", "derived"}
    assert fields("latest_ohlcv", "Candle") == {
        *("timestamp", "open", "high", "low", "close", "volume"),
    }
    assert fields("latest_ohlcv", "Derived") == {
        *("atr_14_1h", "daily_high", "daily_low", "daily_volume"),
    }
    assert fields("quality_report") == {
        *("report_date", "markets_monitored", "overall_quality", "quality_by_market"),
        *("issues_24h", "recommendations"),
    }
    assert fields("quality_report", "MarketQuality") == {
        *("quality_score", "completeness", "validity", "freshness", "issues"),
    }
    assert fields("quality_report", "Issue") == {
        *("timestamp", "type", "market", "timeframe", "duration_bars", "resolution"),
    }
    assert fields("market_context") == {
        *("updated_at", "market", "volatility_regime", "volatility_percentile", "trend_1d"),
        *("trend_4h", "session", "key_levels", "recent_events"),
    }
    assert fields("market_context", "Session") == {
        *("current", "minutes_into_session", "killzone_active"),
    }
    assert fields("market_context", "KeyLevels") == {
        *("daily_pivot", "daily_r1", "daily_s1", "weekly_high", "weekly_low"),
    }


def test_a_time_is_told_in_utc_whatever_its_zone() -> None:
    nepal = timezone(timedelta(hours=5, minutes=45))
    assert spell_time(datetime(2024, 2, 1, 0, 15, 7, 999, tzinfo=nepal)) == "2024-01-31T18:30:07Z"
    assert spell_time(datetime(2024, 1, 31, tzinfo=UTC)) == "2024-01-31T00:00:00Z"


def walk(part: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
    if isinstance(part, list):
        return [found for each in part for found in walk(each)]
    if not isinstance(part, dict):
        return []
    return [part, *(found for each in part.values() for found in walk(each))]


def name_of(part: dict[str, Any]) -> str:
    return str(part.get("title", "")).lower()
