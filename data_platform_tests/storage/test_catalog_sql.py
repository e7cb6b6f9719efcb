from pathlib import Path

import duckdb
import pytest

from data_platform.domain.layers import LAYERS_BY_NAME
from data_platform.domain.markets import Pair
from data_platform.storage.catalog_sql import (
    TABLES,
    consensus_statement,
    macro_statement,
    pattern,
    text,
    view_statement,
)
from data_platform_tests.storage.test_layout import ODD_SYMBOLS

ODD = Path("/la'ke [1]/*")
LISTS = {"/a/*'/candles.parquet": ["/a/b's/candles.parquet"]}


def kinds(sql: str) -> list[str]:
    return [statement.type.name for statement in duckdb.extract_statements(sql)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_table_makes_one_macro_and_one_view_whatever_the_folder_is_called(
    table: object,
) -> None:
    assert kinds(macro_statement(table, ODD, LISTS)) == ["CREATE"]  # type: ignore[arg-type]
    for stored in (True, False):
        assert kinds(view_statement(table, ODD, LISTS, stored=stored)) == ["CREATE"]  # type: ignore[arg-type]
    assert kinds(consensus_statement(ODD, LISTS)) == ["CREATE"]


def test_every_stored_layer_is_shown() -> None:
    own = [name for name, layer in LAYERS_BY_NAME.items() if layer.refresh != "exports"]
    assert [table.layer for table in TABLES] == own


def test_text_cannot_end_early() -> None:
    assert text("it's") == "'it''s'"
    assert duckdb.execute(f"SELECT {text(chr(39) + '; DROP')}").fetchone() == ("'; DROP",)


def test_a_folder_is_no_pattern() -> None:
    assert pattern(Path("/a[b]*?")) == "/a[[]b][*][?]"


@pytest.mark.parametrize("symbol", [*ODD_SYMBOLS, "BTC/USDT", "A..B/US~D"])
def test_sql_spells_a_pair_as_the_folders_do(symbol: str) -> None:
    from data_platform.storage.catalog_sql import _PAIR

    pair = Pair(symbol)
    # DuckDB's `url_decode` ends a text at a NUL.
    for spelling in (pair.symbol, pair.key)[: 1 if "\0" in symbol else 2]:
        found = duckdb.execute(f"SELECT {_PAIR} FROM (SELECT ? AS pair)", [spelling]).fetchone()
        assert found == (pair.key,)
