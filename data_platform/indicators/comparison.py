"""Hold stored columns against `ta`, or against the textbook where `ta` is not followed.

For proofs only, as `reference.py`. The columns are not computed again by what stored them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from data_platform.domain.candles import TIME
from data_platform.indicators.arrays import Array
from data_platform.indicators.columns import parse_name, to_recipe
from data_platform.indicators.departures import DEPARTURES, follows
from data_platform.indicators.indicator import ALL, PRICE, Column, WarmUp
from data_platform.indicators.reference import library_values
from data_platform.indicators.textbook import textbook_values
from data_platform.indicators.windows import SEGMENT

TOLERANCE = 1e-7
"""How far a value may lie from the reference, of the largest that is compared. What divides by the
range of a market that hardly moves loses half of float64's digits in both."""

ROUNDING = 1e-12
"""And of the price, or of 100."""

STANDSTILL_ROWS = 30
"""After as many candles without trade or move nothing is said of columns that depart there."""

_MAY_STAND_STILL = {
    column for row in DEPARTURES if row.where == "standstill" for column in row.columns
}

DIFFERENCE_SCHEMA = pl.Schema(
    {
        "open_time": TIME,
        "column": pl.String(),
        "stored": pl.Float64(),
        "expected": pl.Float64(),
    }
)


def find_differences(
    candles: pl.DataFrame, stored: pl.DataFrame, names: Sequence[str]
) -> pl.DataFrame:
    """Return the stored values that differ from the reference.

    Rows that lie within an indicator's warm-up after the start of a segment, or of the candles,
    are not looked at: there recursions depend on how they begin.

    Args:
        candles: `FILLED_SCHEMA`, sorted: those of the stored rows, and as many rows before them
            as `warm_up` tells, as far as there are.
        stored: open_time and columns of indicators; of a column it lacks nothing is said.
        names: the indicators, `sma_20`, `rsi_14`, ...

    Returns:
        `DIFFERENCE_SCHEMA`, by time and column.
    """
    found = [DIFFERENCE_SCHEMA.to_frame()]
    for segment in candles.partition_by(SEGMENT, maintain_order=True):
        for name in names:
            needed = _needed(segment, stored, to_recipe(name).warm_up)
            found += _differences(needed, stored, name) if needed.height else []
    return pl.concat(found).sort("open_time", "column")


def _needed(segment: pl.DataFrame, stored: pl.DataFrame, rows: WarmUp) -> pl.DataFrame:
    inside = segment["open_time"].is_in(stored["open_time"].implode()).arg_true()
    if not inside.len():
        return segment.clear()
    first = 0 if rows == ALL else max(int(inside[0]) - rows, 0)
    return segment.slice(first, int(inside[-1]) + 1 - first)


def _differences(candles: pl.DataFrame, stored: pl.DataFrame, name: str) -> Iterator[pl.DataFrame]:
    rows = to_recipe(name).warm_up
    if rows == ALL and candles["open_time"][0] != candles[SEGMENT][0]:
        return
    expected, stems, is_still = expected_values(candles, name), _stems(name), _stands_still(candles)
    for column in to_recipe(name).columns:
        if column.name not in expected or column.name not in stored.columns:
            continue
        may_depart = stems[column.name] in _MAY_STAND_STILL
        if may_depart and is_still:
            continue
        values = candles.select("open_time", expected=pl.Series(expected[column.name]))
        both = stored.select("open_time", stored=column.name).join(
            values.slice(0 if rows == ALL else rows), on="open_time"
        )
        if may_depart:
            both = both.drop_nulls().filter(pl.col("expected").is_not_nan())
        yield _beyond(both, column, candles).select(DIFFERENCE_SCHEMA.names())


def _stands_still(candles: pl.DataFrame) -> bool:
    """Tell whether for long nothing was traded or moved: a departure reaches over what follows."""
    is_still = (pl.col("volume") == 0) | (pl.col("close") == pl.col("close").shift(1))
    runs = candles.select(pl.when(is_still).then(1).otherwise(0).alias("still")).to_series()
    lengths = runs.rle().struct.unnest()
    longest = lengths.filter(pl.col("value") == 1)["len"].max()
    return isinstance(longest, int) and longest >= STANDSTILL_ROWS


def expected_values(candles: pl.DataFrame, name: str) -> dict[str, Array]:
    """Return what the reference makes of one segment, by column; NaN where it has no value.

    Args:
        candles: `FILLED_SCHEMA`, sorted, one segment.
        name: `sma_20`, `rsi_14`, ...
    """
    stem_of = _stems(name)
    library = {
        column: np.where(np.isfinite(values), values, np.nan)
        for column, values in library_values(candles, name).items()
        if follows(stem_of[column])
    }
    book = textbook_values(candles, name)
    return library | {column: np.array(values, dtype=float) for column, values in book.items()}


def _beyond(both: pl.DataFrame, column: Column, candles: pl.DataFrame) -> pl.DataFrame:
    expected, far = pl.col("expected").fill_nan(None), pl.col("stored") - pl.col("expected")
    largest = both.select(expected.abs().max()).item() or 0.0
    # What a difference of averages leaves of their last bits.
    whole = candles["high"].max() if column.unit == PRICE else 100.0
    allowed = TOLERANCE * largest + ROUNDING * pl.lit(whole, pl.Float64)
    return both.with_columns(expected, column=pl.lit(column.name)).filter(
        (far.abs() > allowed).fill_null(value=False)
        | (pl.col("stored").is_null() != expected.is_null())
    )


def _stems(name: str) -> dict[str, str]:
    indicator, _ = parse_name(name)
    suffix = name.removeprefix(indicator.name)
    return {column.name: column.name.removesuffix(suffix) for column in to_recipe(name).columns}
