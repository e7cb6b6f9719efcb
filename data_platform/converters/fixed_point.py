"""Numbers as 128-bit integers of 10^-16, which NautilusTrader's files hold: exact, and fast.

Knows no candle and no file.
"""

from typing import Any

import numpy as np
import polars as pl

DECIMALS = 16
"""Decimals of every number; NautilusTrader's `FIXED_PRECISION`."""

_TRIED = (8, 4, 12)
"""Decimals that a column may have in whole, the likeliest first."""

_EXACT = 10**15
"""A decimal of up to 15 digits is the only one that is its nearest float."""

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFF_FFFF)


def decimals_needed(values: pl.Series, least: int, slack: float = 0.0) -> int:
    """Return with how many decimals every number can be written, at most `DECIMALS`.

    Args:
        values: Float64, no null.
        least: no fewer than these are returned.
        slack: relative change that writing may make; 0: none.
    """
    left = values.to_numpy()
    for places in range(least, DECIMALS):
        written = np.rint(left * 10.0**places) / 10.0**places
        left = left[np.abs(written - left) > np.abs(left) * slack]
        if not len(left):
            return places
    return DECIMALS


def to_fixed_point(values: pl.Series, decimals: int = DECIMALS) -> tuple[Any, bool]:
    """Return each number as 16 little-endian bytes, and whether all of them are exact.

    A number is what its shortest text says, not what its bits say: 42000.13 becomes 42000.13, as
    a product in floating point would not. A column whose every number is a decimal of at most 12
    places and 15 digits never becomes text: dividing two floats that are whole numbers rounds
    once, so `round(x * 10^8) / 10^8 == x` proves that decimal (a quarter of the time).

    Args:
        values: Float64, no null, from 0 to 3.4e13.
        decimals: those that are not zero; a finer number is rounded there.

    Returns:
        A pyarrow array of `binary(16)`, and False where some number may have been rounded.
    """
    import pyarrow as pa

    numbers = values.to_numpy()
    for places in (it for it in _TRIED if it <= decimals):
        units = np.rint(numbers * 10.0**places)
        if bool(((units / 10.0**places == numbers) & (units < _EXACT)).all()):
            words = _multiply(units.astype(np.uint64), DECIMALS - places)
            return pa.Array.from_buffers(
                pa.binary(16), len(words), [None, pa.py_buffer(words)]
            ), True
    rounded = values.cast(pl.String).cast(pl.Decimal(38, decimals))
    texts = rounded.cast(pl.Decimal(38, DECIMALS)).to_arrow()
    # Arrow keeps a decimal as the little-endian 128-bit integer that is wanted.
    array = pa.Array.from_buffers(
        pa.binary(16), len(texts), [None, texts.buffers()[1]], offset=texts.offset
    )
    return array, False


def to_floats(column: Any) -> pl.Series:  # noqa: ANN401  (pyarrow has no types)
    """Return a column of such bytes as the nearest floats.

    Args:
        column: a pyarrow array or chunked array of `binary(16)`.
    """
    # By way of text: dividing the integer in floating point rounds twice.
    import pyarrow as pa

    raw = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    numbers = pa.Array.from_buffers(
        pa.decimal128(38, DECIMALS), len(raw), [None, raw.buffers()[1]], offset=raw.offset
    )
    return pl.Series(pl.from_arrow(numbers.cast(pa.string()))).cast(pl.Float64)


def _multiply(units: np.ndarray[Any, np.dtype[np.uint64]], power: int) -> Any:  # noqa: ANN401
    # units * 10^power in 128 bits, by halves: a factor of at most 10^9 fits into 32 bits.
    low, high = units, np.zeros_like(units)
    while power:
        step = min(power, 9)
        factor, power = np.uint64(10**step), power - step
        first = (low & _LOW) * factor
        second = (low >> _HALF) * factor + (first >> _HALF)
        high = high * factor + (second >> _HALF)
        low = (second << _HALF) | (first & _LOW)
    return np.stack([low, high], axis=1).astype("<u8")
