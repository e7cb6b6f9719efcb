"""Returns of the close and their volatility, never across a break between segments."""

from collections.abc import Sequence

import polars as pl

from data_platform.indicators.indicator import Column
from data_platform.indicators.windows import ROW, SEGMENT, deviations, lagged, window_mean

FRACTION = "fraction, 0.01 is one percent"
LOGARITHM = "natural logarithm of a price ratio"

CLOSE = pl.col("close")

_MOVE = "one_candle_move"


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
    if not windows:
        return frame
    ratios = {rows: CLOSE / lagged(CLOSE, rows) for rows in windows}
    return (
        _numbered(frame)
        .with_columns(
            *((ratio - 1).alias(f"return_{rows}") for rows, ratio in ratios.items()),
            *(ratio.log().alias(f"log_return_{rows}") for rows, ratio in ratios.items()),
        )
        .drop(ROW)
    )


def add_volatility(frame: pl.DataFrame, windows: Sequence[int]) -> pl.DataFrame:
    """Return the frame with `volatility_N` for each window N.

    Row t uses the closes of rows t - N to t of its segment. The divisor is N - 1.

    Args:
        frame: sorted; close, segment; at least the largest window of rows before those wanted.
        windows: how many returns are looked at, at least 2 each.

    Returns:
        Same rows, one Float64 column more per window; the first N of each segment null.
    """
    if not windows:
        return frame
    # Eagerly: as one lazy plan it takes seven times as long, and its last bits depend on how many
    # rows there are (polars 2.1, 2026-11-28).
    move = pl.col(_MOVE)
    centers = {rows: f"{_MOVE}_{rows}" for rows in windows}
    work = _numbered(frame).with_columns((CLOSE / lagged(CLOSE)).log().alias(_MOVE))
    work = work.with_columns(
        window_mean(move, rows, first=1).alias(name) for rows, name in centers.items()
    )
    work = work.with_columns(
        _deviation(move, pl.col(name), rows).alias(f"volatility_{rows}")
        for rows, name in centers.items()
    )
    return work.drop(ROW, _MOVE, *centers.values())


def _deviation(move: pl.Expr, center: pl.Expr, rows: int) -> pl.Expr:
    squares = [part**2 for part in deviations(move, center, rows)]
    return (sum(squares[1:], squares[0]) / (rows - 1)).sqrt()


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(pl.len()).over(SEGMENT).alias(ROW))
