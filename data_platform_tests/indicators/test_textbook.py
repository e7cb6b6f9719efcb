import polars as pl
import pytest

from data_platform.indicators.textbook import FORMULAS, textbook_values


def test_the_textbook_speaks_where_the_library_does_not(filled: pl.DataFrame) -> None:
    assert textbook_values(filled, "sma_20") == {}
    assert set(FORMULAS) == {"obv", "mfi", "bb", "bb_place", "vwap_session", "psar"}


def test_a_worked_example_of_each_formula(filled: pl.DataFrame) -> None:
    frame = filled.head(4).with_columns(
        pl.Series("high", [2.0, 3.0, 4.0, 1.5]),
        pl.Series("low", [1.0, 2.0, 3.0, 0.5]),
        pl.Series("close", [2.0, 2.0, 4.0, 1.0]),
        pl.Series("volume", [1.0, 2.0, 4.0, 8.0]),
    )
    assert textbook_values(frame, "obv") == {"obv": [1.0, 1.0, 5.0, -3.0]}
    # Typical prices 5/3, 7/3, 11/3, 1: 14/3 and 44/3 flow in, 8 flow out.
    flow = pytest.approx(100 * 44 / (44 + 24))
    assert textbook_values(frame, "mfi_2") == {"mfi_2": [None, None, 100.0, flow]}
    bands = textbook_values(frame, "bb_2_1")
    assert bands["bb_upper_2_1"] == [None, 2.0, 4.0, 4.0]
    assert bands["bb_lower_2_1"] == [None, 2.0, 2.0, 1.0]
    place = textbook_values(frame, "bb_place_2_1")
    assert place["bb_percent_2_1"] == [None, None, 1.0, 0.0]
    assert place["bb_width_2_1"] == [None, 0.0, pytest.approx(200 / 3), 120.0]
    stops = textbook_values(frame, "psar_0.02_0.2")
    # Up from the first low; the last low touches it: then down from the highest high.
    assert stops["psar_0.02_0.2"] == [None, 1.0, pytest.approx(1.04), 4.0]
    assert stops["psar_trend_0.02_0.2"] == [None, 1.0, 1.0, -1.0]
    session = textbook_values(frame, "vwap_session")["vwap_session"]
    assert session[1] == pytest.approx((5 / 3 + 2 * 7 / 3) / 3)
