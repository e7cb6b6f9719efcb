"""Foreign files of every spelling, written here by hand, by Python's csv and by pandas."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from data_platform.converters.foreign import (
    ForeignFormat,
    read_csv,
    read_freqtrade,
    read_parquet,
)
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ForeignFileError
from data_platform_tests.factories import series_of

SERIES = series_of()
PLAIN = ForeignFormat()
ROWS = [(42000.13, 42100.5, 41900.0, 42050.0, 1.25), (42050.0, 42060.0, 42000.0, 42010.1, 0.1)]
OPENS = [datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in (0, 1)]
EXPECTED = pl.DataFrame(
    [(time, *row) for time, row in zip(OPENS, ROWS, strict=True)],
    schema=CANDLE_SCHEMA,
    orient="row",
)


def csv(folder: Path, times: list[str], header: str = "time,open,high,low,close,volume") -> Path:
    path = folder / "candles.csv"
    lines = [",".join([time, *map(repr, row)]) for time, row in zip(times, ROWS, strict=True)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    "times",
    [
        ["1704067200", "1704070800"],
        ["1704067200.0", "1704070800.0"],
        ["1704067200000", "1704070800000"],
        ["1704067200000000", "1704070800000000"],
        ["1704067200000000000", "1704070800000000000"],
        ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"],
        ["2024-01-01 00:00:00", "2024-01-01 01:00:00"],
        ["2024-01-01 00:00", "2024-01-01 01:00"],
        ["2024-01-01T01:00:00+01:00", "2024-01-01T02:00:00+01:00"],
        ["2024-01-01T00:00:00.000000Z", "2024-01-01T01:00:00.000000Z"],
        ["2024-01-01 00:00:00 UTC", "2024-01-01 01:00:00 UTC"],
        ["2024/01/01 00:00:00", "2024/01/01 01:00:00"],
    ],
)
def test_times_of_every_spelling_are_the_same_candles(tmp_path: Path, times: list[str]) -> None:
    found = read_csv(csv(tmp_path, times), PLAIN, SERIES)
    assert found.equals(EXPECTED)
    assert found.schema == CANDLE_SCHEMA


@pytest.mark.parametrize(
    "times",
    [["1704070800", "1704074400"], ["1704070799999", "1704074399999"]],
)
def test_closes_become_opens(tmp_path: Path, times: list[str]) -> None:
    spelled = ForeignFormat(stamp="close")
    assert read_csv(csv(tmp_path, times), spelled, SERIES).equals(EXPECTED)


def test_unit_can_be_said(tmp_path: Path) -> None:
    with pytest.raises(ForeignFileError, match="different units"):
        read_csv(csv(tmp_path, ["1704067200", "1704070800000"]), PLAIN, SERIES)
    path = csv(tmp_path, ["1704067200", "1704070800"])
    assert read_csv(path, ForeignFormat(unit="s"), SERIES).equals(EXPECTED)
    wrong = read_csv(path, ForeignFormat(unit="ms"), SERIES)
    assert wrong["open_time"][0] == datetime(1970, 1, 20, 17, 21, 7, 200_000, tzinfo=UTC)


def test_time_that_the_said_unit_cannot_tell_is_refused(tmp_path: Path) -> None:
    # As seconds these are the year 55,970: no clock of Python or polars goes there and back.
    path = csv(tmp_path, ["1704067200000", "1704070800000"])
    with pytest.raises(ForeignFileError, match=r"row 1 .*a time in s, found 1704067200000; 2 such"):
        read_csv(path, ForeignFormat(unit="s"), SERIES)


@pytest.mark.parametrize("day", ["01/02/2024", "13/01/2024", "1.2.2024", "Jan 2 2024", "24-01-02"])
def test_day_whose_order_is_a_guess_is_refused(tmp_path: Path, day: str) -> None:
    with pytest.raises(ForeignFileError, match=r"row 1 .*a time in ISO 8601"):
        read_csv(csv(tmp_path, [f"{day} 00:00", f"{day} 01:00"]), PLAIN, SERIES)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_columns_may_be_parted_otherwise(tmp_path: Path, separator: str) -> None:
    path = csv(tmp_path, ["1704067200", "1704070800"])
    path.write_text("\ufeff" + path.read_text().replace(",", separator))
    assert read_csv(path, PLAIN, SERIES).equals(EXPECTED)


def test_number_with_a_decimal_comma_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, ["1704067200", "1704070800"])
    path.write_text(path.read_text().replace(",", ";").replace("42000.13", "42000,13"))
    with pytest.raises(ForeignFileError, match=r"row 1 .*a number, found '42000,13'"):
        read_csv(path, PLAIN, SERIES)


def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    path = csv(tmp_path, ["1704067200", "1704070800"])
    path.write_text(path.read_text() + "\n\n")
    assert read_csv(path, PLAIN, SERIES).equals(EXPECTED)


def test_header_alone_holds_no_row(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_text("time,open,high,low,close,volume\n")
    assert read_csv(path, PLAIN, SERIES).equals(EXPECTED.clear())
    EXPECTED.clear().write_parquet(path)
    assert read_parquet(path, PLAIN, SERIES).equals(EXPECTED.clear())


def test_columns_are_found_by_their_usual_names_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    lines = [
        f"x,{row[4]},{row[3]},{row[2]},{row[1]},{row[0]},{time:%Y-%m-%d %H:%M}"
        for time, row in zip(OPENS, ROWS, strict=True)
    ]
    path.write_text("\n".join(["Symbol,Volume,Close, Low,High,OPEN,Open Time", *lines]))
    assert read_csv(path, PLAIN, SERIES).equals(EXPECTED)


def test_column_of_another_name_must_be_said(tmp_path: Path) -> None:
    path = csv(tmp_path, ["1704067200", "1704070800"], "time,open,high,low,close,Volume USD")
    with pytest.raises(ForeignFileError, match=r"one column for volume, found none in time, open"):
        read_csv(path, PLAIN, SERIES)
    spelled = ForeignFormat({"volume": "Volume USD"})
    assert read_csv(path, spelled, SERIES).equals(EXPECTED)


def test_two_columns_that_fit_are_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, ["1704067200", "1704070800"], "time,open,high,low,close,volume")
    path.write_text(path.read_text().replace("time,", "unix,date,", 1).replace("17040", "0,17040"))
    with pytest.raises(ForeignFileError, match="for open_time, found unix, date"):
        read_csv(path, PLAIN, SERIES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("42050.0,1.25", "42050.0,lots", r"row 1 .*volume should be a number, found 'lots'"),
        ("1704070800", "soon", r"row 2 .*a time in ISO 8601, found .soon."),
        ("1704070800", "", r"row 2 .*open_time should be a time"),
        ("1704070800", "1704070800000001", "different units"),
        ("1704070800", "2024-01-01T01:00:00Z", r"row 1 .*a time in ISO 8601, found '1704067200'"),
        ("1704070800", "99999999999999999999", r"row 2 .*a time, found '99999999999999999999'"),
        ("1704070800", "-1704070800", r"row 2 .*a time in ISO 8601"),
        ("1704070800", "nan", r"row 2 .*a time in ISO 8601"),
        ("1704067200", "\n1704067200", r"row 1 .*open_time should be a time, found None"),
    ],
)
def test_value_that_cannot_be_understood_is_named_with_its_row(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = csv(tmp_path, ["1704067200", "1704070800"])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ForeignFileError, match=message):
        read_csv(path, PLAIN, SERIES)


def test_time_finer_than_a_millisecond_is_never_cut(tmp_path: Path) -> None:
    for times in (
        ["1704067200000000", "1704070800000001"],
        ["2024-01-01T00:00:00", "2024-01-01T01:00:00.000001"],
    ):
        with pytest.raises(ForeignFileError, match=r"row 2 .*whole milliseconds"):
            read_csv(csv(tmp_path, times), PLAIN, SERIES)


def test_empty_number_is_null_for_the_audit_to_refuse(tmp_path: Path) -> None:
    path = csv(tmp_path, ["1704067200", "1704070800"])
    path.write_text(path.read_text().replace("42050.0,1.25", "42050.0, "))
    assert read_csv(path, PLAIN, SERIES)["volume"].to_list() == [None, 0.1]


def test_parquet_of_pandas_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=["Open", "High", "Low", "Close", "Volume"])
    frame.insert(0, "Date", pd.to_datetime(OPENS))
    frame.to_parquet(tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet", PLAIN, SERIES).equals(EXPECTED)
    frame["Date"] = frame["Date"].dt.tz_convert("America/New_York")
    frame.to_parquet(tmp_path / "b.parquet")
    assert read_parquet(tmp_path / "b.parquet", PLAIN, SERIES).equals(EXPECTED)
    frame["Date"] = [1704067200.0, 1704070800.0]
    frame.to_parquet(tmp_path / "c.parquet")
    assert read_parquet(tmp_path / "c.parquet", PLAIN, SERIES).equals(EXPECTED)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("close", pl.lit(value=True), "close should be numbers, found Boolean"),
        ("volume", pl.col("open_time"), "volume should be numbers, found Datetime"),
        ("close", pl.lit([1.0]), "close should be numbers, found List"),
        ("open_time", pl.lit(value=True), "open_time should be times, found Boolean"),
        ("open_time", pl.lit(None, pl.Datetime), r"row 1 .*a time, found None; 2 such"),
        ("open_time", pl.lit(float("nan")), r"row 1 .*a time in ISO 8601, found 'NaN'"),
        ("open_time", pl.lit(float("inf")), r"row 1 .*a time in ISO 8601, found 'inf'"),
        ("open_time", pl.lit(1e30), r"row 1 .*a time, found None"),
    ],
)
def test_column_of_another_type_is_refused(
    tmp_path: Path, column: str, values: pl.Expr, message: str
) -> None:
    EXPECTED.with_columns(values.alias(column)).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(ForeignFileError, match=message):
        read_parquet(tmp_path / "a.parquet", PLAIN, SERIES)


def test_decimals_become_the_nearest_floats(tmp_path: Path) -> None:
    # 36 digits: their quotient of floats is another float than Python's of the text.
    text = "12345678901234567.8901234567890123456"
    exact = pl.Series("close", [text] * 2).cast(pl.Decimal(38, 19))
    EXPECTED.with_columns(exact).write_parquet(tmp_path / "a.parquet")
    found = read_parquet(tmp_path / "a.parquet", PLAIN, SERIES)
    assert found["close"].to_list() == [float(text)] * 2


@pytest.mark.parametrize(
    "name",
    ["ETH_USDT-1h", "BTC_USDT-5m", "BTC_USDT_USDT-1h-futures", "BTC_USDT-1h-mark", "BTCUSDT-1h"],
)
def test_freqtrades_file_of_another_series_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.feather"
    EXPECTED.rename({"open_time": "date"}).write_ipc(path)
    with pytest.raises(ForeignFileError, match=f"this is {name}, and .* would be BTC_USDT-1h;"):
        read_freqtrade(path, PLAIN, SERIES)
    renamed = path.rename(tmp_path / "mine.feather")
    assert read_freqtrade(renamed, PLAIN, SERIES).equals(EXPECTED)


def test_freqtrades_feather_as_pandas_writes_it_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=["open", "high", "low", "close", "volume"])
    frame.insert(0, "date", pd.to_datetime(OPENS))
    path = tmp_path / "BTC_USDT-1h.feather"
    frame.to_feather(path, compression_level=9, compression="lz4")
    assert read_freqtrade(path, PLAIN, SERIES).equals(EXPECTED)


@pytest.mark.parametrize("read", [read_csv, read_parquet, read_freqtrade])
def test_file_of_another_kind_is_named(tmp_path: Path, read: object) -> None:
    path = tmp_path / "candles"
    path.write_bytes(b"\x00\x01nothing")
    with pytest.raises(ForeignFileError, match="candles"):
        read(path, PLAIN, SERIES)  # type: ignore[operator]
