"""The log of runs: how long each took, what it asked and got, how fresh what it stored was.

Holds one row for each run, which each of its steps adds to: a run's steps go one after the other in
one process. What a step has done is told by who did it.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.storage.state import State
from data_platform.storage.tables import RUNS, to_frame, to_ms, to_time

_NEWEST = ("answered_at", "latency_ms")
_SUMS = ("steps", "written", "failed", "requests", "retries", "candles", "refused")


_LOGGED = (
    *("run_id", "kind", "started_at", "ended_at", "requests", "retries"),
    *("answered_at", "latency_ms"),
)
_MS = timedelta(milliseconds=1)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a run did."""

    run_id: str
    exchange: str
    kind: str
    """Who asked for the run: `tick`, `backfill`, ..."""
    started_at: datetime
    ended_at: datetime
    written: int = 0
    """Partitions whose content changed."""
    failed: int = 0
    """Partitions that could not be completed."""
    requests: int = 0
    """For candles, retries included."""
    errors: Mapping[str, int] | None = None
    """Attempts that failed, by the kind of error."""
    candles: int = 0
    """Received."""
    refused: int = 0
    """Rows that the audit kept out."""
    lag: timedelta | None = None
    """Commit time less the close of the newest candle, the longest of the series written."""
    answered_at: datetime | None = None
    """When the exchange last answered; None: it was not asked, or gave no answer."""
    latency: timedelta | None = None
    """From sending a request to its answer, the median."""


RUN_SCHEMA = pl.Schema(
    {
        "exchange": pl.String(),
        "kind": pl.String(),
        "started_at": TIME,
        "ended_at": TIME,
        **dict.fromkeys(_SUMS, pl.Int64()),
        "errors_json": pl.String(),
        "lag_ms": pl.Int64(),
        "latency_ms": pl.Int64(),
    }
)


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """One run of the log."""

    run_id: str
    kind: str
    started_at: datetime
    ended_at: datetime
    requests: int
    """For candles, retries included."""
    retries: int
    """Attempts that failed."""
    answered_at: datetime | None
    """When the exchange last answered it; None: never."""
    latency: timedelta | None
    """From sending a request to its answer, of the newest step that had one."""


class RunLog:
    """The runs of one lake."""

    def __init__(self, state: State) -> None:
        """Write to a state database."""
        self._state = state

    def add(self, step: Step) -> None:
        """Add a step to its run's row.

        Raises:
            StorageError: the database refuses.
        """
        key = [RUNS.c.run_id == step.run_id, RUNS.c.exchange == step.exchange]
        with self._state.write() as connection:
            before = connection.execute(sa.select(RUNS).where(*key)).mappings().first()
            connection.execute(RUNS.delete().where(*key))
            connection.execute(RUNS.insert().values(_merged(_values(step), before)))

    def since(self, exchange: str, start: datetime) -> list[LoggedRun]:
        """Return the runs of an exchange that began at or after a time, the oldest first.

        Raises:
            StorageError: the database cannot be read.
        """
        own = [RUNS.c.exchange == exchange, RUNS.c.started_at >= to_ms(start)]
        query = sa.select(*(RUNS.c[name] for name in _LOGGED)).where(*own)
        with self._state.read() as connection:
            rows = connection.execute(query.order_by(RUNS.c.started_at)).all()
        return [_logged(row) for row in rows]

    def newest_answer(self, exchange: str) -> LoggedRun | None:
        """Return the run in which an exchange last answered, of the newest hundred that asked it.

        Raises:
            StorageError: the database cannot be read.
        """
        query = (
            sa.select(*(RUNS.c[name] for name in _LOGGED))
            .where(RUNS.c.exchange == exchange, RUNS.c.answered_at.is_not(None))
            .order_by(RUNS.c.started_at.desc())
            # A backfill that began days ago may have heard from it after many ticks did.
            .limit(100)
        )
        with self._state.read() as connection:
            rows = connection.execute(query).all()
        return max(map(_logged, rows), key=lambda run: run.answered_at or _NEVER, default=None)

    def frame(self, since: datetime) -> pl.DataFrame:
        """Return the runs that ended since then, as `RUN_SCHEMA`, by exchange and end."""
        query = (
            sa.select(*(RUNS.c[name] for name in RUN_SCHEMA))
            .where(RUNS.c.ended_at >= to_ms(since))
            .order_by(RUNS.c.exchange, RUNS.c.ended_at)
        )
        with self._state.read() as connection:
            return to_frame(connection.execute(query).all(), RUN_SCHEMA)


def _logged(row: "sa.Row[Any]") -> LoggedRun:
    started, ended = (cast("datetime", to_time(ms)) for ms in (row.started_at, row.ended_at))
    latency = None if row.latency_ms is None else row.latency_ms * _MS
    counts = (row.requests, row.retries)
    return LoggedRun(
        row.run_id, row.kind, started, ended, *counts, to_time(row.answered_at), latency
    )


def _values(step: Step) -> dict[str, Any]:
    errors = dict(step.errors or {})
    return {
        "run_id": step.run_id,
        "exchange": step.exchange,
        "kind": step.kind,
        "started_at": to_ms(step.started_at),
        "ended_at": to_ms(step.ended_at),
        "steps": 1,
        "written": step.written,
        "failed": step.failed,
        "requests": step.requests,
        "retries": sum(errors.values()),
        "candles": step.candles,
        "refused": step.refused,
        "errors_json": json.dumps(errors, sort_keys=True),
        "lag_ms": None if step.lag is None else step.lag // _MS,
        "answered_at": to_ms(step.answered_at),
        "latency_ms": None if step.latency is None else round(step.latency / _MS),
    }


def _merged(new: dict[str, Any], before: sa.RowMapping | None) -> dict[str, Any]:
    if before is None:
        return new
    errors = Counter(json.loads(before["errors_json"])) + Counter(json.loads(new["errors_json"]))
    lags = [lag for lag in (before["lag_ms"], new["lag_ms"]) if lag is not None]
    return {
        **new,
        **{name: before[name] + new[name] for name in _SUMS},
        "started_at": min(before["started_at"], new["started_at"]),
        "ended_at": max(before["ended_at"], new["ended_at"]),
        "errors_json": json.dumps(dict(errors), sort_keys=True),
        "lag_ms": max(lags, default=None),
        **{name: before[name] if new[name] is None else new[name] for name in _NEWEST},
    }
