"""Frames that hold many series or months at once, and rows of other frames beside their own.

A block is some rows of one series, those before the wanted ones among them. Blocks stand one below
the other, told apart by the column `BLOCK`: what a pass over a frame costs whatever its rows is
then paid once. No window and no join reaches from one into another, so each has the bits that it
has alone. A frame without that column is one block.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_platform.domain.errors import StorageError, WrongUseError
from data_platform.indicators.windows import ROW, SEGMENT

BLOCK = "block"
"""The number of a row's block, a whole number below 2**19, ascending; the same in every frame."""

_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_SPAN = 2**44
"""More milliseconds than any candle is from 1970: 557 years."""

Numbers = NDArray[np.int64]


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with `ROW`: each row's number within its segment, from 0."""
    rows = np.arange(frame.height)
    begins = _changes(frame[SEGMENT])
    if BLOCK in frame.columns:
        begins |= _changes(frame[BLOCK])
    starts = np.where(begins, rows, 0)
    np.maximum.accumulate(starts, out=starts)
    return frame.with_columns(pl.Series(ROW, rows - starts))


def per_block(frame: pl.DataFrame, expression: pl.Expr) -> pl.Expr:
    """Return an expression that looks at other rows, such that it sees those of its block alone."""
    return expression.over(BLOCK) if BLOCK in frame.columns else expression


def milliseconds(times: pl.Series) -> Numbers:
    """Return times of dtype `TIME` as milliseconds since 1970."""
    # Polars' own casts cost 30 us each, whatever the rows.
    return times.to_numpy().view(np.int64)


def to_ms(time: datetime) -> int:
    """Return a time as milliseconds since 1970."""
    return (time - _EPOCH) // _MS


def to_time(ms: int) -> datetime:
    """Return the time so many milliseconds after 1970."""
    return _EPOCH + int(ms) * _MS


def rows_at(
    frame: pl.DataFrame, times: Numbers, other: pl.DataFrame, names: Mapping[str, str]
) -> pl.DataFrame:
    """Return, for each row of a frame, columns of another one's row of its block and a time.

    Args:
        frame: whose rows they stand beside; `BLOCK` if it has several.
        times: of each row, the opening time that is looked for.
        other: sorted by block and open_time; `BLOCK` if `frame` has it, is_filled, the columns.
            A row that was only filled counts as missing: whether a missing candle is carried
            shows once a later one has come, and live it is unknown.
        names: column -> its name in the result.

    Returns:
        As many rows as `frame`; null where there is no such row, or its value is null.

    Raises:
        StorageError: `other` has a time twice, or is not sorted.
        WrongUseError: only one of both has blocks.
    """
    if other.is_empty():
        columns = {name: other.schema[column] for column, name in names.items()}
        return pl.DataFrame(schema=columns).clear(frame.height)
    held, wanted = _keys(other, milliseconds(other["open_time"])), _keys(frame, times)
    _check_sorted(held)
    if (BLOCK in frame.columns) != (BLOCK in other.columns):
        raise WrongUseError(f"of two frames that are joined only one has the column `{BLOCK}`.")
    places = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    came = (held[places] == wanted) & ~other["is_filled"].to_numpy()[places]
    found = pl.Series(places.astype(np.uint32)).set(pl.Series(~came), None)
    return other.select(pl.col(column).alias(name) for column, name in names.items())[found]


def _keys(frame: pl.DataFrame, times: Numbers) -> Numbers:
    """Return block and time as one number."""
    if BLOCK not in frame.columns:
        return times
    return frame[BLOCK].to_numpy().astype(np.int64) * _SPAN + times


def _changes(column: pl.Series) -> NDArray[np.bool_]:
    """Return where a column has another value than in the row before it, as in the first."""
    values = column.to_numpy()
    changes = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def _check_sorted(keys: Numbers) -> None:
    wrong = np.flatnonzero(keys[1:] <= keys[:-1])
    if wrong.size:
        time = to_time(keys[1 + wrong[0]] % _SPAN)
        raise StorageError(
            f"rows to be joined must ascend by open_time, each once; found {time:%Y-%m-%d %H:%M} "
            "after itself or a later one. Materialize the layer `indicators` of that month again."
        )
