"""What became of one candle, or of one series: who stored it, when, from where, and why it changed.

Reads journal, history, ledger and quarantine; the same facts that every reader of the lake relies
on, put into the order of time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.operations.lake import Lake
from data_platform.storage.journal import JournalRow
from data_platform.storage.ledger import Gap
from data_platform.storage.quarantine import read_refused

Values = Mapping[str, float]
"""open, high, low, close and volume of one candle."""


@dataclass(frozen=True, slots=True)
class Change:
    """One time that a candle came, changed or went."""

    commit: JournalRow
    """What the journal says of it: reason, run, source, times."""
    before: Values | None
    """None: it was not stored."""
    after: Values | None
    """None: it is not stored any more."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Everything that is known of one candle."""

    series: Series
    time: datetime
    """Its open_time, UTC."""
    changes: tuple[Change, ...]
    """In the order of time; none where it was never stored."""
    gap: Gap | None
    """What the ledger says of its time."""
    refused: pl.DataFrame
    """Rows of its time that the audit refused: a candle's columns and `reason`."""
    filled: Mapping[str, object] | None
    """Its row in the layer `filled`; None where that has none."""

    @property
    def is_filled(self) -> bool:
        """Tell whether readers of `filled` see a made-up row."""
        return self.filled is not None and bool(self.filled["is_filled"])


def trace_candle(lake: Lake, series: Series, time: datetime) -> Trail:
    """Return what became of one candle.

    Args:
        lake: where it lies.
        series: whose candle.
        time: any time inside it, UTC.

    Raises:
        DamagedFileError: a stored file is gone, torn or changed.
        StorageError: a file that history should keep is gone.
    """
    opens = series.timeframe.floor(time)
    partition = Partition("ohlcv", series, period_of(opens))
    step = series.timeframe.duration
    gaps = lake.ledger.gaps(series, opens, opens + step)
    filled = lake.store.read_range("filled", series, opens, opens + step)
    refused = read_refused(lake.store.layout, partition)
    return Trail(
        series=series,
        time=opens,
        changes=tuple(_changes(lake, partition, opens)),
        gap=next(iter(gaps), None),
        refused=refused.filter(pl.col("open_time").is_between(opens, opens + step, closed="left")),
        filled=next(iter(filled.to_dicts()), None),
    )


def _changes(lake: Lake, partition: Partition, time: datetime) -> Iterator[Change]:
    """Yield the commits of a month in which one candle came, changed or went.

    Between two rewritten files rows are only added at the end, so each stretch of commits is told
    by the file that ended it.
    """
    before: Values | None = None
    for stretch, replaced in lake.store.stretches(partition):
        after = _values(lake.store.kept(partition, replaced), time)
        if after != before:
            commit = stretch[0] if before is not None else _first_with(stretch, time)
            yield Change(commit, before, after)
        before = after


def _first_with(stretch: Sequence[JournalRow], time: datetime) -> JournalRow:
    return next(row for row in stretch if row.last is not None and row.last >= time)


def _values(frame: pl.DataFrame, time: datetime) -> Values | None:
    rows = frame.filter(pl.col("open_time") == time).to_dicts()
    names = [name for name in CANDLE_SCHEMA if name != "open_time"]
    return {name: rows[0][name] for name in names} if rows else None
