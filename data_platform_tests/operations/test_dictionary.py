from pathlib import Path

import pytest

from data_platform.converters import CONVERTERS
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.dictionary import consensus_columns, spell_dictionary
from data_platform.settings import PROJECT_ROOT, load_settings
from data_platform.storage.state_frames import STATE_COLUMNS, STATE_SCHEMAS, STATE_TABLES

DOCUMENT = PROJECT_ROOT / "docs" / "data_dictionary.md"


def spelled(config: Path) -> str:
    settings = load_settings({}, config=config)
    hour = to_timeframe("1h")
    return spell_dictionary(settings.indicators, settings.feature_sets, hour, CONVERTERS)


def test_the_document_is_what_the_schemas_say() -> None:
    found = spelled(PROJECT_ROOT / "configs" / "platform.yaml")
    assert DOCUMENT.read_text() == found, "run `make docs`"


def test_every_column_of_every_table_has_a_meaning() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    assert all(all(cell.strip() for cell in row.strip("|").split(" | ")) for row in rows)
    assert {name for schema in STATE_SCHEMAS.values() for name in schema} == set(STATE_COLUMNS)
    assert set(STATE_SCHEMAS) == set(STATE_TABLES)


@pytest.mark.parametrize("column", ["open_time", "is_filled", "rsi_14", "ts_event", "next_try"])
def test_columns_of_all_kinds_are_in_it(column: str) -> None:
    assert f"| {column} |" in DOCUMENT.read_text()


def test_a_config_with_other_indicators_has_another_dictionary(tmp_path: Path) -> None:
    default = load_settings({}, config=PROJECT_ROOT / "configs" / "platform.yaml").indicators
    names = ", ".join([*default, "sma_7"])
    config = tmp_path / "platform.yaml"
    config.write_text(f"exchanges:\n  okx: {{pairs: [BTC/USDT]}}\nindicators: [{names}]\n")
    assert "| sma_7 | Float64 |" in spelled(config)
    assert "| sma_7 |" not in DOCUMENT.read_text()


def test_the_consensus_is_described_as_the_macro_shows_it() -> None:
    names = [it.name for it in consensus_columns()]
    assert names == [*CANDLE_SCHEMA.names(), "exchanges", "available_at"]
