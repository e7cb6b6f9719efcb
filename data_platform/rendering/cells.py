"""Coverage as shapes: a cell for each month or day, cells that are alike joined into one path.

Every cell has a base, what most of it is, and where candles are missing that should be there a
mark from its top, as high as their share: however few, a quarter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Grid:
    """The months that a map shows."""

    first: tuple[int, int]
    """Year and month."""
    months: int

    @property
    def years(self) -> list[tuple[int, int]]:
        """Return each January's year and column, and those of the first month."""
        year, month = self.first
        found = [(year, 0)]
        while (column := 12 * (len(found)) - (month - 1)) < self.months:
            found.append((year + len(found), column))
        return found


def grid_of(days: pl.DataFrame) -> Grid:
    """Return the months from the first day to the last of all series."""
    if days.is_empty():
        return Grid((1970, 1), 0)
    edges = days.select(first=pl.min("day"), last=pl.max("day"))
    [(first, last)] = edges.rows()
    months = 12 * (last.year - first.year) + last.month - first.month + 1
    return Grid((first.year, first.month), months)


def month_paths(days: pl.DataFrame, grid: Grid) -> Paths:
    """Return a strip for each series: one cell a month, `STEPS` units high."""
    months = days.with_columns(x=_column(grid)).group_by(*KEY, "x").agg(pl.sum(*COUNTS))
    return _paths(months.with_columns(y=pl.lit(0, dtype=pl.Int32)))


def day_paths(days: pl.DataFrame, grid: Grid) -> Paths:
    """Return a calendar for each series: one row a month, one cell a day."""
    x = pl.col("day").dt.day().cast(pl.Int32) - 1
    return _paths(days.with_columns(x=x, y=_column(grid) * STEPS))


def _column(grid: Grid) -> pl.Expr:
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
