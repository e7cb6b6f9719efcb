"""The state database as frames, for people's SQL: partitions, gaps, scores, runs.

Holds what is shown and under which names; nothing here changes a row.
"""

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.storage.journal import HEADS
from data_platform.storage.state import State
from data_platform.storage.tables import (
    ALARMS,
    COMMITS,
    COMPONENTS,
    GAPS,
    QUALITY,
    RUNS,
    VERDICTS,
    to_frame,
)

_TEXT, _NUMBER, _SHARE = pl.String(), pl.Int64(), pl.Float64()
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
_VERDICTS_SCHEMA = pl.Schema(
    {
        **_PARTITION,
        "rule": _TEXT,
        "day": _TEXT,
        "severity": _TEXT,
        "count": _NUMBER,
        "checked": _NUMBER,
        "rows_json": _TEXT,
        "threshold_json": _TEXT,
        "measured_json": _TEXT,
        "checked_at": TIME,
    }
)
_QUALITY_SCHEMA = pl.Schema(
    {
        **_PARTITION,
        "day": _TEXT,
        "score_five": _SHARE,
        "score_four": _SHARE,
        **dict.fromkeys(COMPONENTS, _SHARE),
        "expected": _NUMBER,
        "stored": _NUMBER,
        "absent": _TEXT,
        "profiles": _TEXT,
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
        "answered_at": TIME,
        "latency_ms": _NUMBER,
    }
)

_ALARMS_SCHEMA = pl.Schema(
    {
        "began_at": TIME,
        "seen_at": TIME,
        "ended_at": TIME,
        "severity": _TEXT,
        "type": _TEXT,
        "exchange": _TEXT,
        "market": _TEXT,
        "subject": _TEXT,
        "message": _TEXT,
        "action_taken": _TEXT,
        "escalate": pl.Boolean(),
        "alert_id": _TEXT,
    }
)

STATE_SCHEMAS = {
    "partitions": _PARTITIONS_SCHEMA,
    "gaps": _GAPS_SCHEMA,
    "verdicts": _VERDICTS_SCHEMA,
    "quality": _QUALITY_SCHEMA,
    "runs": _RUNS_SCHEMA,
    "alarms": _ALARMS_SCHEMA,
}

STATE_TABLES = {
    "partitions": "One row for each stored partition: its newest commit.",
    "gaps": "The ledger: runs of grid times without a candle, and what is known of each.",
    "verdicts": "What each rule said of each partition, at most one verdict a day.",
    "quality": "Scores: how good each partition of candles is, from 0 to 1, at most one a day.",
    "runs": "Operations: what each run did.",
    "alarms": "What is wrong now or was, and people were told of.",
}
"""What each table holds."""

STATE_COLUMNS = {
    "layer": "`ohlcv`, `filled`, `indicators`, `features`, or the program of an export.",
    "exchange": "Our name of the exchange, as in the config.",
    "timeframe": "`1m` to `1d`.",
    "pair": "The pair's key: `BTC-USDT`.",
    "feature_set": "`<name>-v<version>` in the layer features, else empty.",
    "period": "Calendar month in UTC; empty for an export of a whole pair.",
    "rows": "Rows stored.",
    "first_open": "Opening time of the first row, UTC.",
    "last_open": "Opening time of the last row, UTC.",
    "content_hash": "sha256 of the content, whatever the file's bytes.",
    "version": "Counts up from 1 in each partition.",
    "reason": "Why it was committed: new, extend, repair, correction, recomputed, adopted, "
    "rebuilt, archived, brought back.",
    "source": "Where the rows came from.",
    "run_id": "Dagster's id of the run.",
    "code_version": "Of the layer, with the hash of its parameters.",
    "fetched_at": "When the fetch of the rows began, by the exchange's clock, UTC.",
    "committed_at": "When the commit was made, UTC.",
    "path": "The file below the lake's root.",
    "start": "First missing opening time, UTC.",
    "end": "End of the gap, exclusive, UTC.",
    "missing": "Candles in the gap.",
    "status": "open, refused, no_trades, outage, before_listing, after_delisting, unavailable, "
    "repaired.",
    "confirmed": "Whether a valid answer of the exchange covered the whole gap.",
    "evidence": "What tells so, for people.",
    "tries": "How often it was asked for with this outcome.",
    "next_try": "Not asked for again before, UTC; an order asks earlier for what nobody answered.",
    "rule": "The check's name, a statement that should be true.",
    "day": "UTC day of the verdict or score.",
    "severity": "warn or error of a verdict; medium, high or critical of an alarm.",
    "count": "Offending rows; 0 is a pass.",
    "checked": "Rows looked at; 0: none, or the verdict is older than this column.",
    "rows_json": "The first ten of them.",
    "threshold_json": "The thresholds used.",
    "measured_json": "What was measured on the way, of rules that compare series.",
    "checked_at": "When it was judged, UTC.",
    "score_five": "Weighted sum by the profile `five_dimensions`.",
    "score_four": "Weighted sum by the profile `four_dimensions`.",
    "completeness": "Share of the expected candles that is stored.",
    "validity": "Share of the rows that came which was not refused.",
    "consistency": "Share of the coarser candles that equal the finer ones taken together.",
    "accuracy": "Share of the candles that lie near the median of the exchanges.",
    "timeliness": "1 when nothing is late, else limit / lateness; of the running month only.",
    "expected": "Candles of closed grid times, less those that the ledger excuses.",
    "stored": "Candles stored.",
    "absent": "Components that nothing is known of; their weight was shared out.",
    "profiles": "Name and version of the profiles used.",
    "started_at": "When the first step began, UTC.",
    "ended_at": "When the last step of a run ended, UTC; or an alarm, empty while it rings.",
    "kind": "Who asked for the run: tick, heal, stale, compare_from, backfill or manual.",
    "steps": "Assets materialized.",
    "written": "Partitions whose content changed.",
    "failed": "Partitions that could not be completed.",
    "requests": "Requests for candles, retries included.",
    "retries": "Attempts that failed.",
    "candles": "Candles received.",
    "refused": "Rows that the audit kept out.",
    "errors_json": "Failed attempts by the kind of error.",
    "began_at": "When it was first found, UTC.",
    "seen_at": "When it was last found, UTC.",
    "type": "feed_offline, source_away, score_low, critical_gap, run_slow, error_rate or latency.",
    "market": "`binance/BTC-USDT`; empty: the whole exchange is concerned.",
    "subject": "What exactly; an alarm is one for each type and subject.",
    "message": "What is wrong, since when, and what to do.",
    "action_taken": "What the platform has done or does by itself.",
    "escalate": "Whether somebody who can decide must hear of it.",
    "alert_id": "The same in every message about it.",
    "answered_at": "When the exchange last answered, UTC; null where it did not, or was not asked.",
    "latency_ms": "From sending a request to its answer, ms; the median of the newest step.",
    "lag_ms": "Commit time less the close of the newest candle, ms; the longest of the series.",
}
"""What each column holds; one name is one quantity in every table."""


def state_frames(state: State) -> dict[str, pl.DataFrame]:
    """Return `partitions` (one row per stored partition), `gaps` and the others, sorted."""
    tables = {
        "partitions": COMMITS,
        "gaps": GAPS,
        "verdicts": VERDICTS,
        "quality": QUALITY,
        "runs": RUNS,
        "alarms": ALARMS,
    }
    frames = {}
    with state.read() as connection:
        for name, schema in STATE_SCHEMAS.items():
            table = tables[name]
            columns = [table.c[column] for column in schema]
            source = HEADS if name == "partitions" else table
            query = sa.select(*columns).select_from(source).order_by(*columns[:6])
            frames[name] = to_frame(connection.execute(query).all(), schema)
    return frames
