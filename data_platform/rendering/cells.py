"""Coverage as shapes: a cell for each month or day, cells that are alike joined into one path.

Every cell has a base, what most of it is, and where candles are missing that should be there a
mark from its top, as high as their share: however few, a quarter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from data_platform.rendering.legend import GAPS, MARKS, STORED

KEY = ("exchange", "pair", "timeframe")
COUNTS = tuple(mark.name for mark in MARKS)

DAYS = pl.Schema(
    {
        **dict.fromkeys(KEY, pl.String()),
        "day": pl.Date(),
        "expected": pl.Int64(),
        **dict.fromkeys(COUNTS, pl.Int64()),
    }
)
"""`expected` is the sum of all that follows it."""

STEPS = 4
"""Heights of a mark: the units of a cell from top to bottom, too."""

_REST = tuple(name for name in COUNTS if name not in (*GAPS, STORED))

Paths = dict[tuple[str, ...], dict[str, str]]
"""By series, the outline of every kind of cell: `{"stored": "M0 0h3v4h-3z"}`; bases come first."""


SHORT = 3
"""Months up to which a strip has a cell for each day."""

NAMED = 18
"""Months up to which labels name months, not years alone."""

SEEN = 36
"""Months up to which the cells of a strip are wide enough to be parted by lines."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The months that a map shows."""

    first: tuple[int, int]
    """Year and month."""
    months: int

    @property
    def unit(self) -> Literal["day", "month"]:
        """Return what a cell of a strip stands for."""
        return "day" if self.months <= SHORT else "month"

    @property
    def columns(self) -> int:
        """Return how many cells a strip has."""
        return self.column(self.months)

    @property
    def labels(self) -> list[tuple[str, int]]:
        """Return what is written above a strip, and over which column."""
        step = 1 if self.unit == "day" else 3
        return [(name, self.column(number)) for name, number in self._named(step)]

    @property
    def rows(self) -> list[tuple[str, int]]:
        """Return what is written beside a calendar, and at which row."""
        return self._named(1)

    @property
    def cuts(self) -> list[int]:
        """Return the columns of a strip before which a line is drawn."""
        if self.months > SEEN:
            return [column for _, column in self.labels[1:]]
        return [self.column(number) for number in range(1, self.months)]

    def column(self, number: int) -> int:
        """Return where a month begins in a strip, the first being 0."""
        if self.unit == "month":
            return number
        return (date(*self._month(number), 1) - date(*self._month(0), 1)).days

    def _named(self, step: int) -> list[tuple[str, int]]:
        if self.months > NAMED:
            years = [(str(self._month(number)[0]), number) for number in range(self.months)]
            return [it for it in years if it[1] == 0 or self._month(it[1])[1] == 1]
        months = (self._month(number) for number in range(0, self.months, step))
        return [(f"{year}-{month:02d}", step * at) for at, (year, month) in enumerate(months)]

    def _month(self, number: int) -> tuple[int, int]:
        year, month = self.first
        return year + (month - 1 + number) // 12, (month - 1 + number) % 12 + 1


def grid_of(days: pl.DataFrame) -> Grid:
    """Return the months from the first day to the last of all series."""
    if days.is_empty():
        return Grid((1970, 1), 0)
    edges = days.select(first=pl.min("day"), last=pl.max("day"))
    [(first, last)] = edges.rows()
    months = 12 * (last.year - first.year) + last.month - first.month + 1
    return Grid((first.year, first.month), months)


def strip_paths(days: pl.DataFrame, grid: Grid) -> Paths:
    """Return a strip for each series: one cell a month or day, `STEPS` units high."""
    column = _month_number(grid)
    if grid.unit == "day":
        column = (pl.col("day") - pl.lit(date(*grid.first, 1))).dt.total_days().cast(pl.Int32)
    cells = days.with_columns(x=column).group_by(*KEY, "x").agg(pl.sum(*COUNTS))
    return _paths(cells.with_columns(y=pl.lit(0, dtype=pl.Int32)))


def day_paths(days: pl.DataFrame, grid: Grid) -> Paths:
    """Return a calendar for each series: one row a month, one cell a day."""
    x = pl.col("day").dt.day().cast(pl.Int32) - 1
    return _paths(days.with_columns(x=x, y=_month_number(grid) * STEPS))


def _month_number(grid: Grid) -> pl.Expr:
    year, month = grid.first
    years = pl.col("day").dt.year() - year
    return 12 * years + pl.col("day").dt.month().cast(pl.Int32) - month


def _paths(cells: pl.DataFrame) -> Paths:
    missing = pl.sum_horizontal(GAPS)
    wanted = pl.col(STORED) + missing
    base = pl.when(pl.col(STORED) > 0).then(pl.lit(STORED)).otherwise(_most(_REST))
    cells = cells.select(
        *KEY,
        "x",
        "y",
        base=base,
        mark=_most(GAPS),
        # Rounded up.
        height=((STEPS * missing + wanted - 1) // wanted).cast(pl.Int32),
    ).sort(*KEY, "y", "x")
    whole = cells.select(*KEY, "x", "y", kind="base", height=pl.lit(STEPS, dtype=pl.Int32))
    marks = cells.select(*KEY, "x", "y", "height", kind="mark")
    found: Paths = {}
    for *key, kind, path in (*_outlines(whole), *_outlines(marks)):
        found.setdefault(tuple(key), {})[kind] = path
    return found


def _most(names: Sequence[str]) -> pl.Expr:
    """Return the name of the largest count, null where all are 0."""
    largest = pl.max_horizontal(names)
    is_it = ((largest > 0) & (pl.col(name) == largest) for name in names)
    named = (pl.when(it).then(pl.lit(name)) for it, name in zip(is_it, names, strict=True))
    return pl.coalesce(*named)


def _outlines(cells: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    """Yield series, kind and outline, neighbours of one kind and height as one rectangle."""
    alike = [pl.col(name) == pl.col(name).shift(1) for name in (*KEY, "y", "kind", "height")]
    follows = pl.all_horizontal(*alike, pl.col("x") == pl.col("x").shift(1) + 1)
    runs = (
        cells.filter(pl.col("kind").is_not_null())
        .with_columns(run=(~follows.fill_null(value=False)).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.first(*KEY, "kind", "x", "y", "height"), width=pl.len())
    )
    box = pl.format("M{} {}h{}v{}h-{}z", "x", "y", "width", "height", "width")
    yield from (runs.group_by(*KEY, "kind", maintain_order=True).agg(box.str.join("")).iter_rows())
