from datetime import UTC, datetime

import polars as pl
import pytest

from data_platform.converters import CONVERTERS_BY_NAME
from data_platform.converters.converter import (
    ExportFile,
    find_differences,
    is_plain,
    no_companions,
    require_candles,
)
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import to_period
from data_platform.domain.timeframes import to_timeframe

FILE = ExportFile(Series("okx", Pair("BTC/USDT"), to_timeframe("1h")), to_period("2024-03"))


def candles(*times: datetime) -> pl.DataFrame:
    rows = [(time, 1.0, 2.0, 0.5, 1.5, 3.0) for time in times]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def at(day: int, hour: int, month: int = 3) -> datetime:
    return datetime(2024, month, day, hour, tzinfo=UTC)


def test_a_sorted_month_is_accepted() -> None:
    require_candles(candles(at(1, 0), at(1, 5), at(31, 23)), FILE)


def test_a_whole_pair_may_span_months() -> None:
    require_candles(candles(at(1, 0, 1), at(1, 0, 7)), ExportFile(FILE.series, None))


@pytest.mark.parametrize("times", [(at(1, 1), at(1, 0)), (at(1, 1), at(1, 1))])
def test_times_that_do_not_increase_are_refused(times: tuple[datetime, datetime]) -> None:
    message = f"okx/BTC-USDT/1h 2024-03: opening times must increase, found {times[1]}"
    with pytest.raises(ExportError, match=message.replace("+", r"\+")):
        require_candles(candles(*times), FILE)


@pytest.mark.parametrize("time", [at(29, 23, 2), at(1, 0, 4)])
def test_candles_of_another_month_are_refused(time: datetime) -> None:
    with pytest.raises(ExportError, match="this month only, found 2024"):
        require_candles(candles(time), FILE)


@pytest.mark.parametrize(
    "change",
    [
        pl.col("open_time").dt.replace_time_zone(None),
        pl.col("open_time").cast(pl.Datetime("us", "UTC")),
        pl.col("open").cast(pl.Float32),
        pl.lit(1).alias("trades"),
    ],
    ids=["naive", "microseconds", "float32", "extra"],
)
def test_another_schema_is_refused(change: pl.Expr) -> None:
    with pytest.raises(ExportError, match="expected the columns"):
        require_candles(candles(at(1, 0)).with_columns(change), FILE)


def test_missing_values_are_refused() -> None:
    with pytest.raises(ExportError, match="1 values are missing"):
        require_candles(candles(at(1, 0)).with_columns(low=pl.lit(None, pl.Float64)), FILE)


@pytest.mark.parametrize(
    ("symbol", "plain"),
    [
        ("BTC/USDT", True),
        ("1000PEPE/USDT", True),
        ("BTC/USDT:USDT", False),
        ("A_B/C", False),
        ("A-B/C", False),
        ("币/USDT", False),
        ("A/B/C", False),
    ],
)
def test_only_letters_and_digits_are_plain(symbol: str, *, plain: bool) -> None:
    assert is_plain(Pair(symbol)) is plain


def test_no_companions_are_none() -> None:
    assert no_companions(FILE) == {}


@pytest.mark.parametrize(
    ("change", "program", "fault"),
    [
        ({"volume": 3.0 + 1e-15}, "vectorbt", "volume differ"),
        ({"volume": 3e-9 + 1e-16}, "nautilus", "volume differ"),
        ({"volume": 3e-9 + 4e-17}, "nautilus", None),
        ({"volume": None}, "nautilus", "volume differ"),
        ({"open": 1.0 + 2.3e-16}, "nautilus", "open differ"),
        ({"high": float("nan"), "low": 0.25}, "freqtrade", "high, low differ"),
    ],
)
def test_a_value_differs_by_more_than_the_program_rounds(
    change: dict[str, float | None], program: str, fault: str | None
) -> None:
    volume = 3.0 if program != "nautilus" else 3e-9
    ours = candles(at(1, 0), at(1, 1)).with_columns(volume=pl.lit(volume))
    second = pl.int_range(pl.len()) == 1
    found = ours.with_columns(
        pl.when(second).then(pl.lit(value)).otherwise(name).cast(pl.Float64).alias(name)
        for name, value in change.items()
    )
    faults = find_differences(ours, found, CONVERTERS_BY_NAME[program])
    assert faults.rows() == ([(at(1, 1), fault)] if fault else [])


def test_a_time_that_stands_twice_or_nowhere_differs() -> None:
    ours = candles(at(1, 0), at(1, 1), at(1, 2))
    found = candles(at(1, 0), at(1, 0), at(1, 2), at(1, 3))
    assert find_differences(ours, found, CONVERTERS_BY_NAME["freqtrade"]).rows() == [
        (at(1, 0), "not in the lake"),
        (at(1, 1), "missing in the file"),
        (at(1, 3), "not in the lake"),
    ]
