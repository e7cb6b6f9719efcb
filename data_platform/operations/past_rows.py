"""The rows before a range that its formulas need, read from the lake and noted as inputs.

Dagster sees a month depend on the same month only; what its first rows need lies in earlier ones.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from data_platform.domain.candles import TimeRange, places_between
from data_platform.domain.markets import Series
from data_platform.indicators.indicator import ALL, WarmUp
from data_platform.operations.journal_book import Read
from data_platform.operations.lake import Lake
from data_platform.storage.many_series import Stretch


def most(one: WarmUp, other: WarmUp) -> WarmUp:
    """Return the larger of two needs."""
    numbers = [it for it in (one, other) if it != ALL]
    return max(numbers) if len(numbers) == len((one, other)) else ALL


def with_history(
    lake: Lake,
    layer: str,
    wanted: Sequence[tuple[Series, TimeRange]],
    rows: WarmUp,
    columns: Sequence[str] | None = None,
) -> list[pl.DataFrame]:
    """Return the rows of some ranges, each with those before it, sorted.

    Args:
        lake: where they lie.
        layer: in which table.
        wanted: of which series, which range.
        rows: how many before a range's first; fewer are returned when fewer are stored. `ALL`:
            those of its segment.
        columns: only these; None: all.
    """
    before = 0 if rows == ALL else rows
    stretches = [Stretch(series, it.start, it.end, before) for series, it in wanted]
    found = lake.store.read_many(layer, stretches, columns)
    if rows != ALL:
        return found
    return [
        _with_segment(lake, (layer, series), own, it.start, columns)
        for own, (series, it) in zip(found, wanted, strict=True)
    ]


def _with_segment(
    lake: Lake, read: Read, own: pl.DataFrame, start: datetime, columns: Sequence[str] | None
) -> pl.DataFrame:
    if own.is_empty() or own["segment"][0] >= start:
        return own
    before = lake.store.read_range(*read, own["segment"][0], start, columns=columns)
    # Earlier months may still hold the columns of another configuration.
    return pl.concat([before, own], how="diagonal")


def since(read: Read, frame: pl.DataFrame, start: datetime, rows: WarmUp) -> dict[Read, datetime]:
    """Return from when on a read matters: nothing before as many rows as were wanted does.

    Where all rows are wanted, these are the ones of the segment: what was before its start does
    not matter, and where that start moves, so does the range's own content.
    """
    if rows == ALL:
        return {read: min(frame["open_time"][0], start)} if frame.height else {}
    before = places_between(frame["open_time"], start, start)[0]
    if before < rows:
        return {}
    return {read: frame["open_time"][0] if frame.height else start}


def from_start(frame: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """Return the rows of a sorted frame from a time on, without copying them."""
    return frame.slice(places_between(frame["open_time"], start, start)[0])
