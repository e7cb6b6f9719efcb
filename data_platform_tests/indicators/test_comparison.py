import polars as pl
import pytest

from data_platform.indicators.columns import (
    INDICATORS,
    add_indicators,
    output_columns,
    to_recipe,
)
from data_platform.indicators.comparison import find_differences
from data_platform.indicators.indicator import ALL

DEFAULTS = tuple(indicator.default_name for indicator in INDICATORS)


def stored_of(candles: pl.DataFrame, names: tuple[str, ...], start: int) -> pl.DataFrame:
    result = add_indicators(candles, names)
    return result.select("open_time", *output_columns(names)).slice(start)


def with_wrong(stored: pl.DataFrame, column: str, row: int, value: float | None) -> pl.DataFrame:
    is_row = pl.int_range(pl.len()) == row
    return stored.with_columns(pl.when(is_row).then(value).otherwise(column).alias(column))


def test_what_is_right_differs_nowhere(filled: pl.DataFrame, broken: pl.DataFrame) -> None:
    for candles in (filled, broken):
        assert find_differences(candles, stored_of(candles, DEFAULTS, 2700), DEFAULTS).is_empty()


@pytest.mark.parametrize("name", [*DEFAULTS, "kama_5_2_10"])
def test_every_column_is_held_against_something(filled: pl.DataFrame, name: str) -> None:
    if name == "kama_10_2_30":
        return  # Its warm-up is longer than the candles at hand.
    stored = stored_of(filled, (name,), 2990)
    for column in output_columns((name,)):
        wrong = stored.with_columns(pl.col(column) * 1.01 + 0.01 * (pl.col(column).abs() + 1))
        found = find_differences(filled, wrong, (name,))
        assert found["column"].unique().to_list() == [column]
        # Where nothing was traded there is no ease of movement.
        assert found.height >= (4 if name.startswith("ease") else 9)


@pytest.mark.parametrize("name", ["sma_20", "rsi_14", "bb_20_2", "obv", "adx_14", "psar_0.02_0.2"])
def test_a_wrong_value_is_named_with_its_column_and_time(filled: pl.DataFrame, name: str) -> None:
    stored = stored_of(filled, (name,), 2700)
    column = output_columns((name,))[0]
    right = stored[column][123]
    found = find_differences(filled, with_wrong(stored, column, 123, right * 1.001), (name,))
    assert found.rows() == [
        (filled["open_time"][2823], column, right * 1.001, pytest.approx(right, rel=1e-9))
    ]


def test_a_value_that_is_missing_or_should_be_is_named(filled: pl.DataFrame) -> None:
    stored = stored_of(filled, ("sma_20",), 2700)
    [gone] = find_differences(filled, with_wrong(stored, "sma_20", 7, None), ("sma_20",)).rows()
    assert gone[0] == filled["open_time"][2707]
    assert gone[2] is None
    assert gone[3] is not None


def test_a_defective_recipe_is_seen_at_its_first_row(filled: pl.DataFrame) -> None:
    # As a recipe would be that takes one row too many.
    stored = stored_of(filled, ("sma_21",), 2900).rename({"sma_21": "sma_20"})
    found = find_differences(filled, stored, ("sma_20",))
    assert found.height > 90
    assert found["open_time"][0] == filled["open_time"][2900]


def test_rows_within_the_warm_up_are_not_looked_at(filled: pl.DataFrame) -> None:
    rows = to_recipe("rsi_14").warm_up
    assert rows != ALL
    stored = stored_of(filled, ("rsi_14",), 0).with_columns(pl.col("rsi_14") * 2)
    found = find_differences(filled, stored, ("rsi_14",))
    assert found["open_time"][0] == filled["open_time"][rows]
    assert found.height == filled.height - rows


def test_a_sum_over_all_is_not_looked_at_without_its_beginning(filled: pl.DataFrame) -> None:
    stored = stored_of(filled, ("obv",), 2900).with_columns(pl.col("obv") + 1)
    assert find_differences(filled, stored, ("obv",)).height == 100
    assert find_differences(filled.slice(5), stored, ("obv",)).is_empty()


def test_a_market_that_stood_still_is_no_difference(filled: pl.DataFrame) -> None:
    row = pl.int_range(pl.len())
    close = pl.when(~row.is_between(2000, 2800)).then("close").forward_fill()
    still = filled.with_columns(
        close=close,
        **{
            name: pl.when(row.is_between(2000, 2800)).then(close).otherwise(name)
            for name in ("open", "high", "low")
        },
        volume=pl.when(row.is_between(2000, 2800)).then(0.0).otherwise("volume"),
    )
    for start in (1990, 2500, 2790, 2810):
        stored = stored_of(still, DEFAULTS, start).head(100)
        found = find_differences(still, stored, DEFAULTS)
        assert found.is_empty()


def test_a_column_that_is_not_stored_is_not_missed(filled: pl.DataFrame) -> None:
    stored = stored_of(filled, ("sma_20",), 2900)
    assert find_differences(filled, stored, ("sma_20", "bb_20_2")).is_empty()


@pytest.mark.parametrize("name", ["atr_14", "adx_14", "rsi_14", "macd_12_26_9"])
@pytest.mark.parametrize("rows", [1, 5, 13, 14, 27, 28])
def test_a_segment_shorter_than_a_window_is_held_too(
    filled: pl.DataFrame, name: str, rows: int
) -> None:
    short = filled.head(rows)
    assert find_differences(short, stored_of(short, (name,), 0), (name,)).is_empty()
