import csv
import io
import json
from datetime import datetime, timedelta, timezone

import polars as pl
import pytest

from data_platform.cli.output import print_answer, print_csv, print_json
from data_platform.storage.answers import Answer

ODD = Answer(
    pl.DataFrame({"price": ["0.30000000000000004", None], "text": ['[red]x[/red], "y"\nz', ""]}),
    frozenset({"price"}),
)


def test_csv_is_exact_and_complete(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(ODD)
    printed = capsys.readouterr().out
    assert list(csv.reader(io.StringIO(printed))) == [
        ["price", "text"],
        ["0.30000000000000004", '[red]x[/red], "y"\nz'],
        ["", ""],
    ]
    assert printed.endswith(',""\n')


def test_csv_has_more_rows_than_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(numbers(60))
    assert capsys.readouterr().out.split() == ["n", *(str(number) for number in range(60))]


def numbers(count: int) -> Answer:
    return Answer(pl.DataFrame({"n": [str(number) for number in range(count)]}), frozenset({"n"}))


def test_a_table_shows_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(ODD)
    printed = capsys.readouterr().out
    assert '[red]x[/red], "y"' in printed
    assert "│ 0.30000000000000004 │" in printed
    assert printed.endswith("2 rows\n")


def test_a_table_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(numbers(60))
    printed = capsys.readouterr().out
    assert "│  9 │" in printed
    assert "│ 49 │" in printed
    assert " 50 " not in printed
    assert printed.endswith("50 of 60 rows; --format csv prints all.\n")


def test_one_row_is_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(numbers(1))
    assert capsys.readouterr().out.endswith("1 row\n")


def test_json_is_an_array_of_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    there = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    print_json(['{"exact": 0.10}', {"at": there, "none": None}])
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == '[{"exact": 0.10},'
    assert json.loads(printed) == [
        {"exact": 0.1},
        {"at": "2024-01-01T00:00:00Z", "none": None},
    ]
    print_json([])
    assert json.loads(capsys.readouterr().out) == []
