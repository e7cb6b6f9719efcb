import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path, PurePosixPath

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_platform.converters.converter import ExportFile
from data_platform.converters.nautilus import (
    CONVERTER,
    find_precision,
    to_bar_type,
    to_instrument_id,
    write_instrument,
)
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Market, Pair, Series
from data_platform.domain.periods import Period, to_period
from data_platform.domain.precision import FINEST, Precision
from data_platform.domain.timeframes import to_timeframe

JANUARY = to_period("2024-01")
OPENED = datetime(2024, 1, 1, tzinfo=UTC)


def export_file(timeframe: str = "1h", period: Period | None = JANUARY) -> ExportFile:
    return ExportFile(Series("binance", Pair("BTC/USDT"), to_timeframe(timeframe)), period)


def candle(*values: float) -> pl.DataFrame:
    return pl.DataFrame([(OPENED, *values)], schema=CANDLE_SCHEMA, orient="row")


def write(folder: Path, frame: pl.DataFrame, precision: Precision = FINEST) -> Path:
    path = folder / "month.parquet"
    CONVERTER.write(frame, replace(export_file(), precision=precision), path)
    return path


def test_a_bar_has_the_bytes_that_nautilus_trader_writes(tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path, candle(1.1, 1.2, 1.0, 1.15, 5.5)))
    # What NautilusTrader 1.221 and 1.231 wrote for these numbers at precision 16 (2026-11-25).
    assert table.drop_columns(["ts_event", "ts_init"]).to_pylist() == [
        {
            "open": bytes.fromhex("00808714711427000000000000000000"),
            "high": bytes.fromhex("00004eb9efa12a000000000000000000"),
            "low": bytes.fromhex("0000c16ff28623000000000000000000"),
            "close": bytes.fromhex("00c0ea6630db28000000000000000000"),
            "volume": bytes.fromhex("0080a5663566c3000000000000000000"),
        }
    ]


def test_reading_is_dividing_each_integer_exactly(tmp_path: Path) -> None:
    numbers = random.Random(8)
    rows = []
    for hour in range(500):
        low = numbers.random() * 10.0 ** numbers.randint(-6, 3)
        prices = [round(low * factor, 12) for factor in (1.1, 1.3, 1.0, 1.2)]
        volume = numbers.random() * 10.0 ** numbers.randint(-14, 12)
        rows.append((OPENED + timedelta(hours=hour), *prices, volume))
    path = write(tmp_path, pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row"))
    found, table = CONVERTER.read(path), pq.read_table(path)
    for name in ("open", "high", "low", "close", "volume"):
        raw = (int.from_bytes(it, "little", signed=True) for it in table[name].to_pylist())
        assert found[name].to_list() == [float(Fraction(it, 10**16)) for it in raw]


def test_a_bar_is_stamped_by_its_close(tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path, candle(1.1, 1.2, 1.0, 1.15, 5.5)))
    closed = int(datetime(2024, 1, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert table["ts_event"].to_pylist() == table["ts_init"].to_pylist() == [closed]


def test_schema_and_notes_are_nautilus_traders(tmp_path: Path) -> None:
    schema = pq.read_schema(write(tmp_path, candle(1.1, 1.2, 1.0, 1.15, 5.5)))
    fields = [pa.field(name, pa.binary(16), nullable=False) for name in "ohlcv"]
    full = ["open", "high", "low", "close", "volume"]
    expected = [field.with_name(name) for field, name in zip(fields, full, strict=True)]
    expected += [pa.field(name, pa.uint64(), nullable=False) for name in ("ts_event", "ts_init")]
    assert schema.remove_metadata() == pa.schema(expected)
    assert schema.metadata == {
        b"bar_type": b"BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL",
        b"instrument_id": b"BTCUSDT.BINANCE",
        b"price_precision": b"16",
        b"size_precision": b"16",
    }


@pytest.mark.parametrize(
    ("timeframe", "name"),
    [
        ("1m", "1-MINUTE"),
        ("5m", "5-MINUTE"),
        ("15m", "15-MINUTE"),
        ("1h", "1-HOUR"),
        ("4h", "4-HOUR"),
        ("1d", "1-DAY"),
    ],
)
def test_bar_types_name_the_timeframe(timeframe: str, name: str) -> None:
    series = Series("okx", Pair("ETH/USD"), to_timeframe(timeframe))
    assert to_bar_type(series) == f"ETHUSD.OKX-{name}-LAST-EXTERNAL"


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT", "BTCUSDT.OKX"),
        ("BTC/USDT:USDT", "BTC-USDT_3AUSDT.OKX"),
        ("A_3A/C", "A__3A-C.OKX"),
        ("A:/C", "A_3A-C.OKX"),
        ("币/USDT", "_E5_B8_81-USDT.OKX"),
    ],
)
def test_odd_symbols_become_words_that_the_catalogs_sql_takes(symbol: str, name: str) -> None:
    assert to_instrument_id(Market("okx", Pair(symbol))) == name


def test_months_are_disjoint_and_contiguous_by_their_names() -> None:
    paths = [CONVERTER.path(export_file(period=to_period(key))) for key in ("2024-02", "2024-03")]
    folder = "nautilus/data/bar/BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"
    assert {path.parent.as_posix() for path in paths} == {folder}
    assert [path.name for path in paths] == [
        "2024-02-01T00-00-00-000000001Z_2024-03-01T00-00-00-000000000Z.parquet",
        "2024-03-01T00-00-00-000000001Z_2024-04-01T00-00-00-000000000Z.parquet",
    ]


def test_a_file_without_a_month_has_no_place() -> None:
    with pytest.raises(ExportError, match="name the month"):
        CONVERTER.path(export_file(period=None))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((7_900_000_000_001.0, 1.8e13, 1.0, 1.0, 1.0), "open 7900000000001.0"),
        ((1.0, float("inf"), 1.0, 1.0, 1.0), "high inf"),
        ((1.0, 1.0, float("nan"), 1.0, 1.0), "low nan"),
        ((1.0, 1.0, 1.0, -1.0, 1.0), "close -1.0"),
        ((1.0, 1.0, 1.0, 1.0, 34_000_000_000_001.0), "volume 34000000000001.0"),
    ],
)
def test_what_nautilus_trader_cannot_hold_is_refused_before_writing(
    values: tuple[float, ...], found: str, tmp_path: Path
) -> None:
    message = f"BTC-USDT/1h 2024-01: {found} of 2024-01-01 00:00:00.* is outside 0 to"
    with pytest.raises(ExportError, match=message):
        write(tmp_path, candle(*values))
    assert not list(tmp_path.iterdir())


def test_the_largest_price_and_volume_are_kept(tmp_path: Path) -> None:
    frame = candle(7.9e12, 7.9e12, 1.0, 1.0, 3.4e13)
    assert CONVERTER.read(write(tmp_path, frame)).rows() == frame.rows()


def test_a_volume_finer_than_16_decimals_is_rounded_there(tmp_path: Path) -> None:
    frame = candle(1.0, 1.0, 1.0, 1.0, 0.12345678901234567)
    assert CONVERTER.read(write(tmp_path, frame))["volume"][0] == 0.1234567890123457


def test_a_resampled_sum_keeps_its_noise(tmp_path: Path) -> None:
    frame = candle(1.0, 1.0, 1.0, 1.0, 191.98938999999996)
    assert CONVERTER.read(write(tmp_path, frame))["volume"][0] == 191.98938999999996


def test_a_price_whose_15_digits_do_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"close 1.23456789012e-09 .* needs more than the 16"):
        write(tmp_path, candle(1.0, 1.0, 1e-10, 1.23456789012e-9, 1.0))


def test_a_price_with_noise_after_its_15th_digit_is_rounded(tmp_path: Path) -> None:
    frame = candle(1.0, 1.0, 0.1, 0.30000000000000004, 1.0)
    assert CONVERTER.read(write(tmp_path, frame))["close"][0] == 0.3


def test_the_instrument_says_the_bars_precision(tmp_path: Path) -> None:
    market = Market("binance", Pair("BTC/USDT"))
    write_instrument(market, Precision(2, 0), tmp_path / "definition")
    table = pq.read_table(tmp_path / "definition")
    assert table.schema.metadata == {b"class": b"CurrencyPair"}
    row = table.to_pylist()[0]
    assert {name: value for name, value in row.items() if value not in (None, "0", 0)} == {
        "id": "BTCUSDT.BINANCE",
        "raw_symbol": "BTCUSDT",
        "base_currency": "BTC",
        "quote_currency": "USDT",
        "price_precision": 2,
        "price_increment": "0.01",
        "size_increment": "1",
        "multiplier": "1",
        "info": b"null",
    }


def test_the_instrument_lies_in_the_same_catalog() -> None:
    companions = CONVERTER.companions(export_file("1d"))
    name = "1970-01-01T00-00-00-000000000Z_1970-01-01T00-00-00-000000000Z.parquet"
    folder = PurePosixPath("nautilus/data/currency_pair/BTCUSDT.BINANCE")
    assert list(companions) == [folder / name]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((42000.13, 42001.0, 42000.0, 42000.1, 3.25), Precision(2, 2)),
        ((1e-7, 1.2e-7, 1e-8, 1e-7, 12_345_678_901_234.5), Precision(8, 1)),
        ((100.0, 100.0, 100.0, 100.0, 0.0), Precision(0, 0)),
        # A sum of floats is what its first 15 digits say; a price keeps its every bit.
        ((1.0, 1.0, 1.0, 1.0, 191.98938999999996), Precision(0, 5)),
        ((1.0, 1.0, 0.1, 0.30000000000000004, 1.0), Precision(16, 0)),
        ((1.0, 1.0, 1.0, 1.0, 0.12345678901234567), Precision(0, 16)),
    ],
)
def test_precision_is_that_of_the_finest_number(
    values: tuple[float, ...], expected: Precision
) -> None:
    assert find_precision(candle(*values), Precision(0, 0)) == expected


def test_precision_is_never_less_than_what_the_market_has_needed() -> None:
    frame = candle(1.5, 1.5, 1.5, 1.5, 2.25)
    assert find_precision(frame, Precision(4, 1)) == Precision(4, 2)


def test_each_integer_is_a_multiple_of_the_precisions_unit(tmp_path: Path) -> None:
    frame = candle(42000.13, 42001.0, 42000.0, 42000.1, 191.98938999999996)
    path = write(tmp_path, frame, Precision(2, 5))
    schema = pq.read_schema(path).metadata
    assert (schema[b"price_precision"], schema[b"size_precision"]) == (b"2", b"5")
    row = pq.read_table(path).to_pylist()[0]
    units = {
        name: int.from_bytes(row[name], "little")
        for name in ("open", "high", "low", "close", "volume")
    }
    assert units == {
        "open": 4200013 * 10**14,
        "high": 42001 * 10**16,
        "low": 42000 * 10**16,
        "close": 420001 * 10**15,
        "volume": 19198939 * 10**11,
    }


def test_a_price_finer_than_the_files_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"close 42000\.125 .* more than the 2 decimals"):
        write(tmp_path, candle(42000.0, 42001.0, 42000.0, 42000.125, 1.0), Precision(2, 0))
