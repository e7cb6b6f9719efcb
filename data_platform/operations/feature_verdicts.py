"""What the checks of feature assets say: fresh with their candles, and blind to the future.

The proof of the second is done once a day for one stored partition of each asset, and again for
those that have failed it; its verdicts are noted like every other.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.operations.computed_store import Lines
from data_platform.operations.due import SeriesStatus
from data_platform.operations.judge import FIRST_ROWS
from data_platform.operations.lake import Lake
from data_platform.operations.statements import FRESH, NO_FUTURE
from data_platform.operations.stored_causality import (
    StoredProof,
    features_of,
    prove_partition,
    sample,
)
from data_platform.operations.verdicts import Judged, Row, Verdict, stored_verdict
from data_platform.storage.verdicts import VerdictRow

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clock:
    """What freshness is judged by."""

    now: datetime
    """UTC."""
    allowance: timedelta
    """How seldom derived layers are refreshed on purpose."""


def renew_proofs(lake: Lake, judged: Judged, lines: Lines, now: datetime) -> list[StoredProof]:
    """Prove what is due today of one feature asset, and note what was found.

    Args:
        lake: where it lies.
        judged: the asset.
        lines: the recipes of every exchange whose series its sets read.
        now: the clock, UTC; nothing is proved twice a day.

    Returns:
        What was proved; a partition that is to be computed anew, or that rests on a file which
        cannot be read, is left for another day.
    """
    day = now.date()
    known = lake.verdicts.newest(judged.exchange, judged.layer, judged.timeframe)
    own = known.filter(pl.col("rule") == NO_FUTURE.name)
    done = set(own.filter(pl.col("day") == day.isoformat()).select(_KEY).rows())
    stored = features_of(lake, judged.exchange, judged.timeframe, judged.pairs)
    rows = [row for row in stored if row.feature_set in judged.feature_sets]
    drawn = sample(rows, day)
    failing = set(own.filter(pl.col("count") > 0).select(_KEY).rows())
    due = [it.partition for it in rows if _key(it.partition) in failing or it is drawn]
    asked = [_attempt(lake, lines, each, day) for each in due if _key(each) not in done]
    proofs = [proof for proof in asked if proof is not None]
    with lake.state.write() as connection:
        for proof in proofs:
            lake.verdicts.record(connection, proof.partition, (_to_row(proof, now),))
    return proofs


def _attempt(lake: Lake, lines: Lines, partition: Partition, day: date) -> StoredProof | None:
    try:
        return prove_partition(lake, lines, partition, day)
    except StorageError as error:
        # `files_are_as_written` names the file; every other verdict must still be told.
        _log.warning("%s is not held against the future today: %s", partition, error)
        return None


_KEY = ("pair", "period", "feature_set")


def _key(partition: Partition) -> tuple[str, str, str | None]:
    return partition.series.pair.key, str(partition.period), partition.feature_set


def _to_row(proof: StoredProof, now: datetime) -> VerdictRow:
    rows = [
        {
            "reason": str(leak),
            "column": leak.column,
            "open_time": f"{leak.time:%Y-%m-%d %H:%M:%S}",
            "probe": leak.probe,
        }
        for leak in proof.leaks
    ]
    return VerdictRow(
        rule=NO_FUTURE.name,
        day=now.date(),
        severity=NO_FUTURE.severity,
        count=len(rows),
        checked=proof.rows,
        rows_json=json.dumps(rows[:FIRST_ROWS]),
        threshold_json="{}",
        checked_at=now.astimezone(UTC),
    )


def feature_verdicts(
    lake: Lake, judged: Judged, statuses: Sequence[SeriesStatus], clock: Clock
) -> list[Verdict]:
    """Return the verdicts on a feature asset that no other derived asset has."""
    rows = lake.verdicts.newest(judged.exchange, judged.layer, judged.timeframe)
    failing = rows.filter(pl.col("pair").is_in(list(judged.pairs)) & (pl.col("count") > 0))
    fresh = features_fresh_verdict(lake, judged, statuses, clock)
    return [stored_verdict(NO_FUTURE, judged, failing), fresh]


def features_fresh_verdict(
    lake: Lake, judged: Judged, statuses: Sequence[SeriesStatus], clock: Clock
) -> Verdict:
    """Return the verdict on how far features are behind the stored candles.

    Late is the time since the close of the oldest stored candle that features lack at their end.
    The limit is that of the candles and the refresh of derived layers.
    """
    last: dict[tuple[Series, str | None], datetime] = {}
    for row in lake.store.journal_rows("features", judged.exchange, judged.timeframe):
        if row.last:
            key = (row.series, row.feature_set)
            last[key] = max(row.last, last.get(key, row.last))
    late: list[tuple[timedelta, Row]] = []
    for status in statuses:
        if status.series.timeframe != judged.timeframe or status.last is None:
            continue
        limit = status.limit + clock.allowance
        for name in sorted(judged.feature_sets):
            behind = _behind(status, last.get((status.series, name)), clock.now)
            if behind > limit:
                late.append((behind, _to_late(status.series, name, behind, limit)))
    rows = [row for _, row in sorted(late, key=lambda it: it[0], reverse=True)]
    return Verdict(FRESH.name, FRESH.severity, len(rows), rows[:FIRST_ROWS], {})


def _behind(status: SeriesStatus, newest: datetime | None, now: datetime) -> timedelta:
    if status.last is None or status.first is None or (newest and newest >= status.last):
        return timedelta(0)
    step = status.series.timeframe.duration
    oldest = newest + step if newest else status.first
    return max(timedelta(0), now - oldest - step)


def _to_late(series: Series, name: str, behind: timedelta, limit: timedelta) -> Row:
    return {
        "pair": series.pair.key,
        "feature_set": name,
        "late_seconds": round(behind.total_seconds()),
        "limit_seconds": round(limit.total_seconds()),
    }
