"""Windows and recursions over one segment's values, as numpy arrays: what no expression covers.

Every function takes and returns float64 arrays of one length; NaN is not known. Each window's
numbers are added in the same order wherever history begins, so a result has the same bits however
history is cut. A window of N rows is put together from its halves: log2(N) additions a row, where
a Polars expression of the same tree takes N (55 ms for 128 rows of 525,600; polars 2.1,
2026-11-28). It is done block by block, since fresh memory costs more than the arithmetic.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kernel = Callable[..., Array]

BLOCK = 32_768
"""Rows that are worked on at once: they stay in the processor's cache."""


def summed(values: Array, rows: int) -> Array:
    """Return the sum over each value and the `rows` - 1 before it; NaN where there are fewer."""
    return _in_blocks(lambda part: _sum(part, rows), rows - 1, values)


def weighted_sum(values: Array, rows: int) -> Array:
    """Return the sum over each window with the weights 1 (its oldest value) to `rows`."""
    return _in_blocks(lambda part: _weighted_sum(part, rows), rows - 1, values)


def highest(values: Array, rows: int) -> Array:
    """Return the maximum over each value and the `rows` - 1 before it; NaN as `summed`."""
    return _in_blocks(lambda part: _extreme(np.maximum, part, rows), rows - 1, values)


def lowest(values: Array, rows: int) -> Array:
    """Return the minimum over each value and the `rows` - 1 before it; NaN as `summed`."""
    return _in_blocks(lambda part: _extreme(np.minimum, part, rows), rows - 1, values)


def age_of_highest(values: Array, rows: int) -> Array:
    """Return how many rows ago the maximum of `highest` was; of equal ones the oldest counts."""
    return _in_blocks(lambda part: _age(part, rows), rows - 1, values)


def mean_of_distances(values: Array, centers: Array, rows: int, power: int) -> Array:
    """Return the mean over each window of |value - center of the window's last row| ** `power`.

    Args:
        values: what the windows hold.
        centers: of each row's window.
        rows: the window's length.
        power: 1 or 2.
    """
    return _in_blocks(
        lambda part, center: _distances(part, center, rows, power) / rows,
        rows - 1,
        values,
        centers,
    )


def squared_distances(values: Array, centers: Array, rows: int) -> Array:
    """Return the sum over each window of (value - center of the window's last row) ** 2."""
    return _in_blocks(
        lambda part, center: _distances(part, center, rows, 2), rows - 1, values, centers
    )


def smoothed(values: Array, rows: int, alpha: float, length: int) -> Array:
    """Return y = alpha * value + (1 - alpha) * y before, from the mean of the first `rows` known.

    Written as the sum that it is, over the newest `length` rows: what is older has been forgotten.

    Args:
        values: after NaN it begins anew.
        rows: how many values make the start.
        alpha: the weight of the newest value.
        length: a power of two; (1 - alpha) ** length must be nothing beside 1.
    """
    result, kept = np.full(len(values), np.nan), 1 - alpha
    for begin, end in _known_runs(values):
        start = begin + rows - 1
        if start >= end:
            continue
        parts = alpha * values[start:end]
        parts[0] = summed(values[begin : start + 1], rows)[-1] / rows
        result[start:end] = _in_blocks(lambda it: _fading(it, kept, length), length - 1, parts)
    return result


def adaptive_average(values: Array, weights: Array, start: int, length: int) -> Array:
    """Return y = weight * value + (1 - weight) * y before, each row with a weight of its own.

    Written as the sum that it is, over the newest `length` rows, as `smoothed`.

    Args:
        values: without NaN.
        weights: of each row, known from `start` on.
        start: the first row of the result; y before it is that row's value.
        length: a power of two; what is kept over so many rows must be nothing beside 1.
    """
    result = np.full(len(values), np.nan)
    if start >= len(values):
        return result
    weights = weights[start:]
    parts, kept = weights * values[start:], 1 - weights
    parts[0] += kept[0] * values[start - 1]
    kept[0] = 0.0
    result[start:] = _in_blocks(
        lambda part, share: _fading_by_row(part, share, length), length - 1, parts, kept
    )
    return result


def per_segment(kernel: Kernel, begins: NDArray[np.bool_], *arrays: Array) -> Array:
    """Return what a kernel returns of each segment's part of the arrays, put together.

    Args:
        kernel: takes as many arrays as are given.
        begins: whether a segment begins with a row; one does with the first.
        arrays: of one length.
    """
    edges = [*np.flatnonzero(begins).tolist(), len(begins)]
    if len(edges) <= 2:  # noqa: PLR2004  # one segment, or no rows at all
        return kernel(*arrays)
    result = np.empty(len(begins))
    for start, end in pairwise(edges):
        result[start:end] = kernel(*(values[start:end] for values in arrays))
    return result


def _in_blocks(kernel: Kernel, reach: int, *arrays: Array) -> Array:
    """Return what a kernel, each row of which looks back `reach` rows, makes of arrays."""
    rows = len(arrays[0])
    block = max(BLOCK, 2 * reach)
    if rows <= block:
        return kernel(*arrays)
    result = np.empty(rows)
    for start in range(0, rows, block):
        before = min(start, reach)
        parts = (values[start - before : start + block] for values in arrays)
        result[start : start + block] = kernel(*parts)[before:]
    return result


def _sum(values: Array, rows: int) -> Array:
    total, power, length, taken, left = None, values, 1, 0, rows
    while True:
        if left % 2:
            total = power if total is None else _joined(np.add, total, power, taken)
            taken += length
        left //= 2
        if not left:
            return total if total is not None else power
        power, length = _joined(np.add, power, power, length), 2 * length


def _weighted_sum(values: Array, rows: int) -> Array:
    # `power` holds windows of `length` rows with weights 1 to `length`, `plain` their plain sums.
    total: Array | None = None
    power, plain, length, taken, left = values, values, 1, 0, rows
    while True:
        if left % 2:
            if total is None:
                total = power
            else:
                # The newer rows weigh more by as many as come in behind them.
                total = _joined(np.add, total + length * _sum(values, taken), power, taken)
            taken += length
        left //= 2
        if not left:
            return total if total is not None else power
        power = _joined(np.add, power + length * plain, power, length)
        plain, length = _joined(np.add, plain, plain, length), 2 * length


def _extreme(larger: np.ufunc, values: Array, rows: int) -> Array:
    length = 1
    while 2 * length <= rows:
        values, length = _joined(larger, values, values, length), 2 * length
    return _joined(larger, values, values, rows - length)


def _age(values: Array, rows: int) -> Array:
    ages, length = np.zeros(len(values), np.int16), 1
    while length < rows:
        step = min(length, rows - length)
        # Choosing by arithmetic takes a third of the time of `where`: no branch can be foreseen.
        is_newer = values[step:] > values[:-step]
        aged = ages[:-step] + np.int16(step)
        aged += is_newer * (ages[step:] - aged)
        ages[step:] = aged
        values = _joined(np.maximum, values, values, step)
        length += step
    result = ages.astype(np.float64)
    result[: rows - 1] = np.nan
    return result


def _distances(values: Array, centers: Array, rows: int, power: int) -> Array:
    result = np.full(len(values), np.nan)
    if len(values) < rows:
        return result
    end, total, center = len(values), result[rows - 1 :], centers[rows - 1 :]
    total[:] = 0.0
    distance = np.empty(len(total))
    for age in range(rows):
        np.subtract(values[rows - 1 - age : end - age], center, out=distance)
        if power == 1:
            np.abs(distance, out=distance)
        else:
            np.multiply(distance, distance, out=distance)
        total += distance
    return result


def _fading(parts: Array, kept: float, length: int) -> Array:
    total, reach, older = parts.copy(), 1, np.empty(len(parts))
    while reach < min(length, len(parts)):
        np.multiply(total[:-reach], kept, out=older[reach:])
        total[reach:] += older[reach:]
        kept, reach = kept * kept, 2 * reach
    return total


def _fading_by_row(parts: Array, kept: Array, length: int) -> Array:
    total, kept, reach, older = parts.copy(), kept.copy(), 1, np.empty(len(parts))
    while reach < min(length, len(parts)):
        np.multiply(kept[reach:], total[:-reach], out=older[reach:])
        total[reach:] += older[reach:]
        np.multiply(kept[reach:], kept[:-reach], out=older[reach:])
        older[:reach] = kept[:reach]
        kept, older, reach = older, kept, 2 * reach
    return total


def _joined(combine: np.ufunc, newer: Array, older: Array, rows: int) -> Array:
    """Return `combine` of each value and the other `rows` before it; NaN where there is none."""
    result = np.empty(len(newer))
    result[:rows] = np.nan
    combine(newer[rows:], older[: max(len(older) - rows, 0)], out=result[rows:])
    return result


def _known_runs(values: Array) -> list[tuple[int, int]]:
    known = ~np.isnan(values)
    begin = int(known.argmax()) if known.size else 0
    if known[begin:].all():
        return [(begin, len(values))]
    turns = np.flatnonzero(np.diff(known, prepend=False, append=False))
    return [(begin, end) for begin, end in turns.reshape(-1, 2).tolist()]
