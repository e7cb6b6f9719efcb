import json
from collections.abc import Callable, Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.domain.errors import WrongUseError
from data_platform.storage.answers import select, select_json
from data_platform.storage.catalog import open_catalog
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import open_store

HUGE = 2**127 - 1
UHUGE = 2**128 - 1
LONG = "12345678901234567890123456789012345.678"
UUID = "550e8400-e29b-41d4-a716-446655440000"
NAN, INFINITE = "'nan'::DOUBLE", "'inf'::DOUBLE"
MIDNIGHT = "TIMESTAMPTZ '2024-01-01 02:00:00+02'"

# An expression; how it is spelt in a table and in CSV; what JSON holds.
VALUES: list[tuple[str, str | None, object]] = [
    ("true", "true", True),
    ("(-1)::TINYINT", "-1", -1),
    ("65535::USMALLINT", "65535", 65535),
    ("18446744073709551615::UBIGINT", "18446744073709551615", 18446744073709551615),
    (f"{HUGE}::HUGEINT", str(HUGE), HUGE),
    (f"'{UHUGE}'::UHUGEINT", str(UHUGE), UHUGE),
    (f"'{UHUGE}00'::BIGNUM", f"{UHUGE}00", UHUGE * 100),
    ("(SELECT sum(i) FROM range(3) r(i))", "3", 3),
    ("1.10::DECIMAL(10, 2)", "1.10", 1.1),
    (f"'{LONG}'::DECIMAL(38, 3)", LONG, float(LONG)),
    ("0.1::REAL", "0.1", 0.10000000149011612),
    ("0.1::DOUBLE + 0.2::DOUBLE", "0.30000000000000004", 0.30000000000000004),
    (NAN, "nan", None),
    (INFINITE, "inf", None),
    ("'-inf'::REAL", "-inf", None),
    (f"'{UUID}'::UUID", UUID, UUID),
    ("'x'::ENUM('x', 'y')", "x", "x"),
    ("'NaN, [red]\"Infinity\"\\'", 'NaN, [red]"Infinity"\\', 'NaN, [red]"Infinity"\\'),
    ("''", "", ""),
    ("NULL", None, None),
    ("NULL::DOUBLE", None, None),
    ("'\\x00\\xFF'::BLOB", "00ff", "00ff"),
    ("'0101'::BIT", "0101", "0101"),
    ("DATE '2024-02-29'", "2024-02-29", "2024-02-29"),
    ("'infinity'::DATE", "infinity", "infinity"),
    ("DATE '0044-03-15 (BC)'", "0044-03-15 (BC)", "0044-03-15 (BC)"),
    ("TIME '12:34:56.789'", "12:34:56.789", "12:34:56.789"),
    ("'12:34:56.789123456'::TIME_NS", "12:34:56.789123456", "12:34:56.789123456"),
    ("'12:34:56+05:45'::TIMETZ", "12:34:56+05:45", "12:34:56+05:45"),
    (MIDNIGHT, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    (
        "TIMESTAMPTZ '2024-01-01 00:00:00.001Z'",
        "2024-01-01T00:00:00.001Z",
        "2024-01-01T00:00:00.001Z",
    ),
    ("TIMESTAMPTZ '290000-01-01'", "290000-01-01T00:00:00Z", "290000-01-01T00:00:00Z"),
    ("'-infinity'::TIMESTAMPTZ", "-infinity", "-infinity"),
    ("TIMESTAMP '2024-01-01 00:00:00'", "2024-01-01T00:00:00", "2024-01-01T00:00:00"),
    ("'2024-01-01'::TIMESTAMP_S", "2024-01-01T00:00:00", "2024-01-01T00:00:00"),
    ("'2024-01-01 00:00:00.5'::TIMESTAMP_MS", "2024-01-01T00:00:00.5", "2024-01-01T00:00:00.5"),
    (
        "'2024-01-01 00:00:00.123456789'::TIMESTAMP_NS",
        "2024-01-01T00:00:00.123456789",
        "2024-01-01T00:00:00.123456789",
    ),
    ("INTERVAL '1 month 3 days 4 seconds'", "1 month 3 days 00:00:04", "1 month 3 days 00:00:04"),
    ("-INTERVAL 90 MINUTE", "-01:30:00", "-01:30:00"),
    ("[1, NULL]", "[1,null]", [1, None]),
    ("[]", "[]", []),
    (f"[1.5::DOUBLE, {NAN}, -{INFINITE}]", "[1.5,null,null]", [1.5, None, None]),
    ("[1, 2]::INTEGER[2]", "[1,2]", [1, 2]),
    (f"[{HUGE}::HUGEINT]", f"[{HUGE}]", [HUGE]),
    ("[INTERVAL 1 DAY]", '["1 day"]', ["1 day"]),
    (f"[{MIDNIGHT}]", '["2024-01-01 00:00:00+00"]', ["2024-01-01 00:00:00+00"]),
    ("{'a': {'NaN': 'Infinity'}}", '{"a":{"NaN":"Infinity"}}', {"a": {"NaN": "Infinity"}}),
    ("NULL::STRUCT(a INTEGER)", None, None),
    ("row(1, 'x')", '[1,"x"]', [1, "x"]),
    ("MAP {'k': [TIME '01:02:03']}", '{"k":["01:02:03"]}', {"k": ["01:02:03"]}),
    ("union_value(number := 1)", "1", {"number": 1}),
    ("1::VARIANT", "1", 1),
    ("'{\"a\": 1}'::JSON", '{"a": 1}', {"a": 1}),
    ("'POINT(1 2)'::GEOMETRY", "POINT (1 2)", "POINT (1 2)"),
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    store: PartitionStore = open_store(tmp_path_factory.mktemp("lake"))
    with open_catalog(store.root, store.state) as connection:
        yield connection
    store.state.close()


@pytest.mark.parametrize(("value", "text", "held"), VALUES, ids=[it[0] for it in VALUES])
def test_a_value_of_every_type_is_spelt_right(
    door: duckdb.DuckDBPyConnection, value: str, text: str | None, held: object
) -> None:
    assert select(door, f"SELECT {value} AS v").texts.rows() == [(text,)]
    (row,) = select_json(door, f"SELECT {value} AS v")
    assert parsed(row) == {"v": held}


def parsed(row: str) -> object:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(row, parse_constant=refuse)


def test_numbers_are_told_from_what_looks_like_them(door: duckdb.DuckDBPyConnection) -> None:
    columns = "1 AS a, 1::UHUGEINT AS b, 1.5 AS c, '1' AS d, INTERVAL 1 DAY AS e, '1'::BIT AS f"
    assert select(door, f"SELECT {columns}").numbers == {"a", "b", "c"}


# A busy machine takes longer than any deadline for an example.
@settings(deadline=None)
@given(value=st.text(), name=st.text(min_size=1).filter(lambda it: "\0" not in it))
def test_any_text_survives(value: str, name: str) -> None:
    with duckdb.connect() as connection:
        quoted = name.replace('"', '""')
        spelled = "".join(f"chr({ord(letter)})||" for letter in value) + "''"
        sql = f'SELECT {spelled} AS "{quoted}"'
        assert select(connection, sql).texts.rows() == [(value,)]
        assert parsed(*select_json(connection, sql)) == {name: value}


def test_rows_keep_their_order(door: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT i FROM range(300_000) r(i) ORDER BY i DESC"
    down = [str(number) for number in range(299_999, -1, -1)]
    assert select(door, sql).texts["i"].to_list() == down
    assert select_json(door, sql) == [f'{{"i": {number}}}' for number in down]


def test_no_rows_have_their_columns_all_the_same(door: duckdb.DuckDBPyConnection) -> None:
    answer = select(door, "SELECT 1 AS a, [1] AS b LIMIT 0")
    assert (answer.texts.columns, answer.texts.height) == (["a", "b"], 0)
    assert select_json(door, "SELECT 1 AS a LIMIT 0") == []


def test_letters_of_another_case_make_another_column(door: duckdb.DuckDBPyConnection) -> None:
    assert select(door, 'SELECT 1 AS a, 2 AS "A"').texts.rows(named=True) == [{"a": "1", "A": "2"}]


@pytest.mark.parametrize("ask", [select, select_json])
@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT 1 AS a, 2 AS b, 3 AS a", r"two columns called 'a'.*a AS other"),
        ("SELECT statu FROM gaps", r'"statu" not found.*Candidate bindings: "status"'),
        ("FROM gap", r'name gap does not exist! Did you mean "gaps"\?'),
        ("SELECT 1 +", r"does not parse: .*at or near \"\+\"$"),
        ("SELECT 'x'::INTEGER", "refused.*Could not convert string 'x'"),
        ("SELECT ('x' || i)::INTEGER AS n FROM range(3) r(i)", "refused.*convert string 'x0'"),
        ("SELECT 1; SELECT 2", "found SELECT and SELECT"),
        ("DROP TABLE gaps", "found DROP"),
        ("", "found nothing"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(
    door: duckdb.DuckDBPyConnection,
    ask: Callable[[duckdb.DuckDBPyConnection, str], object],
    sql: str,
    told: str,
) -> None:
    with pytest.raises(WrongUseError, match=told) as caught:
        ask(door, sql)
    assert "\n" not in str(caught.value)
