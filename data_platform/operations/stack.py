"""Rows of many partitions as one frame, so that their columns are computed in one pass.

Each part is one partition's rows with those before it; a column costs most of what it costs
whether it has ten rows or ten thousand. Segments are numbered so that no two parts share one: what
looks back no further than its segment never looks into another part, and has the same bits as if
its part had stood alone.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl

from data_platform.indicators.windows import SEGMENT


def in_one_pass(
    compute: Callable[[pl.DataFrame], pl.DataFrame], parts: Sequence[pl.DataFrame]
) -> list[pl.DataFrame]:
    """Return what a function makes of each part, called once for all that have the same columns.

    Args:
        compute: returns the same rows with more columns, each row's from its own segment alone.
        parts: each sorted by open_time, its segments together.
    """
    made: dict[int, pl.DataFrame] = {}
    for places in _alike(parts):
        alike = [parts[place] for place in places]
        made |= zip(places, unstacked(compute(stacked(alike)), alike), strict=True)
    return [made[place] for place in range(len(parts))]


def stacked(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all parts, their segments as numbers that no two parts share."""
    if len(parts) == 1:
        return parts[0]
    whole = pl.concat(parts, rechunk=True)
    segments = whole[SEGMENT].to_physical().to_numpy()
    begins = np.ones(whole.height, dtype=np.int64)
    np.not_equal(segments[1:], segments[:-1], out=begins[1:], casting="unsafe")
    begins[[place for place in _places(parts) if place < whole.height]] = 1
    return whole.with_columns(pl.Series(SEGMENT, begins.cumsum()))


def unstacked(whole: pl.DataFrame, parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Return each part's rows of a frame that was made of the stacked ones, without copying."""
    if len(parts) == 1:
        return [whole]
    return [
        whole.slice(place, part.height).with_columns(part[SEGMENT])
        for place, part in zip(_places(parts), parts, strict=True)
    ]


def _places(parts: Sequence[pl.DataFrame]) -> Iterator[int]:
    place = 0
    for part in parts:
        yield place
        place += part.height


def _alike(parts: Sequence[pl.DataFrame]) -> Iterator[list[int]]:
    """Return the places of the parts that have the same columns."""
    groups: dict[tuple[tuple[str, pl.DataType], ...], list[int]] = {}
    for place, part in enumerate(parts):
        groups.setdefault(tuple(part.schema.items()), []).append(place)
    yield from groups.values()
