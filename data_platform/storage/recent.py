"""What has happened lately, of all series at once: holes, verdicts, and candles changed later.

Reads the ledger, the verdicts and the journal, one statement each; what becomes of it is the
business of who tells people.
"""

from datetime import datetime

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.storage.state import State
from data_platform.storage.tables import (
    COMMITS,
    GAPS,
    PARTITION,
    PARTITIONS,
    SERIES,
    VERDICTS,
    to_frame,
    to_ms,
)

_TEXT, _NUMBER = pl.String(), pl.Int64()
_SERIES = dict.fromkeys(SERIES, _TEXT)

GAP_SCHEMA = pl.Schema(
    {
        **_SERIES,
        "start": TIME,
        "end": TIME,
        "missing": _NUMBER,
        "status": _TEXT,
        "confirmed": pl.Boolean(),
        "next_try": TIME,
    }
)
VERDICT_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(PARTITION, _TEXT),
        "rule": _TEXT,
        "day": _TEXT,
        "count": _NUMBER,
        "rows_json": _TEXT,
        "checked_at": TIME,
    }
)
REWRITE_SCHEMA = pl.Schema(
    {
        **_SERIES,
        "period": _TEXT,
        "reason": _TEXT,
        "added": _NUMBER,
        "changed": _NUMBER,
        "committed_at": TIME,
    }
)

_WORTH_TELLING = ("open", "refused", "outage", "repaired")
"""Statuses of the ledger that tell of something that should have been otherwise."""


def recent_gaps(state: State, since: datetime) -> pl.DataFrame:
    """Return the holes that reach beyond a time and should not be, and those repaired.

    Returns:
        `GAP_SCHEMA`, sorted by series and time.
    """
    columns = [GAPS.c[name] for name in GAP_SCHEMA]
    lately = (GAPS.c.end > to_ms(since), GAPS.c.status.in_(_WORTH_TELLING))
    return _found(state, sa.select(*columns).where(*lately).order_by(*columns[:4]), GAP_SCHEMA)


def recent_failures(state: State, since: datetime) -> pl.DataFrame:
    """Return what rules have found since a time, where they have not passed again.

    Returns:
        `VERDICT_SCHEMA`, one row a partition and rule, sorted by them.
    """
    columns = [VERDICTS.c[name] for name in VERDICT_SCHEMA]
    lately = VERDICTS.c.day >= f"{since:%Y-%m-%d}"
    found = _found(state, sa.select(*columns).where(lately).order_by(*columns[:8]), VERDICT_SCHEMA)
    newest = found.group_by(*PARTITION, "rule", maintain_order=True).last()
    return newest.filter(pl.col("count") > 0, pl.col("checked_at") >= since)


def recent_rewrites(state: State, since: datetime) -> pl.DataFrame:
    """Return the newest commit of each month of candles that changed some or put some between.

    Returns:
        `REWRITE_SCHEMA`, those committed since a time, sorted by it.
    """
    # The newest rewrite of each partition stands beside it: years of ticks need not be searched.
    query = (
        sa.select(*(COMMITS.c[name] for name in REWRITE_SCHEMA))
        .join(PARTITIONS, PARTITIONS.c.rewrite_id == COMMITS.c.id)
        .where(PARTITIONS.c.layer == "ohlcv", COMMITS.c.committed_at >= to_ms(since))
        .order_by(COMMITS.c.committed_at, COMMITS.c.id)
    )
    return _found(state, query, REWRITE_SCHEMA)


def _found(state: State, query: sa.Select[tuple[object, ...]], schema: pl.Schema) -> pl.DataFrame:
    with state.read() as connection:
        return to_frame(connection.execute(query).all(), schema)
