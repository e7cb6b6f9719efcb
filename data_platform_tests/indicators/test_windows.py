import math
import random

import numpy as np
import polars as pl
import pytest

from data_platform.indicators.windows import (
    ROW,
    SEGMENT,
    age_of_highest,
    by_array,
    by_segment,
    deviation,
    highest,
    lagged,
    lowest,
    mean_distance,
    memory,
    ratio,
    rows_to_forget,
    settled,
    smoothed,
    window_mean,
    window_sum,
)

VALUES = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]


def numbered(values: list[float], *segments: int) -> pl.DataFrame:
    lengths = segments or (len(values),)
    rows = [row for length in lengths for row in range(length)]
    segment = [number for number, length in enumerate(lengths) for _ in range(length)]
    return pl.DataFrame({"x": values, ROW: rows, SEGMENT: segment})


def evaluate(frame: pl.DataFrame, expression: pl.Expr) -> list[float | None]:
    return frame.select(expression).to_series().to_list()


def test_a_lag_stops_at_the_edge_of_its_segment() -> None:
    frame = numbered(VALUES, 4, 2)
    assert evaluate(frame, lagged(pl.col("x"))) == [None, 1.0, 2.0, 4.0, None, 16.0]
    assert evaluate(frame, lagged(pl.col("x"), 3)) == [None, None, None, 1.0, None, None]


def test_a_window_stops_at_the_edge_of_its_segment() -> None:
    frame = numbered(VALUES, 4, 2)
    assert evaluate(frame, window_sum(pl.col("x"), 2)) == [None, 3.0, 6.0, 12.0, None, 48.0]
    assert evaluate(frame, window_sum(pl.col("x"), 3)) == [None, None, 7.0, 14.0, None, None]
    assert evaluate(frame, window_mean(pl.col("x"), 2)) == [None, 1.5, 3.0, 6.0, None, 24.0]
    assert evaluate(frame, highest(pl.col("x"), 2)) == [None, 2.0, 4.0, 8.0, None, 32.0]
    assert evaluate(frame, lowest(pl.col("x"), 2)) == [None, 1.0, 2.0, 4.0, None, 16.0]


def test_a_window_over_values_known_later_starts_later() -> None:
    frame = numbered(VALUES)
    assert evaluate(frame, window_sum(pl.col("x"), 2, first=3))[:5] == [None] * 4 + [24.0]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 13, 20, 21, 50, 127, 128, 200])
def test_a_window_sums_each_of_its_values_once(rows: int) -> None:
    generator = random.Random(rows)
    values = [generator.uniform(-1e6, 1e6) for _ in range(400)]
    found = evaluate(numbered(values), window_sum(pl.col("x"), rows))
    for row in range(rows - 1, 400):
        exact = math.fsum(values[row - rows + 1 : row + 1])
        assert found[row] == pytest.approx(exact, rel=1e-12, abs=1e-7)


@pytest.mark.parametrize("cut", [1, 7, 64, 333])
def test_a_window_has_the_same_bits_wherever_history_begins(cut: int) -> None:
    generator = random.Random(5)
    values = [generator.lognormvariate(0, 4) for _ in range(600)]
    whole = evaluate(numbered(values), window_sum(pl.col("x"), 20))
    late = evaluate(numbered(values[cut:]), window_sum(pl.col("x"), 20))
    assert late[19:] == whole[cut + 19 :]


def test_smoothing_starts_with_a_mean_and_goes_on_by_its_weight() -> None:
    found = evaluate(numbered(VALUES), smoothed(pl.col("x"), 2, 0.25))
    assert found == [None, 1.5, 2.125, 3.59375, 6.6953125, 13.021484375]


def test_smoothing_begins_anew_in_each_segment() -> None:
    found = evaluate(numbered(VALUES, 3, 3), smoothed(pl.col("x"), 2, 0.5))
    assert found == [None, 1.5, 2.75, None, 12.0, 22.0]


def test_smoothing_of_values_known_later_starts_later() -> None:
    found = evaluate(numbered(VALUES), smoothed(pl.when(pl.col(ROW) >= 2).then("x"), 2, 0.5))
    assert found == [None, None, None, 6.0, 11.0, 21.5]


@pytest.mark.parametrize("alpha", [1 / 14, 2 / 27, 0.5])
def test_after_rows_to_forget_less_than_the_share_is_left(alpha: float) -> None:
    rows = rows_to_forget(alpha, 1e-6)
    assert (1 - alpha) ** rows <= 1e-6 < (1 - alpha) ** (rows - 1)


def test_a_weight_of_one_remembers_nothing() -> None:
    assert rows_to_forget(1.0) == 0


def test_a_ratio_of_nothing_is_null() -> None:
    frame = pl.DataFrame({"x": [0.0, 1.0, 2.0], "y": [0.0, 0.5, 4.0]})
    assert evaluate(frame, ratio(pl.col("x"), pl.col("y"))) == [None, 2.0, 0.5]
    assert evaluate(frame, ratio(pl.col("x"), pl.col("y"), 1.0)) == [None, None, 0.5]


def test_what_arrays_do_not_know_is_null() -> None:
    frame = numbered([1.0, 0.0, 4.0])
    assert evaluate(frame, by_array(lambda it: 1 / it, pl.col("x"))) == [1.0, math.inf, 0.25]
    assert evaluate(frame, by_array(lambda it: it * np.nan, pl.col("x"))) == [None] * 3


def test_arrays_of_a_segment_end_with_it() -> None:
    frame = numbered(VALUES, 4, 2)
    assert evaluate(frame, by_segment(np.cumsum, pl.col("x"))) == [1.0, 3.0, 7.0, 15.0, 16.0, 48.0]


def test_distances_are_from_the_window() -> None:
    frame = numbered(VALUES).with_columns(center=window_mean(pl.col("x"), 2))
    x, center = pl.col("x"), pl.col("center")
    assert evaluate(frame, mean_distance(x, center, 2))[:3] == [None, 0.5, 1.0]
    assert evaluate(frame, deviation(x, center, 2))[:3] == [None, 0.5, 1.0]
    assert evaluate(frame, age_of_highest(-x, 3))[:4] == [None, None, 2.0, 2.0]


@pytest.mark.parametrize("alpha", [1.0, 0.5, 1 / 14, 2 / 27])
def test_what_is_smoothed_looks_back_over_all_that_it_remembers(alpha: float) -> None:
    rows = memory(alpha)
    assert rows & (rows - 1) == 0
    assert rows_to_forget(alpha) <= rows < 2 * max(rows_to_forget(alpha), 1)
    assert settled(5, alpha) == 5 + rows - 1
    assert settled(5, alpha, first=3, exact=100) == 100 + rows - 1
