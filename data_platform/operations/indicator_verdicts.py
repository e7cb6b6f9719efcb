"""What the checks of indicator assets say beside those of other derived ones: equal to `ta`.

Once a day a window of one stored partition of each asset is held against the reference, and all of
each partition that has failed it; the verdicts are noted like every other.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from data_platform.domain.candles import TimeRange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import from_key
from data_platform.indicators.columns import warm_up
from data_platform.indicators.comparison import find_differences
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.judge import FIRST_ROWS
from data_platform.operations.lake import Lake
from data_platform.operations.past_rows import with_history
from data_platform.operations.recipe import may_have_moved
from data_platform.operations.recipes import indicators_recipe
from data_platform.operations.statements import EQUALS_REFERENCE
from data_platform.operations.stored_causality import sample
from data_platform.operations.verdicts import Judged, Row, Verdict, stored_verdict
from data_platform.storage.verdicts import VerdictRow

WINDOW_ROWS = 240
"""How many rows of the drawn partition are held against the reference."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found out about one stored partition."""

    partition: Partition
    differences: pl.DataFrame
    """`DIFFERENCE_SCHEMA`."""
    rows: int
    """Stored rows that were compared."""


def renew_comparisons(
    lake: Lake, judged: Judged, names: tuple[str, ...], now: datetime
) -> list[Comparison]:
    """Compare what is due today of one indicator asset, and note what was found.

    Args:
        lake: where it lies.
        judged: the asset.
        names: the indicators that it holds.
        now: the clock, UTC; nothing is compared twice a day.

    Returns:
        What was compared; a partition that is to be computed anew is left for another day.

    Raises:
        StorageError: a partition or what it was computed from cannot be read.
    """
    day = now.date()
    known = lake.verdicts.newest(judged.exchange, judged.layer, judged.timeframe)
    own = known.filter(pl.col("rule") == EQUALS_REFERENCE.name)
    is_today = pl.col("day") == day.isoformat()
    failing = set(own.filter(pl.col("count") > 0, ~is_today).select("pair", "period").rows())
    if not failing and own.filter(is_today).height:
        return []
    done = set(own.filter(is_today).select("pair", "period").rows())
    wanted = {from_key(pair) for pair in judged.pairs}
    stored = lake.store.journal_rows(judged.layer, judged.exchange, judged.timeframe)
    rows = [row for row in stored if row.series.pair in wanted]
    drawn = None if done else sample(rows, day)
    due = [it.partition for it in rows if it is drawn or _key(it.partition) in failing]
    found = [
        made
        for each in due
        if (made := compare_partition(lake, each, names, day, whole=_key(each) in failing))
    ]
    with lake.state.write() as connection:
        for each in found:
            lake.verdicts.record(connection, each.partition, (_to_row(each, now),))
    return found


def compare_partition(
    lake: Lake, partition: Partition, names: tuple[str, ...], day: date, *, whole: bool
) -> Comparison | None:
    """Hold stored indicators against the reference; None where they are to be computed anew.

    Args:
        lake: where they lie.
        partition: of the indicators.
        names: what it holds.
        day: seeds the choice of the window.
        whole: look at every row instead.
    """
    if may_have_moved(partition, indicators_recipe(names), JournalBook(lake)):
        return None
    stored = lake.store.read(partition)
    if stored is None:
        return None
    places = max(stored.frame.height - WINDOW_ROWS, 0) + 1
    first = int(hashlib.sha256(f"{day}|{partition}".encode()).hexdigest()[:8], 16) % places
    window = stored.frame if whole else stored.frame.slice(first, WINDOW_ROWS)
    series, times = partition.series, window["open_time"]
    needed = TimeRange(times[0], times[-1] + series.timeframe.duration)
    (candles,) = with_history(lake, "filled", [(series, needed)], warm_up(names))
    return Comparison(partition, find_differences(candles, window, names), window.height)


def comparison_verdict(lake: Lake, judged: Judged) -> Verdict:
    """Return the verdict on an indicator asset: what the newest comparisons have found."""
    rows = lake.verdicts.newest(judged.exchange, judged.layer, judged.timeframe)
    own = rows.filter(pl.col("pair").is_in(list(judged.pairs)))
    return stored_verdict(EQUALS_REFERENCE, judged, own)


def _to_row(found: Comparison, now: datetime) -> VerdictRow:
    first = found.differences.head(FIRST_ROWS)
    rows: list[Row] = [
        {
            "reason": f"{column} at {time:%Y-%m-%d %H:%M} is {value}, expected {expected}",
            "column": column,
            "open_time": f"{time:%Y-%m-%d %H:%M:%S}",
            "stored": value,
            "expected": expected,
        }
        for time, column, value, expected in first.rows()
    ]
    return VerdictRow(
        rule=EQUALS_REFERENCE.name,
        day=now.date(),
        severity=EQUALS_REFERENCE.severity,
        count=found.differences.height,
        checked=found.rows,
        rows_json=json.dumps(rows),
        threshold_json=json.dumps(dict(EQUALS_REFERENCE.limits)),
        checked_at=now,
    )


def _key(partition: Partition) -> tuple[str, str]:
    return partition.series.pair.key, partition.period.key
