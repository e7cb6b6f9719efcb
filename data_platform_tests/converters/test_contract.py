"""One contract for every converter row: what any program's file must do with candles."""

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.converters import CONVERTERS
from data_platform.converters import freqtrade as freqtrade_module
from data_platform.converters.converter import Converter, ExportFile
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ExportError
from data_platform.domain.layers import LAYERS
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, to_period
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe

FEBRUARY = to_period("2024-02")
PLAIN, ODD = "BTC/USDT", "1000PEPE/USDT:USDT"
MINUTE = to_timeframe("1m")

# Freqtrade's Parquet is written on request alone, and has to hold the same.
PARQUET = replace(
    freqtrade_module.CONVERTER,
    name=freqtrade_module.PARQUET.name,
    path=freqtrade_module.PARQUET.path,
    write=freqtrade_module.PARQUET.write,
    read=freqtrade_module.read_parquet,
)

every_converter = pytest.mark.parametrize(
    "converter", [*CONVERTERS, PARQUET], ids=lambda row: row.name
)
every_timeframe = pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)


def export_file(
    converter: Converter,
    symbol: str = PLAIN,
    timeframe: Timeframe = MINUTE,
    period: Period = FEBRUARY,
    exchange: str = "binance",
) -> ExportFile:
    series = Series(exchange, Pair(symbol), timeframe)
    return ExportFile(series, None if converter.scope == "pair" else period)


def decimal_candles(times: list[datetime], seed: int = 7) -> pl.DataFrame:
    """Candles whose numbers are random decimals of 15 digits, 1e-6 to 1e10 in size."""
    numbers = random.Random(seed)
    rows = []
    for time in times:
        decimals = numbers.randrange(5, 15)
        low, *middle, high = sorted(numbers.randrange(10**14, 10**15) for _ in range(4))
        texts = [f"{digits}e-{decimals}" for digits in (middle[0], high, low, middle[1])]
        volume = f"{numbers.randrange(10**15)}e-{numbers.randrange(2, 17)}"
        rows.append((time, *map(float, texts), float(volume)))
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def grid(timeframe: Timeframe, rows: int, period: Period = FEBRUARY) -> list[datetime]:
    return [period.start + timeframe.duration * row for row in range(rows)]


def round_trip(
    converter: Converter, candles: pl.DataFrame, file: ExportFile, folder: Path
) -> pl.DataFrame:
    path = folder / "written"
    converter.write(candles, file, path)
    return converter.read(path)


def bits(frame: pl.DataFrame) -> list[bytes]:
    """Every row as bytes, so that 0.0 and -0.0, or a last bit, make a difference."""
    assert frame.schema == CANDLE_SCHEMA
    return [
        struct.pack("<q5d", int(time.timestamp() * 1000), *values)
        for time, *values in frame.iter_rows()
    ]


def test_every_export_layer_has_its_converter() -> None:
    layers = [layer.name for layer in LAYERS if layer.refresh == "exports"]
    assert [converter.name for converter in CONVERTERS] == layers


def test_every_module_of_a_program_is_listed() -> None:
    folder = Path(freqtrade_module.__file__).parent
    # What foreign candles are read by is listed in `READERS` and by the command `import`.
    others = {"__init__", "converter", "fixed_point", "foreign", "binance_archive", "nautilus_csv"}
    others |= {"record_batches"}
    modules = {path.stem for path in folder.glob("*.py")} - others
    assert {converter.name for converter in CONVERTERS} == modules


@every_converter
@every_timeframe
def test_decimals_of_15_digits_come_back_to_the_last_bit(
    converter: Converter, timeframe: Timeframe, tmp_path: Path
) -> None:
    rows = min(2000, timeframe.count(FEBRUARY.start, FEBRUARY.end))
    candles = decimal_candles(grid(timeframe, rows))
    file = export_file(converter, timeframe=timeframe)
    assert bits(round_trip(converter, candles, file, tmp_path)) == bits(candles)


@every_converter
def test_r23_200_000_decimals_come_back_unchanged(converter: Converter, tmp_path: Path) -> None:
    candles = decimal_candles(grid(MINUTE, 40_000), seed=23)
    assert bits(round_trip(converter, candles, export_file(converter), tmp_path)) == bits(candles)


@every_converter
def test_gaps_stay_gaps(converter: Converter, tmp_path: Path) -> None:
    times = [time for row, time in enumerate(grid(MINUTE, 300)) if row % 7 and row not in range(99)]
    candles = decimal_candles(times)
    back = round_trip(converter, candles, export_file(converter), tmp_path)
    assert back["open_time"].to_list() == times


@every_converter
def test_candles_without_trades_keep_volume_zero(converter: Converter, tmp_path: Path) -> None:
    candles = decimal_candles(grid(MINUTE, 3)).with_columns(volume=pl.lit(0.0))
    back = round_trip(converter, candles, export_file(converter), tmp_path)
    assert bits(back) == bits(candles)


@every_converter
def test_tiny_ticks_stay_exact(converter: Converter, tmp_path: Path) -> None:
    prices = {"open": 1.2e-7, "high": 1.23e-7, "low": 9.9e-12, "close": 1e-16}
    candles = decimal_candles(grid(MINUTE, 1)).with_columns(
        *(pl.lit(price).alias(name) for name, price in prices.items()),
        volume=pl.lit(12_345_678_901_234.5),
    )
    back = round_trip(converter, candles, export_file(converter), tmp_path)
    assert bits(back) == bits(candles)


@every_converter
@every_timeframe
def test_the_first_and_last_candle_of_a_leap_month_keep_their_times(
    converter: Converter, timeframe: Timeframe, tmp_path: Path
) -> None:
    last = datetime(2024, 3, 1, tzinfo=UTC) - timedelta(seconds=timeframe.seconds)
    candles = decimal_candles([datetime(2024, 2, 1, tzinfo=UTC), last])
    file = export_file(converter, timeframe=timeframe)
    back = round_trip(converter, candles, file, tmp_path)
    assert back["open_time"].to_list() == candles["open_time"].to_list()


@every_converter
def test_one_candle_is_enough(converter: Converter, tmp_path: Path) -> None:
    candles = decimal_candles(grid(MINUTE, 1))
    assert bits(round_trip(converter, candles, export_file(converter), tmp_path)) == bits(candles)


@every_converter
def test_an_empty_frame_is_refused_and_leaves_no_file(converter: Converter, tmp_path: Path) -> None:
    path = tmp_path / "written"
    with pytest.raises(ExportError, match=r"BTC-USDT/1m .*no candle to export"):
        converter.write(CANDLE_SCHEMA.to_frame(), export_file(converter), path)
    assert not path.exists()


@every_converter
def test_a_slice_of_a_larger_frame_is_written_as_itself(
    converter: Converter, tmp_path: Path
) -> None:
    whole = pl.concat(
        [decimal_candles(grid(MINUTE, 50)), decimal_candles(grid(MINUTE, 90)[50:], seed=8)],
        rechunk=False,
    )
    part = whole[45:60]
    assert bits(round_trip(converter, part, export_file(converter), tmp_path)) == bits(part)


@every_converter
def test_the_same_candles_make_the_same_file(converter: Converter, tmp_path: Path) -> None:
    candles = decimal_candles(grid(MINUTE, 100))
    for name in ("one", "two"):
        converter.write(candles, export_file(converter), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@every_converter
def test_a_foreign_file_is_not_taken_for_candles(converter: Converter, tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    frame = pl.DataFrame({"time": [1], "price": [2.0]})
    write = frame.write_ipc if converter.name == "freqtrade" else frame.write_parquet
    write(path)
    with pytest.raises(ExportError, match=r"foreign: expected .* export the"):
        converter.read(path)


@every_converter
@pytest.mark.parametrize("keep", [0, 5, 600])
def test_a_file_cut_short_is_named(converter: Converter, keep: int, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    converter.write(decimal_candles(grid(MINUTE, 100)), export_file(converter), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ExportError, match=r"cut: cannot be read .* export it again"):
        converter.read(path)


@every_converter
def test_a_missing_file_is_named(converter: Converter, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"absent: cannot be read"):
        converter.read(tmp_path / "absent")


@every_converter
@every_timeframe
def test_r27_paths_lie_below_the_programs_folder(
    converter: Converter, timeframe: Timeframe
) -> None:
    for symbol in (PLAIN, ODD, "../x/USDT", "A B.C/D$E", "币安人生/USDT", "a|b...c/USD"):
        path = converter.path(export_file(converter, symbol, timeframe))
        assert path.parts[0] == converter.name
        assert ".." not in path.parts
        assert max(len(part.encode()) for part in path.parts) < 200


@every_converter
def test_series_never_share_a_path(converter: Converter) -> None:
    symbols = ("BTC/USDT", "BTC/USDT:USDT", "btc/USDT", "BTC/USD", "BTC/USD:BTC-240329", "币/USD")
    files = [
        export_file(converter, symbol, timeframe, exchange=exchange)
        for symbol in symbols
        for timeframe in TIMEFRAMES
        for exchange in ("binance", "okx")
    ]
    assert len({converter.path(file) for file in files}) == len(files)


@every_converter
def test_a_month_file_is_named_by_its_month_and_a_pair_file_by_none(converter: Converter) -> None:
    paths = {
        converter.path(export_file(converter, period=period))
        for period in (FEBRUARY, FEBRUARY.next)
    }
    assert len(paths) == (1 if converter.scope == "pair" else 2)


@every_converter
def test_companions_depend_on_the_market_alone(converter: Converter, tmp_path: Path) -> None:
    written = []
    for number, (timeframe, period) in enumerate([(MINUTE, FEBRUARY), (TIMEFRAMES[-1], FEBRUARY)]):
        found = converter.companions(export_file(converter, PLAIN, timeframe, period))
        for place, write in found.items():
            write(tmp_path / f"{number}")
            written.append((place, (tmp_path / f"{number}").read_bytes()))
    assert len(set(written)) == len(written) / 2


def swap_open_and_close(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(open="close", close="open")


def shift_by_a_candle(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("open_time") + timedelta(minutes=1))


def fill_gaps(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.upsample("open_time", every="1m").fill_null(strategy="forward")


def lose_bits(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("close").cast(pl.Float32).cast(pl.Float64))


def lose_a_row(frame: pl.DataFrame) -> pl.DataFrame:
    return frame[:-1]


@every_converter
@pytest.mark.parametrize(
    "spoil", [swap_open_and_close, shift_by_a_candle, fill_gaps, lose_bits, lose_a_row]
)
def test_the_round_trip_notices_a_broken_writer(
    converter: Converter, spoil: Callable[[pl.DataFrame], pl.DataFrame], tmp_path: Path
) -> None:
    broken = replace(
        converter,
        write=lambda frame, file, path: converter.write(spoil(frame), file, path),
    )
    candles = decimal_candles([time for time in grid(MINUTE, 10) if time.minute != 4])
    assert bits(round_trip(broken, candles, export_file(converter), tmp_path)) != bits(candles)
