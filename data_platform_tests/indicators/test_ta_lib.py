"""The columns that TA-Lib has too, against its own values of 1,200 candles: golden/README.md."""

import polars as pl
import pytest

from data_platform.indicators.columns import add_indicators

NAMES = {
    "bb_upper_20_2": "bb_20_2",
    "bb_lower_20_2": "bb_20_2",
    "plus_di_14": "adx_14",
    "minus_di_14": "adx_14",
    "stoch_k_14_3": "stoch_14_3",
    "stoch_d_14_3": "stoch_14_3",
    "macd_signal_12_26_9": "macd_12_26_9",
}
SAME = (
    *("psar_0.02_0.2", "psar_0.05_0.1", "obv", "adi", "bb_upper_20_2", "bb_lower_20_2"),
    *("rsi_14", "cci_20", "wma_9", "ema_14", "sma_20", "kama_10_2_30", "trix_15"),
    *("uo_7_14_28_4_2_1", "williams_r_14", "roc_12", "stoch_k_14_3", "stoch_d_14_3"),
)
BEGINS_ELSEWHERE = (
    *("atr_14", "adx_14", "plus_di_14", "minus_di_14", "macd_12_26_9", "macd_signal_12_26_9"),
)


def both(ta_lib: pl.DataFrame, column: str) -> tuple[list[float | None], list[float | None]]:
    ours = add_indicators(ta_lib[:, :9], (NAMES.get(column, column),))
    return ours[column].to_list(), ta_lib[column].to_list()


def test_every_column_of_the_file_is_looked_at(ta_lib: pl.DataFrame) -> None:
    assert {*SAME, *BEGINS_ELSEWHERE} == set(ta_lib.columns[9:])


@pytest.mark.parametrize("column", SAME)
def test_values_are_those_of_ta_lib_from_its_first_on(ta_lib: pl.DataFrame, column: str) -> None:
    ours, theirs = both(ta_lib, column)
    first = next(row for row, value in enumerate(theirs) if value is not None)
    assert first < 50
    assert ours[first:] == pytest.approx(theirs[first:], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("column", BEGINS_ELSEWHERE)
def test_values_become_those_of_ta_lib_where_it_begins_elsewhere(
    ta_lib: pl.DataFrame, column: str
) -> None:
    ours, theirs = both(ta_lib, column)
    assert ours[900:] == pytest.approx(theirs[900:], rel=1e-9, abs=1e-9)
