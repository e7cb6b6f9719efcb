from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.indicators.columns import add_indicators


def expected_index(frame: pl.DataFrame, rows: int) -> list[float]:
    typical = [
        (high + low + close) / 3 for high, low, close in frame.select("high", "low", "close").rows()
    ]
    flows = [price * volume for price, volume in zip(typical, frame["volume"], strict=True)]
    index = []
    for row in range(rows, frame.height):
        window = range(row - rows + 1, row + 1)
        into = sum(flows[at] for at in window if typical[at] > typical[at - 1])
        out_of = sum(flows[at] for at in window if typical[at] < typical[at - 1])
        index.append(100 * into / (into + out_of))
    return index


def test_the_money_flow_index_counts_money_by_the_direction_of_price(filled: pl.DataFrame) -> None:
    values = add_indicators(filled.head(300), ("mfi_14",))["mfi_14"].to_list()
    assert values[:14] == [None] * 14
    assert values[14:] == pytest.approx(expected_index(filled.head(300), 14), rel=1e-12)


def test_without_trades_there_is_no_flow(filled: pl.DataFrame) -> None:
    quiet = filled.head(100).with_columns(volume=pl.lit(0.0))
    assert add_indicators(quiet, ("mfi_14",))["mfi_14"].null_count() == 100


def test_an_unchanged_price_moves_no_money(filled: pl.DataFrame) -> None:
    flat = filled.head(100).with_columns(high=pl.lit(3.0), low=pl.lit(1.0), close=pl.lit(2.0))
    assert add_indicators(flat, ("mfi_14",))["mfi_14"].null_count() == 100


def test_prices_of_equal_sum_move_no_money_whatever_rounding_makes_of_it() -> None:
    # 105078.49 both times; in float64 the first sum is 105078.49000000002 (demo, 2026-11-28).
    candles = rows_of(
        (35000.0, 34990.0, 34995.0, 5.0),
        (35032.54, 35014.19, 35031.76, 1.0),
        (35031.96, 35021.83, 35024.7, 1000.0),
        (34000.0, 33990.0, 33995.0, 3.0),
    )
    into, out_of = 105078.49 / 3 * 1.0, 101985.0 / 3 * 3.0
    expected = 100 * into / (into + out_of)
    assert add_indicators(candles, ("mfi_3",))["mfi_3"][3] == pytest.approx(expected, rel=1e-12)


def rows_of(*rows: tuple[float, float, float, float]) -> pl.DataFrame:
    """Return candles of high, low, close and volume, one an hour from 22:00."""
    start = datetime(2024, 1, 1, 22, tzinfo=UTC)
    return pl.DataFrame(
        [(start + timedelta(hours=at), row[2], *row, start) for at, row in enumerate(rows)],
        schema={
            "open_time": pl.Datetime("ms", "UTC"),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64()),
            "segment": pl.Datetime("ms", "UTC"),
        },
        orient="row",
    )


def test_the_price_of_the_day_begins_anew_at_midnight() -> None:
    frame = rows_of((3, 3, 3, 1), (6, 6, 6, 2), (9, 9, 9, 0), (8, 8, 8, 4), (4, 4, 4, 4))
    values = add_indicators(frame, ("vwap_session",))["vwap_session"].to_list()
    assert values == [3.0, 5.0, None, 8.0, 6.0]


def test_the_rolling_price_weighs_by_volume() -> None:
    frame = rows_of((3, 3, 3, 1), (6, 6, 6, 2), (9, 9, 9, 0))
    values = add_indicators(frame, ("vwap_2",))["vwap_2"].to_list()
    assert values == [None, 5.0, 6.0]


def test_money_flows_by_where_candles_close() -> None:
    frame = rows_of((4, 0, 3, 2), (4, 0, 0, 1), (5, 5, 5, 1))
    values = add_indicators(frame, ("cmf_1", "cmf_3"))
    assert values["cmf_1"].to_list() == [0.5, -1.0, 0.0]
    assert values["cmf_3"].to_list() == [None, None, (1 - 1 + 0) / 4]


def test_force_is_change_times_volume() -> None:
    frame = rows_of((1, 1, 1, 9), (3, 3, 3, 2), (2, 2, 2, 5))
    assert add_indicators(frame, ("force_1",))["force_1"].to_list() == [None, 4.0, -5.0]


def test_a_move_through_little_volume_is_easy() -> None:
    frame = rows_of((2, 0, 1, 5), (4, 2, 3, 2), (5, 3, 4, 0))
    result = add_indicators(frame, ("ease_of_movement", "ease_of_movement_mean_1"))
    assert result["ease_of_movement"].to_list() == [None, 1e8 * 4 * 2 / 4, None]
    assert result["ease_of_movement_mean_1"].to_list() == [None, 2e8, None]
