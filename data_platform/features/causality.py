"""Proof that no column sees the future: each is computed again with another one and compared.

Four probes. `truncation`: history ends at a moment; nothing known by then may be another.
`perturbation`: every candle after that moment has other prices and volumes, and some are gone.
`repetition`: the same tables twice, the second time after another history; what keeps a state or
draws random numbers is not reproducible, and nothing else can be said of it. `dates`: the same
tables 28 years later, where the calendar is the same; what is another there is told by the dates
and not by the candles: looked up in a file, a cache or a list, which may tell the future, too.

A table's row is known when its candle closes, at open_time + timeframe; so tables of several
timeframes and markets are cut at the same moment. The engine knows no layer and no file: tests
hand it columns, the asset check stored partitions, people their own functions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TIME
from data_platform.domain.timeframes import Timeframe

Probe = Literal["truncation", "perturbation", "repetition", "dates"]

ROWS = "open_time"
"""Names, among the columns, which rows there are."""

SAME_CALENDAR = timedelta(days=28 * 365 + 7)
"""After so long weekdays, days and months fall together again, until 2100."""

GONE = 0.2
"""The share of later candles that another future lacks."""

_OTHER = "_other"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that a computation may use, and when each is known."""

    frame: pl.DataFrame
    """Sorted by open_time."""
    timeframe: Timeframe
    """A row is known at its open_time plus this."""

    def known_at(self, moment: datetime) -> pl.DataFrame:
        """Return the rows whose candles have closed by a moment."""
        return self.frame.filter(pl.col("open_time") <= moment - self.timeframe.duration)


Tables = Mapping[str, Table]

Compute = Callable[[Mapping[str, pl.DataFrame]], pl.DataFrame]
"""Return columns beside `open_time`; takes one frame a table, by the tables' names."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One column that one probe has found to depend on what it must not."""

    column: str
    """Or `open_time`, where it is the rows themselves that depend on the future."""
    time: datetime
    """Opening time of the first row that became another."""
    probe: Probe
    moment: datetime
    """When history ended, or the future changed: the row was known by then."""

    def __str__(self) -> str:
        at, now = f"{self.time:%Y-%m-%d %H:%M}", f"{self.moment:%Y-%m-%d %H:%M}"
        if self.probe == "repetition":
            return f"{self.column} is not reproducible: another value at {at} the second time"
        if self.probe == "dates":
            return f"{self.column} is told by the dates: another value at {at} in other years"
        ended = "history ended" if self.probe == "truncation" else "later candles changed"
        return f"{self.column} sees the future: another value at {at} when {ended} at {now}"


def find_leaks(  # noqa: PLR0913  # the question, and by name how to ask it
    compute: Compute,
    tables: Tables,
    own: str,
    moments: Sequence[datetime],
    *,
    whole: pl.DataFrame | None = None,
    tolerance: float = 0.0,
    seed: int = 0,
) -> list[Leak]:
    """Return the first leak of each column and probe, in the order of the columns.

    Args:
        compute: the columns in question; called twice for each moment.
        tables: everything that it may use, as far as it is known at the end.
        own: the table whose candles the result's rows are.
        moments: at which history ends and the future changes, see `moments.py`.
        whole: what the tables give, where it is known already (a stored partition: only its rows
            are compared); None: computed, twice, to see whether it can be reproduced.
        tolerance: relative difference of two numbers that is none.
        seed: of the other future.

    Raises:
        ValueError: the result has no `open_time`, or one twice.
    """
    leaks: list[Leak] = []
    first = whole
    if first is None:
        first = _checked(compute({name: table.frame for name, table in tables.items()}))
        leaks = _not_reproduced(compute, tables, moments, first, tolerance)
    unsteady = {leak.column for leak in leaks}
    for number, moment in enumerate(moments):
        known_rows = _known_rows(first, tables[own], moment)
        for probe, frames in _probes(tables, moment, seed + number):
            # What was made for times without a candle may come later, but not otherwise.
            known = pl.col(ROWS) <= moment - tables[own].timeframe.duration
            result = _checked(compute(frames)).filter(known)
            changes = _changes(first, result, tolerance, known_rows)
            leaks += [Leak(*it, probe, moment) for it in changes if it[0] not in unsteady]
    return _first_ones(leaks, first.columns)


def find_dated(compute: Compute, tables: Tables, tolerance: float = 0.0) -> list[Leak]:
    """Return each column that is another when the same candles lie in other years.

    Hours, weekdays and months are the same there, so columns of those are not told by the dates.

    Args:
        compute: the columns in question; called twice.
        tables: everything that it may use.
        tolerance: relative difference of two numbers that is none.
    """
    frames = {name: table.frame for name, table in tables.items()}
    moved = {
        name: frame.with_columns(pl.col(ROWS) + SAME_CALENDAR) for name, frame in frames.items()
    }
    elsewhen = _checked(compute(moved)).with_columns(pl.col(ROWS) - SAME_CALENDAR)
    changes = _changes(_checked(compute(frames)), elsewhen, tolerance)
    return [Leak(*it, "dates", it[1]) for it in changes]


def _not_reproduced(
    compute: Compute,
    tables: Tables,
    moments: Sequence[datetime],
    first: pl.DataFrame,
    tolerance: float,
) -> list[Leak]:
    if moments:
        # What remembers its calls gives itself away once it has seen another history.
        compute({name: table.known_at(moments[0]) for name, table in tables.items()})
    again = _checked(compute({name: table.frame for name, table in tables.items()}))
    return [Leak(*it, "repetition", it[1]) for it in _changes(first, again, tolerance)]


def _first_ones(leaks: Sequence[Leak], columns: Sequence[str]) -> list[Leak]:
    found: dict[tuple[str, Probe], Leak] = {}
    for leak in sorted(leaks, key=lambda it: (it.time, it.moment)):
        found.setdefault((leak.column, leak.probe), leak)
    order = {name: place for place, name in enumerate(columns)}
    return sorted(found.values(), key=lambda it: (order.get(it.column, -1), it.probe))


def _probes(
    tables: Tables, moment: datetime, seed: int
) -> Iterator[tuple[Probe, dict[str, pl.DataFrame]]]:
    yield "truncation", {name: table.known_at(moment) for name, table in tables.items()}
    choice = np.random.default_rng(seed)
    yield (
        "perturbation",
        {name: _perturbed(table, moment, choice) for name, table in tables.items()},
    )


def _perturbed(table: Table, moment: datetime, choice: np.random.Generator) -> pl.DataFrame:
    rows = table.frame.height
    later = pl.col(ROWS) > moment - table.timeframe.duration
    factors = pl.Series("factor", np.exp(choice.uniform(-0.7, 0.7, rows)))
    numbers = [name for name, dtype in table.frame.schema.items() if dtype.is_float()]
    # One factor a row: high stays above low.
    other = table.frame.with_columns(
        pl.when(later).then(pl.col(name) * factors).otherwise(pl.col(name)).alias(name)
        for name in numbers
    )
    if table.frame.columns != CANDLE_SCHEMA.names():
        return other
    # Only sparse candles may lack any: a regular grid without a row is none.
    stays = pl.Series(choice.uniform(size=rows) >= GONE)
    return other.filter(~later | stays)


def _checked(result: pl.DataFrame) -> pl.DataFrame:
    if ROWS not in result.columns:
        raise ValueError(f"expected a frame with `{ROWS}`, found {', '.join(result.columns)}.")
    result = result.with_columns(pl.col(ROWS).cast(TIME))
    if result[ROWS].null_count() or result[ROWS].is_duplicated().any():
        raise ValueError(f"expected one row for each `{ROWS}`, found some twice or without.")
    return result


def _known_rows(whole: pl.DataFrame, table: Table, moment: datetime) -> pl.Series:
    """Return the rows that must be there: those of candles that had closed."""
    candles = table.known_at(moment).select(ROWS)
    return whole.select(ROWS).join(candles, on=ROWS, how="semi")[ROWS]


def _changes(
    first: pl.DataFrame, second: pl.DataFrame, tolerance: float, needed: pl.Series | None = None
) -> Iterator[tuple[str, datetime]]:
    """Yield each column of which a value differs, and the first time at which one does."""
    wanted = first[ROWS] if needed is None else needed
    lost = wanted.filter(~wanted.is_in(second[ROWS].implode()))
    made = second[ROWS].filter(~second[ROWS].is_in(first[ROWS].implode()))
    strange = pl.concat([lost, made if needed is None else _inside(made, wanted)])
    if strange.len():
        yield ROWS, _first(strange)
    joined = first.join(second, on=ROWS, how="inner", suffix=_OTHER, maintain_order="left")
    for name in first.columns:
        if name == ROWS or joined.is_empty():
            continue
        if name not in second.columns:
            yield name, joined[ROWS][0]
            continue
        differing = joined.filter(~_same(joined, name, tolerance))
        if differing.height:
            yield name, _first(differing[ROWS])


def _inside(made: pl.Series, wanted: pl.Series) -> pl.Series:
    # Of a stored partition only its own rows are compared.
    if wanted.is_empty():
        return made.clear()
    return made.filter(made.is_between(wanted.min(), wanted.max()))


def _first(times: pl.Series) -> datetime:
    first = times.min()
    assert isinstance(first, datetime)  # noqa: S101  # a column of times that is not empty
    return first


def _same(joined: pl.DataFrame, name: str, tolerance: float) -> pl.Expr:
    one, other = pl.col(name), pl.col(name + _OTHER)
    kinds = joined.schema[name], joined.schema[name + _OTHER]
    if kinds[0] != kinds[1]:
        numeric = all(kind.is_numeric() or kind == pl.Null for kind in kinds)
        one, other = (it.cast(pl.Float64 if numeric else pl.String) for it in (one, other))
    same = one.eq_missing(other)
    if tolerance and all(kind.is_numeric() for kind in kinds):
        largest = pl.max_horizontal(one.abs(), other.abs())
        same |= ((one - other).abs() <= tolerance * largest).fill_null(value=False)
    return same
