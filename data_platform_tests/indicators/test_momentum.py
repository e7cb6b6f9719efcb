from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.indicators.columns import add_indicators

# Worked example of the index of 14 days, published with two decimals:
# https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays/
# technical-indicators/relative-strength-index-rsi
CLOSES = [44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826]
CLOSES += [45.8931, 46.0328, 45.614, 46.282, 46.282, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439]
PUBLISHED_RSI = [70.53, 66.32, 66.55, 69.41, 66.36, 57.97]


def of_closes(closes: list[float]) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        (start + timedelta(minutes=row), close, close, close, close, 1.0, False, None, start)
        for row, close in enumerate(closes)
    ]
    return pl.DataFrame(rows, schema=FILLED_SCHEMA, orient="row")


def test_the_strength_index_is_the_published_one() -> None:
    values = add_indicators(of_closes(CLOSES), ("rsi_14",))["rsi_14"].to_list()
    assert values[:14] == [None] * 14
    assert [round(value, 2) for value in values[14:]] == PUBLISHED_RSI


@pytest.mark.parametrize(("step", "expected"), [(1.0, 100.0), (-1.0, 0.0)])
def test_a_market_that_moves_one_way_is_at_the_end_of_the_scale(
    step: float, expected: float
) -> None:
    closes = [100 + step * row for row in range(30)]
    assert add_indicators(of_closes(closes), ("rsi_14",))["rsi_14"][29] == expected


@pytest.mark.parametrize("name", ["rsi_14", "stoch_14_3", "cci_20"])
def test_a_market_that_never_moved_has_no_momentum(name: str) -> None:
    # The mean of twenty times this price is not this price: it differs in the last bit.
    result = add_indicators(of_closes([78.8935] * 100), (name,))
    added = result.select(pl.exclude(FILLED_SCHEMA.names()))
    assert set(added.null_count().row(0)) == {100}


def test_a_market_that_stopped_moving_long_ago_has_no_strength() -> None:
    closes = [100.0, 101.0, 99.0, 102.0] * 5 + [100.0] * 400
    values = add_indicators(of_closes(closes), ("rsi_14",))["rsi_14"]
    assert values[40] is not None
    assert values.tail(100).null_count() == 100


def test_the_place_in_the_range_is_counted_over_the_window() -> None:
    frame = of_closes([1.0, 5.0, 3.0, 2.0])
    result = add_indicators(frame, ("stoch_3_2",))
    assert result["stoch_k_3_2"].to_list() == [None, None, 50.0, 0.0]
    assert result["stoch_d_3_2"].to_list() == [None, None, None, 25.0]


def test_an_unknown_place_makes_its_mean_unknown() -> None:
    result = add_indicators(of_closes([1.0, 1.0, 2.0, 3.0]), ("stoch_2_2",))
    assert result["stoch_k_2_2"].to_list() == [None, None, 100.0, 100.0]
    assert result["stoch_d_2_2"].to_list() == [None, None, None, 100.0]


def test_the_channel_index_is_lamberts(filled: pl.DataFrame) -> None:
    frame = filled.head(400)
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    windows = np.lib.stride_tricks.sliding_window_view((high + low + close) / 3, 20)
    means = windows.mean(axis=1)
    distances = np.abs(windows - means[:, None]).mean(axis=1)
    expected = (windows[:, -1] - means) / (0.015 * distances)
    values = add_indicators(frame, ("cci_20",))["cci_20"].to_numpy()
    assert values[19:] == pytest.approx(expected, abs=1e-8)


def test_the_range_of_williams_is_the_stochastic_seen_from_the_top(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("williams_r_14", "stoch_14_3"))
    expected = (result["stoch_k_14_3"] - 100).to_list()[13:]
    assert result["williams_r_14"].to_list()[13:] == pytest.approx(expected, abs=1e-10)


def test_the_strength_has_a_place_in_its_own_range(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("rsi_5", "stoch_rsi_5_2_2"))
    strength = result["rsi_5"].to_list()
    place = result["stoch_rsi_5_2_2"].to_list()
    for row in range(9, 100):
        window = strength[row - 4 : row + 1]
        expected = (window[-1] - min(window)) / (max(window) - min(window))
        assert place[row] == pytest.approx(expected, abs=1e-12)
    smooth = result["stoch_rsi_k_5_2_2"].to_list()
    assert smooth[10] == pytest.approx((place[9] + place[10]) / 2)
    assert result["stoch_rsi_d_5_2_2"][11] == pytest.approx((smooth[10] + smooth[11]) / 2)


def test_the_ultimate_oscillator_weighs_three_windows() -> None:
    # Pressure and range: 2 of 2 from the rise, 0 of 1 from the fall.
    frame = of_closes([1.0, 3.0, 2.0])
    values = add_indicators(frame, ("uo_1_2_2_4_2_1",))["uo_1_2_2_4_2_1"].to_list()
    assert values == [None, None, pytest.approx(100 * (4 * 0 + 2 * 2 / 3 + 2 / 3) / 7)]


def test_rates_of_change_are_percent() -> None:
    result = add_indicators(of_closes([2.0, 3.0, 1.0]), ("roc_1", "log_roc_2"))
    assert result["roc_1"].to_list() == [None, 50.0, pytest.approx(-200 / 3)]
    assert result["log_roc_2"].to_list() == [None, None, pytest.approx(-69.31471805599453)]
