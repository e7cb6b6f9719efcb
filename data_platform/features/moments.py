"""At which moments history is cut in the proof of causality: where leaks of usual kinds show."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain, zip_longest

import numpy as np
import polars as pl

from data_platform.domain.timeframes import Timeframe
from data_platform.features.causality import ROWS, Table, Tables

EARLY_ROWS = (0, 7, 33, 99)
"""Rows before which a moment lies: there windows are not full, so that back-filling shows."""

EDGES = ("1mo", "1d", "1w", "1y", "1h", "1mo")
"""Periods of the calendar, of each of which one edge is taken; of months, two."""


def telling_moments(tables: Tables, own: str, count: int, seed: int = 0) -> list[datetime]:
    """Return moments at which leaks of the usual kinds show, and random ones beside them.

    Soon after the beginning; at, in and after holes of the own table; before and within candles
    of coarser tables; where a month, a day or a week ends. Of each kind alike many.

    Args:
        tables: what is computed from.
        own: the table whose candles the result's rows are.
        count: how many at most.
        seed: of the choice; equal seeds choose alike.
    """
    table = tables[own]
    times = table.frame[ROWS]
    if times.len() <= 1:
        return []
    step, choice = table.timeframe.duration, np.random.default_rng(seed)
    kinds = (
        [times[row] + step for row in EARLY_ROWS if row < times.len() - 1],
        _around_holes(times, table.timeframe, choice),
        _around_coarser(tables, table, choice),
        _around_edges(times, table.timeframe, choice),
    )
    last = times[-1] + step
    telling = dict.fromkeys(chain.from_iterable(zip_longest(*kinds)))
    fitting = [it for it in telling if it is not None and times[0] + step <= it < last]
    rows = choice.permutation(times.len() - 1)[: max(0, count - len(fitting))]
    return sorted({*fitting[:count], *(times[int(row)] + step for row in rows)})


def _around_holes(
    times: pl.Series, timeframe: Timeframe, choice: np.random.Generator
) -> list[datetime]:
    steps = pl.DataFrame({"before": times[:-1], "after": times[1:]})
    holes = steps.filter(pl.col("after") - pl.col("before") > timeframe.duration).rows()
    picked = [holes[int(place)] for place in choice.permutation(len(holes))[:4]]
    step = timeframe.duration
    moments = []
    for before, after in picked:
        middle = timeframe.floor(before + (after - before) / 2)
        moments += [before + step, before + 2 * step, middle + step, after, after + step]
    return moments


def _around_coarser(tables: Tables, table: Table, choice: np.random.Generator) -> list[datetime]:
    times, step = table.frame[ROWS], table.timeframe.duration
    moments = []
    for other in tables.values():
        if other.timeframe.seconds > table.timeframe.seconds:
            inside = times[int(choice.integers(times.len() - 1))] + step
            edge = other.timeframe.floor(inside)
            moments += [inside, edge - step, edge, edge + step]
    return moments


def _around_edges(
    times: pl.Series, timeframe: Timeframe, choice: np.random.Generator
) -> Sequence[datetime]:
    """Return the close of the last candle of some periods, and of the first one after it."""
    found = []
    for period in EDGES:
        edges = times.dt.truncate(period).unique().sort()[1:]
        if edges.len():
            found.append(edges[int(choice.integers(edges.len()))])
    return [*found, *(edge + timeframe.duration for edge in found)]
