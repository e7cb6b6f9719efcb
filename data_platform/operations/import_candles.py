"""Bring foreign candles into the lake: refuse what does not belong, store the rest month by month.

A stored candle is what the exchange itself has sent: a foreign one of the same time takes its place
only when that is asked for. What cannot be true goes to quarantine like a row of a fetch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

import polars as pl

from data_platform.domain.candles import TIME, merge_candles
from data_platform.domain.errors import ForeignFileError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of, to_period
from data_platform.operations.lake import Lake
from data_platform.operations.outside import OutsideCommitter
from data_platform.operations.plan import UpdateRules
from data_platform.storage.change import compare

SOURCE = "import"
"""How the journal calls it; the file's name follows."""

_FEW = 16
"""Times that may lie on a coarser grid by chance: of so many, one series in 30,000 has only even
steps."""


@dataclass(slots=True)
class ImportReport:
    """What became of one file's rows."""

    rows: int
    """In the file, within the range asked for."""
    added: int = 0
    changed: int = 0
    """Stored candles that gave way."""
    kept: int = 0
    """Stored candles that differ from the file's and stayed."""
    equal: int = 0
    """Stored already, the same to the last bit."""
    refused: int = 0
    """Rows that cannot be true; they are in quarantine."""
    months: list[Partition] = field(default_factory=list)
    """Months that were changed."""


@dataclass(frozen=True, slots=True)
class Import:
    """One file, and what is to become of it."""

    path: Path
    series: Series
    rows: pl.DataFrame
    """`CANDLE_SCHEMA`, as the file has them."""
    start: datetime | None = None
    """Leave out what opens before; None: nothing."""
    end: datetime | None = None
    """Leave out what opens at or after; None: nothing."""
    replaces: bool = False
    """Whether its candles take the place of stored ones."""


def import_candles(lake: Lake, order: Import, rules: UpdateRules, now: datetime) -> ImportReport:
    """Store the candles of one foreign file.

    Args:
        lake: where to.
        order: the file.
        rules: of the series' exchange.
        now: the clock, UTC.

    Returns:
        What became of the rows; every one of them is counted.

    Raises:
        ForeignFileError: a row opens before the series' start or after now, or the rows are of
            another timeframe; nothing was stored.
        StorageError: the lake refuses; the months before this one are stored, the same command
            goes on.
    """
    rows = _asked_for(order)
    _require_range(order, rows, rules, now)
    _require_timeframe(order, rows)
    report, committer = ImportReport(rows.height), OutsideCommitter(lake, rules, now)
    source = f"{SOURCE}:{order.path.name}"
    for partition, part in _months(order.series, rows):
        merge = _Merge(order.replaces)
        done = committer.commit(partition, part, merge, source, now)
        report.added += done.added
        report.changed += done.changed
        report.refused += done.refused
        report.kept += merge.kept
        report.equal += part.height - done.added - done.changed - done.refused - merge.kept
        report.months += [partition] if done.written else []
    return report


def _asked_for(order: Import) -> pl.DataFrame:
    times, rows = pl.col("open_time"), order.rows
    if order.start is not None:
        rows = rows.filter(times >= pl.lit(order.start, TIME))
    if order.end is not None:
        rows = rows.filter(times < pl.lit(order.end, TIME))
    return rows


class _Merge:
    """Merges a month's rows, and counts the stored ones that stay although the new ones differ."""

    def __init__(self, replaces: bool) -> None:  # noqa: FBT001
        self._replaces = replaces
        self.kept = 0

    def __call__(self, stored: pl.DataFrame | None, new: pl.DataFrame) -> pl.DataFrame:
        if self._replaces or stored is None:
            return merge_candles(stored, new)
        self.kept = compare(stored, merge_candles(stored, new)).changed
        return merge_candles(new, stored)


def _require_range(order: Import, rows: pl.DataFrame, rules: UpdateRules, now: datetime) -> None:
    if rows.is_empty():
        raise ForeignFileError(f"{order.path}: holds no candle of the range; nothing was stored.")
    if order.series.pair not in rules.starts:
        raise ForeignFileError(
            f"{order.series} is not configured: add its pair to the config, so that its partitions "
            "exist. Nothing was stored."
        )
    first, last = (
        cast("datetime", it) for it in (rows["open_time"].min(), rows["open_time"].max())
    )
    start = rules.starts[order.series.pair]
    early = rows.filter(pl.col("open_time") < pl.lit(period_of(start).start, TIME))
    if early.height:
        raise ForeignFileError(
            f"{order.path}: {early.height:,} of its candles open before {order.series} begins "
            f"({start:%Y-%m-%d}), the first at {first:%Y-%m-%d %H:%M}. Set an earlier `start` in "
            f"the config, or take the rest by --start {start:%Y-%m-%d}. Nothing was stored."
        )
    late = rows.filter(pl.col("open_time") > pl.lit(now, TIME))
    if late.height:
        raise ForeignFileError(
            f"{order.path}: {late.height:,} of its candles open in the future, the last at "
            f"{last:%Y-%m-%d %H:%M}; look at --unit and --stamp. Nothing was stored."
        )


def _require_timeframe(order: Import, rows: pl.DataFrame) -> None:
    # Each of the coarser grid's times is one of the finer: the audit would find nothing amiss, and
    # a day's high would stand as that of its first hour.
    timeframe = order.series.timeframe
    times = rows["open_time"].dt.epoch("ms").unique().sort()
    if len(times) < _FEW:
        return
    advice = "name the timeframe that they are, look at --unit and --stamp. Nothing was stored."
    off = int((times % timeframe.ms != 0).sum())
    if off > len(times) / 2:
        raise ForeignFileError(
            f"{order.path}: {off:,} of {len(times):,} times are off the grid of {timeframe}; "
            f"{advice}"
        )
    step = math.gcd(*times.diff().drop_nulls().unique())
    if step > timeframe.ms:
        raise ForeignFileError(
            f"{order.path}: its {len(times):,} times are {step // 60_000:,} minutes apart, or a "
            f"multiple of it; these are no candles of {timeframe}; {advice}"
        )


def _months(series: Series, rows: pl.DataFrame) -> Iterator[tuple[Partition, pl.DataFrame]]:
    months = rows.with_columns(month=pl.col("open_time").dt.strftime("%Y-%m"))
    for (month,), part in sorted(months.partition_by("month", as_dict=True).items()):
        yield Partition("ohlcv", series, to_period(str(month))), part.drop("month")
