"""What every indicator owes: causality, segments, warm-up, and the values of `ta` after it."""

from collections.abc import Callable
from datetime import timedelta

import pandas as pd
import polars as pl
import pytest
import ta

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.indicators.columns import (
    INDICATORS,
    add_indicators,
    output_columns,
    to_columns,
    warm_up,
)
from data_platform.indicators.indicator import NUMBER, PERCENT, PRICE

DEFAULTS = (
    "sma_20",
    "sma_50",
    "ema_12",
    "ema_26",
    "rsi_14",
    "macd_12_26_9",
    "bb_20_2",
    "atr_14",
    "adx_14",
    "stoch_14_3",
    "cci_20",
    "mfi_14",
)
NAMES = (*DEFAULTS, "sma_1", "sma_7", "ema_5", "rsi_2", "macd_3_5_2", "bb_5_2.5", "stoch_5_1")

# Rows before the first value, counted by hand from the textbooks' definitions: an average over n
# values ends at row n - 1, one over n changes at row n, an average of averages later by its own.
FIRST_ROWS = {
    "sma_20": 19,
    "sma_50": 49,
    "ema_12": 11,
    "ema_26": 25,
    "rsi_14": 14,
    "macd_12_26_9": 25,
    "macd_signal_12_26_9": 33,
    "macd_histogram_12_26_9": 33,
    "bb_upper_20_2": 19,
    "bb_middle_20_2": 19,
    "bb_lower_20_2": 19,
    "atr_14": 13,
    "adx_14": 27,
    "plus_di_14": 14,
    "minus_di_14": 14,
    "stoch_k_14_3": 13,
    "stoch_d_14_3": 15,
    "cci_20": 19,
    "mfi_14": 14,
}

REMEMBERS = ("ema", "rsi", "macd", "atr", "adx")

every_name = pytest.mark.parametrize("name", NAMES)


def columns_of(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    return add_indicators(frame, (name,)).select(output_columns((name,)))


def perturbed(frame: pl.DataFrame, row: int) -> pl.DataFrame:
    later = pl.int_range(pl.len()) > row
    return frame.with_columns(
        pl.when(later).then(pl.col(name) * factor + 5).otherwise(pl.col(name)).alias(name)
        for name, factor in {"open": 3, "high": 9, "low": 0.1, "close": 2, "volume": 100}.items()
    )


def frozen(frame: pl.DataFrame, start: int, rows: int) -> pl.DataFrame:
    """Return the frame with `rows` rows that repeat the close before `start`, volume 0."""
    row = pl.int_range(pl.len())
    still = (row >= start) & (row < start + rows)
    close = pl.when(~still).then("close").forward_fill()
    prices = {name: pl.when(still).then(close).otherwise(name) for name in ("open", "high", "low")}
    volume = pl.when(still).then(0.0).otherwise("volume")
    return frame.with_columns(**prices, close=close, volume=volume)


def test_the_names_cover_every_indicator() -> None:
    assert {name.split("_")[0] for name in NAMES} == {row.name for row in INDICATORS}
    assert set(output_columns(DEFAULTS)) == set(FIRST_ROWS)


@every_name
def test_rows_and_given_columns_stay(filled: pl.DataFrame, name: str) -> None:
    result = add_indicators(filled, (name,))
    assert result.select(filled.columns).equals(filled)
    assert result.columns == [*FILLED_SCHEMA, *output_columns((name,))]
    assert set(result.drop(filled.columns).dtypes) == {pl.Float64()}


@every_name
def test_no_rows_are_no_rows(filled: pl.DataFrame, name: str) -> None:
    result = add_indicators(FILLED_SCHEMA.to_frame(), (name,))
    assert result.is_empty()
    assert result.schema == add_indicators(filled, (name,)).schema


@every_name
def test_columns_say_what_they_are(name: str) -> None:
    for column in to_columns((name,)):
        assert column.unit in {PRICE, PERCENT, NUMBER}
        assert column.description.endswith(".")


@pytest.mark.parametrize(("column", "row"), FIRST_ROWS.items())
def test_the_warm_up_is_null_and_nothing_after_it(
    filled: pl.DataFrame, column: str, row: int
) -> None:
    values = add_indicators(filled, DEFAULTS)[column]
    assert values.head(row).null_count() == row
    assert values.tail(-row).null_count() == 0


@every_name
def test_nothing_is_nan_or_infinite(filled: pl.DataFrame, name: str) -> None:
    for frame in (filled, frozen(filled, 100, 1500), frozen(filled, 1, 400)):
        for column in columns_of(frame, name).get_columns():
            assert column.is_finite().all()


@every_name
@pytest.mark.parametrize("rows", [1, 30, 698, 701, 1541, 2999])
def test_rows_cut_off_later_change_nothing(broken: pl.DataFrame, name: str, rows: int) -> None:
    whole = columns_of(broken, name).head(rows)
    assert columns_of(broken.head(rows), name).equals(whole)


@every_name
@pytest.mark.parametrize("row", [0, 29, 698, 1520, 2500])
def test_another_future_changes_nothing(broken: pl.DataFrame, name: str, row: int) -> None:
    whole = columns_of(broken, name).head(row + 1)
    assert columns_of(perturbed(broken, row), name).head(row + 1).equals(whole)


@every_name
def test_another_past_beyond_the_break_changes_nothing(broken: pl.DataFrame, name: str) -> None:
    parts = [columns_of(part, name) for part in broken.partition_by("segment", maintain_order=True)]
    assert len(parts) == 5
    assert pl.concat(parts).equals(columns_of(broken, name))


def scale_of(frame: pl.DataFrame, column: str) -> float:
    units = {row.name: row.unit for row in to_columns(NAMES)}
    top = frame["high"].max()
    assert isinstance(top, float)
    return top if units[column] == PRICE else 100.0


@every_name
@pytest.mark.parametrize("still", [(0, 0), (900, 40), (900, 250), (900, 900), (100, 1500)], ids=str)
def test_the_result_does_not_depend_on_where_history_is_cut(
    filled: pl.DataFrame, name: str, still: tuple[int, int]
) -> None:
    frame = frozen(filled, *still)
    whole = columns_of(frame, name)
    for start in (800, 1000, 1150, 1700, 1801, 2400):
        history = min(start, warm_up((name,)))
        cut = columns_of(frame.slice(start - history), name).slice(history)
        if not name.startswith(REMEMBERS):
            assert cut.equals(whole.slice(start))
            continue
        for column in cut.columns:
            differences = (cut[column] - whole[column].slice(start)).abs()
            assert cut[column].is_null().equals(whole[column].slice(start).is_null())
            assert (differences.drop_nulls() <= 1e-12 * scale_of(frame, column)).all()


@every_name
@pytest.mark.parametrize("start", [710, 1505, 1545, 2300])
def test_history_may_hold_breaks(broken: pl.DataFrame, name: str, start: int) -> None:
    history = min(start, warm_up((name,)))
    whole = columns_of(broken, name).slice(start)
    cut = columns_of(broken.slice(start - history), name).slice(history)
    for column in cut.columns:
        assert cut[column].is_null().equals(whole[column].is_null())
        differences = (cut[column] - whole[column]).abs().drop_nulls()
        assert (differences <= 1e-12 * scale_of(broken, column)).all()


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(REMEMBERS)])
def test_a_window_needs_its_whole_warm_up(filled: pl.DataFrame, name: str) -> None:
    rows = warm_up((name,))
    if rows:
        short = columns_of(filled.slice(1000 - rows + 1), name)
        assert None in short.row(rows - 1)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(REMEMBERS)])
def test_a_third_of_the_warm_up_would_not_be_enough(filled: pl.DataFrame, name: str) -> None:
    third = warm_up((name,)) // 3
    whole, cut = columns_of(filled, name), columns_of(filled.slice(1500 - third), name)
    column = cut.columns[0]
    assert abs(cut[column][third] - whole[column][1500]) > 1e-12 * scale_of(filled, column)


@every_name
def test_percentages_stay_within_0_and_100(filled: pl.DataFrame, name: str) -> None:
    for frame in (filled, frozen(filled, 500, 300)):
        values = columns_of(frame, name)
        for column in to_columns((name,)):
            if column.unit == PERCENT:
                # A last bit of rounding is no fault of the formula.
                assert values[column.name].is_between(-1e-9, 100 + 1e-9).all()


def test_all_at_once_are_the_same_as_one_by_one(broken: pl.DataFrame) -> None:
    together = add_indicators(broken, NAMES).select(output_columns(NAMES))
    apart = pl.concat([columns_of(broken, name) for name in NAMES], how="horizontal")
    assert together.equals(apart)


def test_the_frame_may_come_in_any_number_of_chunks(filled: pl.DataFrame) -> None:
    chunked = pl.concat([filled.slice(0, 77), filled.slice(77, 1000), filled.slice(1077)])
    assert add_indicators(chunked, DEFAULTS).equals(add_indicators(filled, DEFAULTS))


REFERENCES: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "sma_20": lambda p: ta.trend.sma_indicator(p.close, 20),
    "sma_50": lambda p: ta.trend.sma_indicator(p.close, 50),
    "ema_12": lambda p: ta.trend.ema_indicator(p.close, 12),
    "ema_26": lambda p: ta.trend.ema_indicator(p.close, 26),
    "rsi_14": lambda p: ta.momentum.rsi(p.close, 14),
    "macd_12_26_9": lambda p: ta.trend.macd(p.close, 26, 12),
    "macd_signal_12_26_9": lambda p: ta.trend.macd_signal(p.close, 26, 12, 9),
    "macd_histogram_12_26_9": lambda p: ta.trend.macd_diff(p.close, 26, 12, 9),
    "bb_middle_20_2": lambda p: ta.volatility.bollinger_mavg(p.close, 20),
    "atr_14": lambda p: ta.volatility.average_true_range(p.high, p.low, p.close, 14),
    "adx_14": lambda p: ta.trend.adx(p.high, p.low, p.close, 14),
    "plus_di_14": lambda p: ta.trend.adx_pos(p.high, p.low, p.close, 14),
    "minus_di_14": lambda p: ta.trend.adx_neg(p.high, p.low, p.close, 14),
    "stoch_k_14_3": lambda p: ta.momentum.stoch(p.high, p.low, p.close, 14, 3),
    "stoch_d_14_3": lambda p: ta.momentum.stoch_signal(p.high, p.low, p.close, 14, 3),
    "cci_20": lambda p: ta.trend.cci(p.high, p.low, p.close, 20),
    "mfi_14": lambda p: ta.volume.money_flow_index(p.high, p.low, p.close, p.volume, 14),
}


@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize("column", REFERENCES)
def test_after_the_warm_up_the_values_are_those_of_ta(filled: pl.DataFrame, column: str) -> None:
    # `ta` starts its recursions elsewhere and writes zeros into the warm-up of ATR and ADX. Its
    # Bollinger bands rest on pandas' drifting deviation: test_volatility.py has exact ones.
    ours = add_indicators(filled, DEFAULTS)[column].to_numpy()
    theirs = REFERENCES[column](filled.select("high", "low", "close", "volume").to_pandas())
    start = warm_up(DEFAULTS)
    assert ours[start:] == pytest.approx(
        theirs.to_numpy()[start:], rel=1e-9, abs=1e-12 * scale_of(filled, column)
    )


def test_a_missing_minute_inside_a_segment_cannot_be(filled: pl.DataFrame) -> None:
    # The fill makes segments without holes; the contract's frames must be such ones.
    steps = filled["open_time"].diff().drop_nulls().unique().to_list()
    assert steps == [timedelta(minutes=1)]
