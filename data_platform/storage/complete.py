"""Read a range that must be stored as a whole: for people, who would not notice what is missing.

Holds the question which months of a range were ever materialized; the rows come from the store.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from data_platform.domain.errors import DamagedFileError, NotStoredError
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, periods_between

_log = logging.getLogger(__name__)


class Shelf(Protocol):
    """What can be read: the lake as it is, as it was at a time, or as a snapshot pinned it."""

    def stored_periods(
        self, layer: str, series: Series, feature_set: str | None = None
    ) -> set[Period]:
        """Return the months of a series that were ever materialized, empty ones too."""
        ...

    def read_range(
        self,
        layer: str,
        series: Series,
        start: datetime,
        end: datetime,
        *,
        feature_set: str | None = None,
    ) -> pl.DataFrame:
        """Return the rows with start <= open_time < end, across periods, sorted."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A range of one table of one series."""

    layer: str
    series: Series
    start: datetime
    end: datetime
    """Exclusive."""
    feature_set: str | None = None
    """`<name>-v<version>` in the layer features."""

    @property
    def periods(self) -> list[Period]:
        """Return the months that the range touches."""
        return list(periods_between(self.start, self.end))

    def __str__(self) -> str:
        table = f"{self.layer}[{self.feature_set}]" if self.feature_set else self.layer
        return f"{table} of {self.series}"


def read_complete(shelf: Shelf, wanted: Wanted) -> pl.DataFrame:
    """Return the rows of a range, sorted by open_time.

    A month that was materialized and turned out empty is complete.

    Raises:
        NotStoredError: a month was never materialized.
        DamagedFileError: a stored file is gone, torn or changed.
    """
    series = wanted.series
    stored = shelf.stored_periods(wanted.layer, series, wanted.feature_set)
    missing = [period.key for period in wanted.periods if period not in stored]
    if missing:
        shown = ", ".join(missing[:6]) + (", ..." if len(missing) > len(missing[:6]) else "")
        raise NotStoredError(
            f"{wanted}: {len(missing)} of {len(wanted.periods)} months are not stored ({shown}). "
            "Fetch them with `data-platform download`, or ask for what is there with "
            "allow_missing=True."
        )
    return shelf.read_range(
        wanted.layer, series, wanted.start, wanted.end, feature_set=wanted.feature_set
    )


def read_available(shelf: Shelf, wanted: Wanted) -> pl.DataFrame:
    """Return the rows of a range that can be read, sorted by open_time.

    Months that are not stored are left out, damaged ones too, with a warning in the log.
    """
    frames = []
    for period in wanted.periods:
        start, end = max(wanted.start, period.start), min(wanted.end, period.end)
        try:
            frame = shelf.read_range(
                wanted.layer, wanted.series, start, end, feature_set=wanted.feature_set
            )
        except DamagedFileError as error:
            _log.warning("left out: %s", error)
            continue
        frames.append(frame)
    kept = [frame for frame in frames if not frame.is_empty()] or frames[:1]
    if not kept:
        return shelf.read_range(
            wanted.layer, wanted.series, wanted.start, wanted.start, feature_set=wanted.feature_set
        )
    return pl.concat(kept, how="diagonal")
