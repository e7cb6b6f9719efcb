"""Returns of the close and their volatility, never across a break between segments."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl

from data_platform.features.blocks import numbered
from data_platform.indicators import arrays
from data_platform.indicators.indicator import Column
from data_platform.indicators.windows import ROW, by_array, lagged

FRACTION = "fraction, 0.01 is one percent"
LOGARITHM = "natural logarithm of a price ratio"

CLOSE = pl.col("close")


def return_columns(windows: Sequence[int]) -> tuple[Column, ...]:
    """Return the returns that `add_moves` adds: first the plain ones, then the logarithms."""
    simple = (
        Column(f"return_{rows}", FRACTION, f"Close against the close {rows} candles before.")
        for rows in windows
    )
    logarithmic = (
        Column(f"log_return_{rows}", LOGARITHM, f"Log return over {rows} candles.")
        for rows in windows
    )
    return (*simple, *logarithmic)


def volatility_columns(windows: Sequence[int]) -> tuple[Column, ...]:
    """Return the volatilities that `add_moves` adds."""
    text = "Sample standard deviation of the last {} one-candle log returns, not annualised."
    return tuple(Column(f"volatility_{rows}", LOGARITHM, text.format(rows)) for rows in windows)


def add_moves(
    frame: pl.DataFrame, returns: Sequence[int], volatility: Sequence[int]
) -> pl.DataFrame:
    """Return the frame with `return_N`, `log_return_N` and `volatility_N` for each window N.

    Row t uses the closes of rows t and t - N of its segment; volatility those of rows t - N to t,
    the divisor of its N one-candle log returns is N - 1.

    Args:
        frame: sorted; close, segment, `BLOCK` if it has several; at least the largest window of
            rows before those wanted.
        returns: candles between the two closes, at least 1 each.
        volatility: how many returns are looked at, at least 2 each.

    Returns:
        Same rows; the Float64 columns of `return_columns` and `volatility_columns` behind those
        of the frame; the first N of each segment null.
    """
    if not (returns or volatility):
        return frame
    work = numbered(frame)
    # One pass a step, not one lazy plan: that takes longer, and its last bits depend on how many
    # rows there are (polars 2.1, 2026-11-28).
    lags = dict.fromkeys((*returns, 1))
    ratios = work.select(ROW, *((CLOSE / lagged(CLOSE, rows)).alias(str(rows)) for rows in lags))
    moves = ratios.select(
        ROW,
        *((pl.col(str(rows)) - 1).alias(f"return_{rows}") for rows in returns),
        *(pl.col(str(rows)).log().alias(f"log_return_{rows}") for rows in lags),
    )
    names = [column.name for column in (*return_columns(returns), *volatility_columns(volatility))]
    made = moves.with_columns(
        _deviation(pl.col("log_return_1"), rows).alias(f"volatility_{rows}") for rows in volatility
    )
    return frame.hstack(made.select(names))


def _deviation(move: pl.Expr, rows: int) -> pl.Expr:
    found = by_array(partial(_sample_deviation, rows=rows), move)
    return pl.when(pl.col(ROW) >= rows).then(found)


def _sample_deviation(values: arrays.Array, rows: int) -> arrays.Array:
    centers = arrays.summed(values, rows) * (1 / rows)
    return np.sqrt(arrays.squared_distances(values, centers, rows) * (1 / (rows - 1)))
