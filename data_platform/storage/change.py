"""What a commit changes: pure decisions of the write protocol, without disk or database.

Holds the values that go into and come out of a commit, the order in which two fetches of one
candle win, and the comparison of the stored rows with the new ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.storage.ledger import Gap
from data_platform.storage.verdicts import VerdictRow

Merge = Callable[[pl.DataFrame | None, pl.DataFrame], pl.DataFrame]
"""(stored rows or None, new rows) -> what is to be stored; pure, sorted by `open_time`."""

Writer = Callable[[Path], None]
"""Writes a whole file to a path that does not exist."""

Renewal = Callable[[Path, Path], None]
"""(an older file, a path that does not exist) -> writes a whole file there, taking over what the
older one holds already."""

Audit = Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]
"""Rows -> (those that may be stored, those refused with a column `reason`)."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be noted about a partition's rows in the same transaction as their commit."""

    gaps: tuple[Gap, ...] | None = None
    """All gaps of the range it speaks of; None leaves the ledger alone."""
    covers: TimeRange | None = None
    """That range, inside the partition's month; None: the whole month."""
    verdicts: tuple[VerdictRow, ...] = ()


Judge = Callable[[pl.DataFrame], Judgement]
"""The whole partition's rows -> what to note about them."""


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit did."""

    partition: Partition | None
    """None for an export file of a whole pair."""
    rows: int
    """Stored now, in the whole partition."""
    first: datetime | None
    last: datetime | None
    content_hash: str
    written: bool
    """Whether a file was written or removed; False when it was the same already."""
    added: int
    changed: int
    refused: int
    path: Path | None
    """None when there is no file, since there are no rows."""
    outdated: int = 0
    """New values that lost to those of a fetch that began later."""
    version: int | None = None
    """Of the journal row that tells of it; None: the journal has told of the same before."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file for another program, and how it is written."""

    layer: str
    """The converter's name."""
    series: Series
    period: Period | None
    """The month inside, or None for a file of the whole pair."""
    path: PurePosixPath
    """Its place below `exports/`."""
    write: Writer
    companions: Mapping[PurePosixPath, Writer]
    """Further files that it needs, by their place below `exports/`; every export of the market
    shares them, and writes the same bytes."""
    source_hash: str
    """Content hash of the candles it is made from."""
    months: tuple[Period, ...]
    """Those inside; the journal keeps them."""
    rows: int
    """Candles inside; 0: no file is made."""
    first: datetime | None
    last: datetime | None
    renew: Renewal | None = None
    """Writes the same bytes as `write` and needs the older file for it, whole and unchanged."""


@dataclass(frozen=True, slots=True)
class Change:
    """How the new rows differ from the stored ones."""

    added: int
    changed: int
    removed: int
    inserted: bool
    """Whether a row was added before the last stored one."""

    @property
    def rewrites(self) -> bool:
        """Return whether anything but a plain extension at the end happened."""
        return bool(self.changed or self.removed or self.inserted)

    @property
    def reason(self) -> str:
        """Return the journal's word for it."""
        if self.changed or self.removed:
            return "correction"
        return "repair" if self.inserted else "extend"


NO_CHANGE = Change(0, 0, 0, inserted=False)


def compare(stored: pl.DataFrame | None, merged: pl.DataFrame) -> Change:
    """Return how many rows were added, changed and removed.

    Args:
        stored: sorted rows of a partition, or None.
        merged: sorted rows that are to replace them.
    """
    if stored is None or stored.is_empty():
        return Change(merged.height, 0, 0, inserted=False)
    if merged.head(stored.height).equals(stored):
        return Change(merged.height - stored.height, 0, 0, inserted=False)
    times = "open_time"
    before = stored.join(merged.select(times), on=times, how="semi").sort(times)
    after = merged.join(stored.select(times), on=times, how="semi").sort(times)
    new = merged.join(stored.select(times), on=times, how="anti")
    return Change(
        added=new.height,
        changed=_differing(before, after),
        removed=stored.height - before.height,
        inserted=bool((new[times] < stored[times][-1]).any()),
    )


def drop_outdated(
    stored: pl.DataFrame | None,
    rows: pl.DataFrame,
    later: Sequence[tuple[datetime, datetime]],
) -> tuple[pl.DataFrame, int]:
    """Return the rows without those that a later fetch has already replaced.

    A writer that was believed dead may come back: what it fetched first must not win. Rows whose
    `open_time` is not stored always stay.

    Args:
        stored: rows of the partition, or None.
        rows: new rows.
        later: first and last open_time of what each fetch brought that began later than theirs.

    Returns:
        The rows that stay, and how many that differ from the stored ones do not.
    """
    if stored is None or not later:
        return rows, 0
    times = pl.col("open_time")
    covered = rows.filter(pl.any_horizontal(times.is_between(first, last) for first, last in later))
    beaten = covered.join(stored.select("open_time"), on="open_time", how="semi").sort("open_time")
    kept = rows.join(beaten.select("open_time"), on="open_time", how="anti")
    winners = stored.join(beaten.select("open_time"), on="open_time", how="semi")
    return kept, _differing(winners.sort("open_time"), beaten)


def _differing(one: pl.DataFrame, other: pl.DataFrame) -> int:
    if one.schema != other.schema:
        return one.height
    pairs = zip(one.get_columns(), other.get_columns(), strict=True)
    different = [left.ne_missing(right).alias(left.name) for left, right in pairs]
    return int(pl.DataFrame(different).select(pl.any_horizontal(pl.all()).sum()).item())
