"""The regular grids of many ranges, one behind the other, as arrays.

Holds where times lie on them, not what becomes of times without a candle: that is `fill.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_platform.domain.candles import TimeRange
from data_platform.features.blocks import Numbers, to_ms

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Grids:
    """Some grids; every time is in milliseconds since 1970."""

    steps: Numbers
    """From one time to the next, of each grid."""
    firsts: Numbers
    """The first time of each grid."""
    edges: Numbers
    """The first row of each grid among all, and the number of all rows behind them."""
    times: Numbers
    """Of all rows."""

    @classmethod
    def of(cls, firsts: Numbers, ends: Numbers, steps: Numbers) -> "Grids":
        """Return the grids from first times up to ends, exclusive."""
        lengths = np.maximum(-((firsts - ends) // steps), 0)
        edges = offsets(lengths)
        times = np.arange(edges[-1]) * np.repeat(steps, lengths)
        times += np.repeat(firsts - edges[:-1] * steps, lengths)
        return cls(steps, firsts, edges, times)

    @property
    def lengths(self) -> Numbers:
        """Return how many rows each grid has."""
        return np.diff(self.edges)

    def rows(self, times: Numbers, grids: Numbers) -> tuple[Numbers, Mask]:
        """Return the row of each of some times, and where there is none of its own.

        Args:
            times: in the order of their grids.
            grids: the number of each one's grid.
        """
        count, rest = np.divmod(times - self.firsts[grids], self.steps[grids])
        wrong = (rest != 0) | (count < 0) | (count >= self.lengths[grids])
        wrong[1:] |= (np.diff(count) <= 0) & (grids[1:] == grids[:-1])
        return self.edges[grids] + count, wrong

    def within(self, ranges: Sequence[Sequence[TimeRange]]) -> Mask:
        """Return which rows lie in ranges of their own grid."""
        inside = np.zeros(len(self.times), dtype=bool)
        for number, first in enumerate(self.firsts.tolist()):
            start, end = int(self.edges[number]), int(self.edges[number + 1])
            step = int(self.steps[number])
            for part in ranges[number]:
                counts = (-((first - to_ms(time)) // step) for time in (part.start, part.end))
                begin, stop = (min(max(start + count, start), end) for count in counts)
                inside[begin:stop] = True
        return inside

    def newest(self, rows: Numbers) -> tuple[Numbers, Mask]:
        """Return which of some rows is the newest up to each one, and which are none of them.

        Args:
            rows: ascending, the first of each grid among them.
        """
        missing = np.ones(len(self.times), dtype=bool)
        missing[rows] = False
        places = np.zeros(len(missing), dtype=np.int64)
        places[rows] = np.arange(len(rows))
        return np.maximum.accumulate(places), missing

    def segments(self, broken: Mask, names: Sequence[int]) -> Numbers:
        """Return the segment of each row: its grid's name, or the time behind the last break.

        Args:
            broken: rows that no segment reaches over.
            names: of each grid's first segment.
        """
        begins = ~broken
        begins[1:] &= broken[:-1]
        begins[self.edges[:-1]] = True
        rows = np.flatnonzero(begins)
        named = self.times.copy()
        named[self.edges[:-1]] = names
        return named[rows][self.newest(rows)[0]]


def offsets(lengths: ArrayLike) -> Numbers:
    """Return where each of some parts begins that lie one behind the other, and where all end."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
