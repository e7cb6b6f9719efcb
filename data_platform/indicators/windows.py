"""Windows and recursions over the rows of one segment, as Polars expressions.

No value reaches over the edge of a segment, and none depends on how much history stands before
its window. Polars' own rolling sums do: they add the new value and take off the old one, so that
46,827 of 200,000 rolling means of a random walk changed in their last bits when the history was
cut elsewhere (polars 2.1, 2026-11-25). Here a window is summed anew by doubling, which costs
log2(rows) additions a row and always adds the same numbers in the same order.
"""

import math

import polars as pl

ROW = "row_in_segment"
"""The row's number within its segment, from 0, as far as the frame holds that segment."""

SEGMENT = "segment"

NEGLIGIBLE = 1e-9
"""Below this share of the price an average move is no move: exchanges have no tick as fine. It
is what remains of older moves in a market that stands still, and ratios of it mean nothing."""

FORGOTTEN = 1e-16
"""The share of a start value that float64 no longer holds."""


def lagged(value: pl.Expr, rows: int = 1) -> pl.Expr:
    """Return the value `rows` rows before in the same segment, null where there is none."""
    return pl.when(pl.col(ROW) >= rows).then(value.shift(rows))


def window_sum(value: pl.Expr, rows: int, first: int = 0) -> pl.Expr:
    """Return the sum over the row and the `rows` - 1 before it.

    Args:
        value: an expression without `over`.
        rows: the window's length, at least 1.
        first: the row of the segment from which on `value` is known.

    Returns:
        Null in the first `first` + `rows` - 1 rows of a segment, and where the window holds one.
    """
    total: pl.Expr | None = None
    power, length, summed = value, 1, 0
    remaining = rows
    while remaining:
        if remaining % 2:
            part = power.shift(summed)
            total = part if total is None else total + part
            summed += length
        remaining //= 2
        if remaining:
            power, length = power + power.shift(length), 2 * length
    return pl.when(pl.col(ROW) >= first + rows - 1).then(total)


def window_mean(value: pl.Expr, rows: int, first: int = 0) -> pl.Expr:
    """Return the mean over the row and the `rows` - 1 before it; nulls as `window_sum`."""
    return window_sum(value, rows, first) / rows


def deviations(value: pl.Expr, center: pl.Expr, rows: int) -> list[pl.Expr]:
    """Return the differences of the window's values from `center` of its last row."""
    return [value.shift(age) - center for age in range(rows)]


def highest(value: pl.Expr, rows: int) -> pl.Expr:
    """Return the maximum over the row and the `rows` - 1 before it; nulls as `window_sum`."""
    return pl.when(pl.col(ROW) >= rows - 1).then(value.rolling_max(rows))


def lowest(value: pl.Expr, rows: int) -> pl.Expr:
    """Return the minimum over the row and the `rows` - 1 before it; nulls as `window_sum`."""
    return pl.when(pl.col(ROW) >= rows - 1).then(value.rolling_min(rows))


def smoothed(value: pl.Expr, rows: int, alpha: float, first: int = 0) -> pl.Expr:
    """Return the recursion y = alpha * value + (1 - alpha) * y before.

    It starts with the mean of the first `rows` values, as Wilder and TA-Lib do.

    Args:
        value: an expression without `over`.
        rows: how many values make the start.
        alpha: the weight of the newest value, 0 to 1; 1 / rows is Wilder's.
        first: the row of the segment from which on `value` is known.

    Returns:
        Null in the first `first` + `rows` - 1 rows of a segment.
    """
    start = first + rows - 1
    seeded = (
        pl.when(pl.col(ROW) == start)
        .then(window_mean(value, rows, first))
        .when(pl.col(ROW) > start)
        .then(value)
    )
    return seeded.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True).over(SEGMENT)


def rows_to_forget(alpha: float, share: float = FORGOTTEN) -> int:
    """Return after how many rows of `smoothed` less than `share` of its start is left."""
    return 0 if alpha >= 1 else math.ceil(math.log(share) / math.log1p(-alpha))


def ratio(part: pl.Expr, whole: pl.Expr, smallest: pl.Expr | float = 0.0) -> pl.Expr:
    """Return `part` / `whole` where `whole` is above `smallest`, else null."""
    return pl.when(whole > smallest).then(part / whole)
