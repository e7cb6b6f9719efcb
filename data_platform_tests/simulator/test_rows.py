import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic_markets import market_profile
from data_platform.domain.synthetic_minutes import TickCandles
from data_platform.simulator.rows import WireRows, float_rows, tick_rows
from data_platform_tests.simulator.simulated import at

BITCOIN = market_profile(Market("binance", Pair("BTC/USDT")))  # 2 and 8 decimals


def ticks(price: int, volume: int) -> WireRows:
    column = {name: np.array([price]) for name in ("open", "high", "low", "close")}
    trades = np.array([int(volume > 0)])
    candles = TickCandles(np.array([0]), **column, volume=np.array([volume]), trades=trades)
    return tick_rows(candles, BITCOIN)


def floats(*numbers: float) -> WireRows:
    frame = pl.DataFrame(
        [
            [at(2024, 3, 1) + timedelta(minutes=n), *[number] * 5]
            for n, number in enumerate(numbers)
        ],
        schema=CANDLE_SCHEMA,
        orient="row",
    )
    return float_rows(frame)


def printed(rows: WireRows, expression: pl.Expr) -> list[str]:
    return rows.frame.select(expression.alias("text"))["text"].to_list()


@pytest.mark.parametrize(
    ("price", "fixed", "trimmed"),
    [
        (6_700_010, "67000.10000000", "67000.1"),
        (6_700_000, "67000.00000000", "67000"),
        (1, "0.01000000", "0.01"),
        (123_456_789_012_345, "1234567890123.45000000", "1234567890123.45"),
    ],
)
def test_ticks_are_printed_exactly(price: int, fixed: str, trimmed: str) -> None:
    rows = ticks(price, 5)
    assert printed(rows, rows.fixed("close", 8)) == [fixed]
    assert printed(rows, rows.trimmed("close")) == [trimmed]
    assert printed(rows, rows.fixed("close", 0)) == [fixed[:-6]]


def test_lots_have_their_own_decimals() -> None:
    rows = ticks(6_700_000, 500_000_001)
    assert printed(rows, rows.fixed("volume", 8)) == ["5.00000001"]
    assert printed(rows, rows.fixed("quote_volume", 8)) == ["335000.00000000"]


def test_a_candle_without_trades_has_no_mean_price() -> None:
    rows = ticks(6_700_000, 0)
    assert printed(rows, rows.fixed("vwap", 1)) == ["0.00"]
    assert printed(rows, rows.trimmed("volume")) == ["0"]


@pytest.mark.parametrize(
    "number", [0.1 + 0.2, 1e-7, 1.5e-12, 100.0, 67_000.1, 1e16, 1.7976931348623157e308, 5e-324, 0.0]
)
def test_any_float_is_printed_without_exponent_and_reads_back(number: float) -> None:
    rows = floats(number)
    for expression in (rows.trimmed("close"), rows.fixed("close", 8), rows.fixed("volume", 0)):
        (text,) = printed(rows, expression)
        assert "e" not in text
        assert float(text) == number


def test_floats_are_padded_to_the_places_asked() -> None:
    rows = floats(67_000.1, 5.0, 0.123456789012)
    assert printed(rows, rows.fixed("open", 8)) == [
        "67000.10000000",
        "5.00000000",
        "0.123456789012",
    ]
    assert printed(rows, rows.trimmed("open")) == ["67000.1", "5", "0.123456789012"]


def test_random_floats_read_back_to_the_last_bit() -> None:
    numbers = np.exp(np.random.default_rng(1).normal(0, 12, 2000)).tolist()
    rows = floats(*numbers)
    texts = printed(rows, rows.fixed("high", 8))
    assert [float(text) for text in texts] == numbers
    assert all(math.isfinite(float(text)) for text in printed(rows, rows.fixed("vwap", 8)))


def test_no_candles_are_no_rows() -> None:
    rows = floats()
    assert rows.frame.is_empty()
    assert printed(rows, rows.fixed("open", 8)) == []
