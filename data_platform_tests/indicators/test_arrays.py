import math
import random

import numpy as np
import pytest

from data_platform.indicators import arrays
from data_platform.indicators.arrays import (
    Kernel,
    adaptive_average,
    age_of_highest,
    highest,
    lowest,
    mean_of_distances,
    per_segment,
    smoothed,
    squared_distances,
    summed,
    weighted_sum,
)

ROWS = [1, 2, 3, 5, 8, 13, 20, 21, 50, 127, 128, 200]


def some(count: int, seed: int) -> list[float]:
    generator = random.Random(seed)
    return [generator.uniform(-1e6, 1e6) for _ in range(count)]


@pytest.mark.parametrize("rows", ROWS)
def test_windows_hold_each_of_their_values_once(rows: int) -> None:
    values = some(400, rows)
    sums, weighted = summed(np.array(values), rows), weighted_sum(np.array(values), rows)
    tops, ages = highest(np.array(values), rows), age_of_highest(np.array(values), rows)
    bottoms = lowest(np.array(values), rows)
    for found in (sums, weighted, tops, bottoms, ages):
        assert np.isnan(found[: rows - 1]).all()
        assert not np.isnan(found[rows - 1 :]).any()
    for row in range(rows - 1, 400):
        window = values[row - rows + 1 : row + 1]
        assert sums[row] == pytest.approx(math.fsum(window), rel=1e-12, abs=1e-7)
        total = math.fsum(weight * value for weight, value in enumerate(window, 1))
        assert weighted[row] == pytest.approx(total, rel=1e-12, abs=1e-5)
        assert tops[row] == max(window)
        assert bottoms[row] == min(window)
        assert ages[row] == rows - 1 - window.index(max(window))


@pytest.mark.parametrize("rows", [1, 2, 20, 200, 1000])
def test_blocks_do_not_show(rows: int) -> None:
    values = np.array(some(50_000, rows))
    weights = np.abs(values) / 2e6 + 0.1
    kernels: list[Kernel] = [
        lambda part: summed(part, rows),
        lambda part: weighted_sum(part, rows),
        lambda part: highest(part, rows),
        lambda part: lowest(part, rows),
        lambda part: age_of_highest(part, rows),
        lambda part: smoothed(part, rows, 0.1, 512),
        lambda part: adaptive_average(part, weights[: len(part)], rows, 1024),
    ]
    for kernel in kernels:
        whole, first = kernel(values), kernel(values[:20_000])
        assert (whole[rows:20_000] == first[rows:]).all()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(arrays, "BLOCK", 100_000)
            assert np.array_equal(kernel(values), whole, equal_nan=True)


@pytest.mark.parametrize("rows", ROWS)
def test_of_equal_values_the_oldest_is_the_highest(rows: int) -> None:
    values = [float(value) for value in random.Random(rows).choices(range(3), k=400)]
    ages = age_of_highest(np.array(values), rows)
    for row in range(rows - 1, 400):
        window = values[row - rows + 1 : row + 1]
        assert ages[row] == rows - 1 - window.index(max(window))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("rows", [1, 2, 20])
def test_distances_are_from_the_last_rows_center(rows: int, power: int) -> None:
    # More rows than a block, so that its edge lies within them.
    values, centers = some(40_000, 1), some(40_000, 2)
    found = mean_of_distances(np.array(values), np.array(centers), rows, power)
    assert np.isnan(found[: rows - 1]).all()
    for row in (rows - 1, rows, 50, *range(32_750, 32_800), 39_999):
        window = values[row - rows + 1 : row + 1]
        total = math.fsum(abs(value - centers[row]) ** power for value in window)
        assert found[row] == pytest.approx(total / rows, rel=1e-12)
    if power == 2:
        squares = squared_distances(np.array(values), np.array(centers), rows)
        assert squares[rows - 1 :] == pytest.approx(found[rows - 1 :] * rows, rel=1e-12)


@pytest.mark.parametrize(
    ("rows", "alpha", "length"), [(14, 1 / 14, 512), (3, 0.5, 64), (1, 1.0, 1)]
)
def test_smoothing_is_the_recursion(rows: int, alpha: float, length: int) -> None:
    values = [math.nan] * 5 + some(3000, 3)
    found = smoothed(np.array(values), rows, alpha, length)
    assert np.isnan(found[: 4 + rows]).all()
    expected = math.fsum(values[5 : 5 + rows]) / rows
    for row in range(5 + rows, 3005):
        expected += alpha * (values[row] - expected)
        assert found[row] == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_smoothing_begins_anew_after_what_is_not_known() -> None:
    values = np.array([1.0, 3.0, 5.0, math.nan, 7.0, math.nan, 9.0, 1.0, 1.0])
    found = smoothed(values, 2, 0.5, 64)
    expected = [math.nan, 2.0, 3.5, math.nan, math.nan, math.nan, math.nan, 5.0, 3.0]
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("cut", [1, 7, 64, 333])
def test_smoothing_has_the_same_bits_wherever_history_begins(cut: int) -> None:
    values = np.array(some(1000, 4))
    whole, late = smoothed(values, 5, 0.3, 128), smoothed(values[cut:], 5, 0.3, 128)
    settled = cut + 5 + 127
    assert (late[settled - cut :] == whole[settled:]).all()


def test_weights_of_their_own_smooth_each_row() -> None:
    values, weights = some(1000, 5), np.array([0.05 + 0.1 * (row % 7) for row in range(1000)])
    found = adaptive_average(np.array(values), weights, 3, 512)
    assert np.isnan(found[:3]).all()
    expected = values[2]
    for row in range(3, 1000):
        expected += weights[row] * (values[row] - expected)
        assert found[row] == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert np.isnan(adaptive_average(np.array([1.0]), np.array([1.0]), 1, 512)).all()


def test_each_segment_is_by_itself() -> None:
    begins = np.array([True, False, False, True, True, False])
    values = np.arange(6.0)
    found = per_segment(lambda part: part - part[0], begins, values)
    assert found.tolist() == [0.0, 1.0, 2.0, 0.0, 0.0, 1.0]
    assert per_segment(lambda part: part, begins[:0], values[:0]).size == 0
