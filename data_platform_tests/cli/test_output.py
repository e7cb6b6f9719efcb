import csv
import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest

from data_platform.cli.output import print_frame

ODD = pl.DataFrame(
    {
        "time": [datetime(2024, 1, 1, 0, 0, 0, 1000, tzinfo=UTC), None],
        "price": [0.1 + 0.2, float("nan")],
        "day": [date(2024, 1, 1), None],
        "names": [["a", "b"], None],
        "raw": [b"\x00\xff", None],
        "sum": pl.Series([Decimal(12), None], dtype=pl.Decimal(38, 0)),
        "text": ['[red]x[/red], "y"', None],
    }
)


def test_csv_is_exact_and_complete(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(ODD, "csv")
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert first == {
        "time": "2024-01-01T00:00:00.001Z",
        "price": "0.30000000000000004",
        "day": "2024-01-01",
        "names": '["a", "b"]',
        "raw": "00ff",
        "sum": "12",
        "text": '[red]x[/red], "y"',
    }
    assert second["time"] == ""


def test_json_is_an_array_of_objects_with_numbers_as_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_frame(ODD, "json")
    first, second = json.loads(capsys.readouterr().out)
    assert first["time"] == "2024-01-01T00:00:00.001Z"
    assert first["price"] == 0.30000000000000004
    assert first["sum"] == 12
    assert first["names"] == ["a", "b"]
    assert first["raw"] == "00ff"
    assert second == dict.fromkeys(ODD.columns)


def test_a_table_shows_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(ODD, "table")
    printed = capsys.readouterr().out
    assert '[red]x[/red], "y"' in printed
    assert "0.30000000000000004" in printed
    assert printed.endswith("2 rows\n")


def test_a_table_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(pl.DataFrame({"n": range(60)}), "table")
    printed = capsys.readouterr().out
    assert " 49 " in printed
    assert " 50 " not in printed
    assert printed.endswith("50 of 60 rows; --format csv prints all.\n")


def test_one_row_is_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(pl.DataFrame({"n": [1]}), "table")
    assert capsys.readouterr().out.endswith("1 row\n")


def test_a_time_without_a_zone_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(pl.DataFrame({"t": [datetime(2024, 1, 1)]}), "csv")  # noqa: DTZ001
    assert capsys.readouterr().out == "t\n2024-01-01T00:00:00\n"


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_time_of_another_zone_is_the_same_instant_in_utc(
    capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    there = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    frame = pl.DataFrame({"t": [there]}).with_columns(
        pl.col("t").dt.convert_time_zone("Asia/Tokyo")
    )
    print_frame(frame, kind)
    assert "2024-01-01T00:00:00Z" in capsys.readouterr().out
