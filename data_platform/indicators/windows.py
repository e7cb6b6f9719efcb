"""Windows and recursions over the rows of one segment, as Polars expressions.

No value reaches over the edge of a segment, and none depends on how much history stands before
its window. Polars' own rolling sums do: they add the new value and take off the old one, so that
46,827 of 200,000 rolling means of a random walk changed in their last bits when the history was
cut elsewhere (polars 2.1, 2026-11-25). Here each window is summed anew (`arrays.py`), and so is a
recursion over the rows that it has not forgotten: both always add the same numbers in the same
order.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl

from data_platform.indicators import arrays

ROW = "row_in_segment"
"""The row's number within its segment, from 0, as far as the frame holds that segment."""

SEGMENT = "segment"

BEGINS_SEGMENT = pl.col(ROW) == 0

NEGLIGIBLE = 1e-9
"""Below this share of the price an average move is no move: exchanges have no tick as fine. It
is what remains of older moves in a market that stands still, and ratios of it mean nothing."""

THIRD = 1 / 3
"""To be multiplied by: Polars divides by a number as it multiplies by the reciprocal, except in a
column of one row, whose last bit differed for 341 of 1,000 values (polars 2.1, 2026-11-28)."""

FORGOTTEN = 1e-16
"""The share of a start value that float64 no longer holds."""


def lagged(value: pl.Expr, rows: int = 1) -> pl.Expr:
    """Return the value `rows` rows before in the same segment, null where there is none."""
    return pl.when(pl.col(ROW) >= rows).then(value.shift(rows))


def window_sum(value: pl.Expr, rows: int, first: int = 0) -> pl.Expr:
    """Return the sum over the row and the `rows` - 1 before it.

    Args:
        value: what is summed.
        rows: the window's length, at least 1.
        first: the row of the segment from which on `value` is known.

    Returns:
        Null in the first `first` + `rows` - 1 rows of a segment, and where the window holds one.
    """
    total = by_array(lambda values: arrays.summed(values, rows), value)
    return pl.when(pl.col(ROW) >= first + rows - 1).then(total)


def window_mean(value: pl.Expr, rows: int, first: int = 0) -> pl.Expr:
    """Return the mean over the row and the `rows` - 1 before it; nulls as `window_sum`."""
    return window_sum(value, rows, first) / rows


def mean_distance(value: pl.Expr, center: pl.Expr, rows: int) -> pl.Expr:
    """Return the mean distance of the window's values from `center` of its last row."""
    return _distances(value, center, rows, 1)


def deviation(value: pl.Expr, center: pl.Expr, rows: int) -> pl.Expr:
    """Return the root of the mean squared distance of the window's values from `center`."""
    return _distances(value, center, rows, 2).sqrt()


def highest(value: pl.Expr, rows: int, first: int = 0) -> pl.Expr:
    """Return the maximum over the row and the `rows` - 1 before it; nulls as `window_sum`."""
    top = by_array(lambda values: arrays.highest(values, rows), value)
    return pl.when(pl.col(ROW) >= first + rows - 1).then(top)


def lowest(value: pl.Expr, rows: int, first: int = 0) -> pl.Expr:
    """Return the minimum over the row and the `rows` - 1 before it; nulls as `window_sum`."""
    bottom = by_array(lambda values: arrays.lowest(values, rows), value)
    return pl.when(pl.col(ROW) >= first + rows - 1).then(bottom)


def age_of_highest(value: pl.Expr, rows: int) -> pl.Expr:
    """Return how many rows ago the window's maximum was, the oldest of equal ones."""
    age = by_array(lambda values: arrays.age_of_highest(values, rows), value)
    return pl.when(pl.col(ROW) >= rows - 1).then(age)


def smoothed(value: pl.Expr, rows: int, alpha: float) -> pl.Expr:
    """Return the recursion y = alpha * value + (1 - alpha) * y before.

    It starts with the mean of the first `rows` values that are known in the segment, as Wilder
    and TA-Lib do, looks back `memory(alpha)` rows, and begins anew after a null.

    Args:
        value: what is smoothed.
        rows: how many values make the start.
        alpha: the weight of the newest value, 0 to 1; 1 / rows is Wilder's.

    Returns:
        Null before each start.
    """
    length = memory(alpha)
    return by_segment(lambda values: arrays.smoothed(values, rows, alpha, length), value)


def by_array(kernel: arrays.Kernel, *values: pl.Expr) -> pl.Expr:
    """Return what a function of arrays makes of whole columns; what it does not know is null.

    It sees over the edges of segments: what reached over one must be made null by `ROW`.
    """

    def run(columns: Sequence[pl.Series]) -> pl.Series:
        return _known(kernel, [_to_array(column) for column in columns])

    return pl.map_batches(values, run, return_dtype=pl.Float64)


def by_segment(
    kernel: arrays.Kernel, *values: pl.Expr, begins: pl.Expr = BEGINS_SEGMENT
) -> pl.Expr:
    """Return what a function of arrays makes of each segment; what it does not know is null.

    Args:
        kernel: takes an array of each value.
        values: what it is made of.
        begins: whether a segment, or a part of one, begins with the row.
    """

    def run(columns: Sequence[pl.Series]) -> pl.Series:
        edges, *parts = columns
        divided = partial(arrays.per_segment, kernel, edges.to_numpy())
        return _known(divided, [_to_array(part) for part in parts])

    return pl.map_batches([begins, *values], run, return_dtype=pl.Float64)


def memory(alpha: float) -> int:
    """Return over how many rows `smoothed` looks back, its own included: a power of two."""
    return 1 << (max(rows_to_forget(alpha), 1) - 1).bit_length()


def settled(rows: int, alpha: float, first: int = 0, exact: int = 0) -> int:
    """Return how many rows before a wanted one make its `smoothed` value what it always is.

    Args:
        rows: how many values make the start.
        alpha: the weight of the newest value.
        first: the row from which on the value that is smoothed is known.
        exact: how many rows before it that value itself needs, where they are more than `first`.
    """
    return max(exact, first + rows) + memory(alpha) - 1


def rows_to_forget(alpha: float, share: float = FORGOTTEN) -> int:
    """Return after how many rows of `smoothed` less than `share` of its start is left."""
    return 0 if alpha >= 1 else math.ceil(math.log(share) / math.log1p(-alpha))


def ratio(part: pl.Expr, whole: pl.Expr, smallest: pl.Expr | float = 0.0) -> pl.Expr:
    """Return `part` / `whole` where `whole` is above `smallest`, else null."""
    return pl.when(whole > smallest).then(part / whole)


def _distances(value: pl.Expr, center: pl.Expr, rows: int, power: int) -> pl.Expr:
    mean = by_array(
        lambda values, centers: arrays.mean_of_distances(values, centers, rows, power),
        value,
        center,
    )
    return pl.when(pl.col(ROW) >= rows - 1).then(mean)


def _known(kernel: arrays.Kernel, parts: Sequence[arrays.Array]) -> pl.Series:
    # Prices near the edge of float64 overflow; what is no number is not known.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return pl.Series(kernel(*parts), nan_to_null=True)


def _to_array(column: pl.Series) -> arrays.Array:
    # An eighth of the time that `to_numpy` takes over nulls.
    known = column.fill_null(math.nan) if column.null_count() else column
    return known.to_numpy()
