from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from data_platform.converters.converter import ExportFile, Month
from data_platform.converters.freqtrade import CONVERTER, renew_feather
from data_platform.domain.candles import CANDLE_SCHEMA, content_hash
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.timeframes import to_timeframe


def export_file(symbol: str = "BTC/USDT", timeframe: str = "1h") -> ExportFile:
    return ExportFile(Series("kraken", Pair(symbol), to_timeframe(timeframe)), None)


def test_pandas_reads_freqtrades_columns(tmp_path: Path) -> None:
    rows = [(datetime(2024, 3, 31, 1, tzinfo=UTC), 1.1, 1.4, 1.0, 1.2, 7.0)]
    frame = pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")
    CONVERTER.write(frame, export_file(), tmp_path / "pair.feather")
    expected = pd.DataFrame(
        {
            "date": pd.DatetimeIndex(["2024-03-31T01:00"], tz="UTC").as_unit("ms"),
            "open": [1.1],
            "high": [1.4],
            "low": [1.0],
            "close": [1.2],
            "volume": [7.0],
        }
    )
    pd.testing.assert_frame_equal(pd.read_feather(tmp_path / "pair.feather"), expected)


MONTHS = tuple(periods_between(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)))


def month(period: Period, rows: int, start: int = 0, *, version: int = 0) -> Month:
    """Return a month of minutes, told apart by its version."""
    first = period.start + timedelta(minutes=start)
    frame = pl.DataFrame(
        [(first + timedelta(minutes=at), 1.1, 1.4, 1.0, 1.2 + version, 7.0) for at in range(rows)],
        schema=CANDLE_SCHEMA,
        orient="row",
    )
    return Month(period, rows, content_hash(frame), lambda: frame)


def unread(month: Month) -> Month:
    def read() -> pl.DataFrame:
        raise AssertionError(f"{month.period} was read")

    return replace(month, read=read)


def renew(months: Sequence[Month], path: Path, older: Path | None = None) -> bytes:
    renew_feather(months, export_file(timeframe="1m"), path, older)
    return path.read_bytes()


def test_a_month_is_taken_from_the_older_file_while_its_batch_is_the_same(tmp_path: Path) -> None:
    # 30,000 rows a month, 100,000 a batch: three months in each.
    months = [month(period, 30_000) for period in MONTHS]
    older = tmp_path / "older"
    renew(months[:5], older)
    assert [it.num_rows for it in batches_of(older)] == [90_000, 60_000]
    grown = renew([*map(unread, months[:3]), *months[3:]], tmp_path / "grown", older)
    assert grown == renew(months, tmp_path / "whole")
    assert [it.num_rows for it in batches_of(tmp_path / "whole")] == [90_000, 90_000]
    corrected = [months[0], month(MONTHS[1], 30_000, version=1), months[2]]
    rest = map(unread, months[3:5])
    found = renew([*corrected, *rest], tmp_path / "corrected", older)
    assert found == renew([*corrected, *months[3:5]], tmp_path / "corrected, whole")
    close = pl.concat([it.read() for it in [*corrected, *months[3:5]]])["close"].to_list()
    assert CONVERTER.read(tmp_path / "corrected")["close"].to_list() == close


def test_a_month_stored_anew_while_it_is_written_is_not_taken_for_what_was_listed(
    tmp_path: Path,
) -> None:
    listed, stored = month(MONTHS[0], 10), month(MONTHS[0], 10, version=1)
    renew([replace(listed, read=stored.read)], tmp_path / "older")
    assert CONVERTER.read(tmp_path / "older").equals(stored.read())
    # The correction is taken back, and the month is again what was listed.
    renew([listed], tmp_path / "newer", tmp_path / "older")
    assert CONVERTER.read(tmp_path / "newer").equals(listed.read())
    renew([unread(stored)], tmp_path / "third", tmp_path / "older")
    assert CONVERTER.read(tmp_path / "third").equals(stored.read())


def batches_of(path: Path) -> list[pa.RecordBatch]:
    with pa.ipc.open_file(path) as reader:
        return [reader.get_batch(at) for at in range(reader.num_record_batches)]


def test_a_month_with_candles_of_another_is_refused(tmp_path: Path) -> None:
    strays = [month(MONTHS[0], 10), month(MONTHS[1], 10, start=-1)]
    with pytest.raises(ExportError, match="expected candles of this month only"):
        renew(strays, tmp_path / "pair.feather")


# The right-hand names are those of Freqtrade 2026.9's own `_pair_data_filename`.
@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT", "BTC_USDT-1h.feather"),
        ("BTC/USDT:USDT", "futures/BTC_USDT_USDT-1h-futures.feather"),
        ("A.B C/D$E@F+G", "A_B_C_D_E_F_G-1h.feather"),
        ("币安人生/USDT", "币安人生_USDT-1h.feather"),
        ("BTC/USD:BTC-240329", "futures/BTC_USD_BTC-240329-1h-futures.feather"),
    ],
)
def test_files_are_named_as_freqtrade_names_them(symbol: str, name: str) -> None:
    assert CONVERTER.path(export_file(symbol)).as_posix() == f"freqtrade/kraken/{name}"


@pytest.mark.parametrize("symbol", ["A\0B/C", "A\nB/C", "A\\B/C"])
def test_signs_that_no_file_name_holds_are_refused(symbol: str) -> None:
    with pytest.raises(ExportError, match="Freqtrade has no file name for it"):
        CONVERTER.path(export_file(symbol))
