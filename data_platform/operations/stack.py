"""Rows of many partitions as one frame, so that their columns are computed in one pass.

Each part is one partition's rows with those before it; a column costs most of what it costs
whether it has ten rows or ten thousand. Parts are told apart by `BLOCK`, and no two share a value
of `segment`: what looks back no further than its segment never looks into another part, and has
the same bits as if its part had stood alone.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_platform.features.blocks import BLOCK
from data_platform.indicators.windows import SEGMENT


@dataclass(frozen=True, slots=True)
class Stack:
    """Some parts one below the other."""

    frame: pl.DataFrame
    """Their columns and, of several parts, `BLOCK`; the segments are numbers."""
    segments: pl.Series
    """As the parts have them."""
    heights: Sequence[int]
    """How many rows each part has."""

    def split(self, made: pl.DataFrame) -> list[pl.DataFrame]:
        """Return each part's rows of a frame that was made of the stack, without copying them."""
        if len(self.heights) == 1:
            return [made]
        whole = made.with_columns(self.segments).drop(BLOCK, strict=False)
        places = np.cumsum([0, *self.heights[:-1]]).tolist()
        return [whole.slice(*part) for part in zip(places, self.heights, strict=True)]


def stack(parts: Sequence[pl.DataFrame]) -> Stack:
    """Put parts of the same columns one below the other.

    Args:
        parts: at least one, each sorted by open_time, its segments together.
    """
    heights = [frame.height for frame in parts]
    if len(parts) == 1:
        return Stack(parts[0], parts[0][SEGMENT], heights)
    whole = pl.concat(parts, rechunk=True)
    block = np.repeat(np.arange(len(parts), dtype=np.uint32), heights)
    times = whole[SEGMENT].to_physical().to_numpy()
    begins = np.ones(whole.height, dtype=np.int64)
    begins[1:] = (times[1:] != times[:-1]) | (block[1:] != block[:-1])
    numbers = (pl.Series(SEGMENT, begins.cumsum()), pl.Series(BLOCK, block))
    return Stack(whole.with_columns(numbers), whole[SEGMENT], heights)


def in_one_pass(
    compute: Callable[[pl.DataFrame], pl.DataFrame], parts: Sequence[pl.DataFrame]
) -> list[pl.DataFrame]:
    """Return what a function makes of each part, called once for all that have the same columns.

    Args:
        compute: returns the same rows with more columns, each row's from its own segment alone.
        parts: as `stack` takes them.
    """
    made: dict[int, pl.DataFrame] = {}
    for places in alike([tuple(part.schema.items()) for part in parts]):
        together = stack([parts[place] for place in places])
        made |= zip(places, together.split(compute(together.frame)), strict=True)
    return [made[place] for place in range(len(parts))]


def alike(kinds: Sequence[Hashable]) -> Iterator[list[int]]:
    """Return the places of those that are of one kind, kind by kind."""
    groups: dict[Hashable, list[int]] = {}
    for place, kind in enumerate(kinds):
        groups.setdefault(kind, []).append(place)
    yield from groups.values()
