"""The state database as frames, for people's SQL: partitions, gaps, verdicts and runs.

Holds what is shown and under which names; nothing here changes a row.
"""

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.storage.journal import HEADS
from data_platform.storage.state import State
from data_platform.storage.tables import COMMITS, GAPS, QUALITY, RUNS, to_frame

_TEXT, _NUMBER = pl.String(), pl.Int64()
_SERIES = {"exchange": _TEXT, "timeframe": _TEXT, "pair": _TEXT}
_PARTITION = {"layer": _TEXT, **_SERIES, "feature_set": _TEXT, "period": _TEXT}

_PARTITIONS_SCHEMA = pl.Schema(
    {
        **_PARTITION,
        "rows": _NUMBER,
        "first_open": TIME,
        "last_open": TIME,
        "content_hash": _TEXT,
        "version": _NUMBER,
        "reason": _TEXT,
        "source": _TEXT,
        "run_id": _TEXT,
        "code_version": _TEXT,
        "fetched_at": TIME,
        "committed_at": TIME,
        "path": _TEXT,
    }
)
_GAPS_SCHEMA = pl.Schema(
    {
        **_SERIES,
        "start": TIME,
        "end": TIME,
        "missing": _NUMBER,
        "status": _TEXT,
        "confirmed": pl.Boolean(),
        "evidence": _TEXT,
        "tries": _NUMBER,
        "next_try": TIME,
    }
)
_QUALITY_SCHEMA = pl.Schema(
    {
        **_PARTITION,
        "rule": _TEXT,
        "day": _TEXT,
        "severity": _TEXT,
        "count": _NUMBER,
        "rows_json": _TEXT,
        "threshold_json": _TEXT,
        "checked_at": TIME,
    }
)
_RUNS_SCHEMA = pl.Schema(
    {
        "exchange": _TEXT,
        "started_at": TIME,
        "ended_at": TIME,
        "run_id": _TEXT,
        "kind": _TEXT,
        "steps": _NUMBER,
        "written": _NUMBER,
        "failed": _NUMBER,
        "requests": _NUMBER,
        "retries": _NUMBER,
        "candles": _NUMBER,
        "refused": _NUMBER,
        "errors_json": _TEXT,
        "lag_ms": _NUMBER,
    }
)


def state_frames(state: State) -> dict[str, pl.DataFrame]:
    """Return `partitions` (one row per stored partition), `gaps`, `quality`, `runs`, sorted."""
    shown = (
        ("partitions", COMMITS, _PARTITIONS_SCHEMA),
        ("gaps", GAPS, _GAPS_SCHEMA),
        ("quality", QUALITY, _QUALITY_SCHEMA),
        ("runs", RUNS, _RUNS_SCHEMA),
    )
    frames = {}
    with state.read() as connection:
        for name, table, schema in shown:
            columns = [table.c[column] for column in schema]
            source = HEADS if name == "partitions" else table
            query = sa.select(*columns).select_from(source).order_by(*columns[:6])
            frames[name] = to_frame(connection.execute(query).all(), schema)
    return frames
