"""Returns of the close and their volatility, never across a break between segments."""

from collections.abc import Sequence

import polars as pl

from data_platform.indicators.indicator import Column
from data_platform.indicators.windows import ROW, SEGMENT, deviations, lagged, window_mean

FRACTION = "fraction, 0.01 is one percent"
LOGARITHM = "natural logarithm of a price ratio"

CLOSE = pl.col("close")


def return_columns(windows: Sequence[int]) -> tuple[Column, ...]:
    """Return the columns that `add_returns` adds: returns first, log returns after them."""
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
    """Return the columns that `add_volatility` adds."""
    text = "Sample standard deviation of the last {} one-candle log returns, not annualised."
    return tuple(Column(f"volatility_{rows}", LOGARITHM, text.format(rows)) for rows in windows)


def add_returns(frame: pl.DataFrame, windows: Sequence[int]) -> pl.DataFrame:
    """Return the frame with `return_N` and `log_return_N` for each window N.

    Row t uses the closes of rows t and t - N of its segment.

    Args:
        frame: sorted; close, segment; at least the largest window of rows before those wanted.
        windows: candles between the two closes, at least 1 each.

    Returns:
        Same rows, two Float64 columns more per window; the first N of each segment null.
    """
    numbered = _numbered(frame)
    ratios = {rows: CLOSE / lagged(CLOSE, rows) for rows in windows}
    return numbered.with_columns(
        *((ratio - 1).alias(f"return_{rows}") for rows, ratio in ratios.items()),
        *(ratio.log().alias(f"log_return_{rows}") for rows, ratio in ratios.items()),
    ).drop(ROW)


def add_volatility(frame: pl.DataFrame, windows: Sequence[int]) -> pl.DataFrame:
    """Return the frame with `volatility_N` for each window N.

    Row t uses the closes of rows t - N to t of its segment. The divisor is N - 1.

    Args:
        frame: sorted; close, segment; at least the largest window of rows before those wanted.
        windows: how many returns are looked at, at least 2 each.

    Returns:
        Same rows, one Float64 column more per window; the first N of each segment null.
    """
    work = _numbered(frame).with_columns(move=(CLOSE / lagged(CLOSE)).log())
    move, center = pl.col("move"), pl.col("center")
    results = []
    for rows in windows:
        squares = [part**2 for part in deviations(move, center, rows)]
        deviation = (sum(squares[1:], squares[0]) / (rows - 1)).sqrt()
        centered = work.with_columns(center=window_mean(move, rows, first=1))
        results.append(centered.select(deviation.alias(f"volatility_{rows}")))
    return pl.concat([frame, *results], how="horizontal")


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(pl.len()).over(SEGMENT).alias(ROW))
