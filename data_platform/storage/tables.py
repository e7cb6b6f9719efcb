"""The tables of the state database, as SQLAlchemy Core sees them, and how times lie in them.

Holds tables and the conversions of their values; the statements stand in the module of each
table's meaning, the changes from version to version in `migrations/`. Times are integers, UTC
milliseconds, so that every database keeps them alike.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME

REVISION = "0007"
"""The newest migration. A database that says so needs no Alembic, whose import costs 0.4 s."""

METADATA = sa.MetaData()

# SQLite counts up only a column of exactly this type; elsewhere 2**31 rows are too few.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.BigInteger

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def to_ms(time: datetime | None) -> int | None:
    """Return a time as the database keeps it."""
    return None if time is None else (time - _EPOCH) // _MS


def to_time(ms: int | None) -> datetime | None:
    """Return a time that the database keeps."""
    return None if ms is None else _EPOCH + ms * _MS


def to_frame(rows: Iterable[Sequence[Any]], schema: pl.Schema) -> pl.DataFrame:
    """Return rows of the database as a frame whose times are times."""
    stored = {name: pl.Int64() if dtype == TIME else dtype for name, dtype in schema.items()}
    frame = pl.DataFrame([tuple(row) for row in rows], schema=stored, orient="row")
    return frame.cast(schema)


def _series() -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, sa.String, nullable=False) for name in SERIES)


def _partition() -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, sa.String, nullable=False) for name in PARTITION)


SERIES = ("exchange", "timeframe", "pair")
PARTITION = ("layer", *SERIES, "feature_set", "period")
"""`feature_set` is empty outside the layer features, `period` for an export of a whole pair."""

COMMITS = sa.Table(
    "commits",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    *_partition(),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("first_open", _TIME),
    sa.Column("last_open", _TIME),
    sa.Column("content_hash", sa.String, nullable=False),
    sa.Column("file_sha256", sa.String),
    sa.Column("path", sa.String),
    sa.Column("replaced", sa.String),
    sa.Column("months", sa.String, nullable=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("fetched_at", _TIME),
    sa.Column("fetched_first", _TIME),
    sa.Column("fetched_last", _TIME),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("code_version", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("added", sa.Integer, nullable=False),
    sa.Column("changed", sa.Integer, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
    sa.Column("committed_at", _TIME, nullable=False),
    sa.UniqueConstraint(*PARTITION, "version", name="commits_version"),
)
"""The journal, append-only: one row for each time that a partition changed."""

PARTITIONS = sa.Table(
    "partitions",
    METADATA,
    *_partition(),
    sa.Column("commit_id", _ID, nullable=False),
    sa.Column("rewrite_id", _ID, nullable=False),
    sa.PrimaryKeyConstraint(*PARTITION, name="partitions_key"),
)
"""The newest journal row of each partition, and the newest that did more than add rows at the end
(0: none did): finding them among years of ticks costs one look-up."""

INPUTS = sa.Table(
    "inputs",
    METADATA,
    sa.Column("commit_id", _ID, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("layer", sa.String, nullable=False),
    *_series(),
    sa.Column("first_open", _TIME),
    sa.Column("last_open", _TIME),
    sa.Column("content_hash", sa.String, nullable=False),
    sa.PrimaryKeyConstraint("commit_id", "position", name="inputs_key"),
)
"""What a derived commit was computed from."""

FILES = sa.Table(
    "files",
    METADATA,
    sa.Column("path", sa.String, primary_key=True),
    *_partition(),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("stamp", sa.String, nullable=False),
    sa.Index("files_partition", *PARTITION),
)
"""What lies on disk, as last written; `timeframe` and `period` are empty for a file that several
exports share, `stamp` is that of the file when it was last hashed and found as written."""

GAPS = sa.Table(
    "gaps",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    *_series(),
    sa.Column("start", _TIME, nullable=False),
    sa.Column("end", _TIME, nullable=False),
    sa.Column("missing", sa.Integer, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("confirmed", sa.Boolean, nullable=False),
    sa.Column("evidence", sa.String, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try", _TIME),
    sa.UniqueConstraint(*SERIES, "start", name="gaps_start"),
    # Answers sums by itself: a thin market has tens of thousands of rows a year.
    sa.Index("gaps_status", *SERIES, "status", "start", "missing"),
)
"""The ledger: runs of grid times without a candle; those of one series never overlap."""

LEDGER_MONTHS = sa.Table(
    "ledger_months",
    METADATA,
    *_series(),
    sa.Column("period", sa.String, nullable=False),
    sa.Column("changes", sa.Integer, nullable=False),
    sa.Column("quiet_changes", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint(*SERIES, "period", name="ledger_months_key"),
)
"""How often the ledger of each month has come to say otherwise, and of times without trades."""

VERDICTS = sa.Table(
    "verdicts",
    METADATA,
    *_partition(),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("day", sa.String, nullable=False),
    sa.Column("severity", sa.String, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("checked", sa.Integer, nullable=False),
    sa.Column("rows_json", sa.String, nullable=False),
    sa.Column("threshold_json", sa.String, nullable=False),
    *(sa.Column(name, sa.String, nullable=False) for name in ("measured_json", "basis")),
    sa.Column("checked_at", _TIME, nullable=False),
    sa.PrimaryKeyConstraint(*PARTITION, "rule", "day", name="verdicts_key"),
)
"""Verdicts: at most one row for each partition, rule and day. `checked` is 0 where they are older
than that column."""

COMPONENTS = ("completeness", "validity", "consistency", "accuracy", "timeliness")

QUALITY = sa.Table(
    "quality",
    METADATA,
    *_partition(),
    sa.Column("day", sa.String, nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("expected", "stored")),
    *(sa.Column(name, sa.Float) for name in (*COMPONENTS, "score_five", "score_four")),
    *(sa.Column(name, sa.String, nullable=False) for name in ("absent", "profiles", "basis")),
    sa.Column("checked_at", _TIME, nullable=False),
    sa.PrimaryKeyConstraint(*PARTITION, "day", name="quality_key"),
)
"""Scores: at most one row for each partition and day; a component that is absent is null."""

BREAKERS = sa.Table(
    "breakers",
    METADATA,
    sa.Column("exchange", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("opened_at", _TIME),
    sa.Column("until", _TIME),
    sa.Column("reason", sa.String, nullable=False),
)
"""Exchanges that have stopped answering: one row for each that ever did."""

RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("exchange", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("started_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME, nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("steps", "written", "failed")),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("requests", "retries", "candles")),
    sa.Column("refused", sa.Integer, nullable=False),
    sa.Column("errors_json", sa.String, nullable=False),
    sa.Column("lag_ms", sa.BigInteger),
    sa.Column("answered_at", _TIME),
    sa.Column("latency_ms", sa.BigInteger),
    sa.PrimaryKeyConstraint("run_id", "exchange", name="runs_key"),
    sa.Index("runs_started", "exchange", "started_at"),
)
"""Operations: one row for each run, which each of its steps adds to."""

ALARMS = sa.Table(
    "alarms",
    METADATA,
    sa.Column("alert_id", sa.String, primary_key=True),
    sa.Column("key", sa.String, nullable=False),
    *(sa.Column(name, sa.String, nullable=False) for name in ("type", "severity", "exchange")),
    sa.Column("market", sa.String),
    *(sa.Column(name, sa.String, nullable=False) for name in ("subject", "message")),
    sa.Column("action_taken", sa.String, nullable=False),
    sa.Column("escalate", sa.Boolean, nullable=False),
    sa.Column("began_at", _TIME, nullable=False),
    sa.Column("seen_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME),
    sa.Index("alarms_ended", "ended_at"),
)
"""What is wrong now (`ended_at` is empty) or was; at most one row a key rings."""

ALERT_OUTBOX = sa.Table(
    "alert_outbox",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("way", sa.String, nullable=False),
    sa.Column("content_json", sa.String, nullable=False),
    sa.Index("alert_outbox_way", "way", "id"),
)
"""Messages about alarms that have yet to go out by some way; one that has is deleted."""

INSTRUMENTS = sa.Table(
    "instruments",
    METADATA,
    sa.Column("exchange", sa.String, primary_key=True),
    sa.Column("pair", sa.String, primary_key=True),
    sa.Column("price_decimals", sa.Integer, nullable=False),
    sa.Column("size_decimals", sa.Integer, nullable=False),
)
"""Markets: how many decimals their stored candles have needed so far."""
