"""Scores: how good each partition of candles is, at most one row a day.

Holds the rows of the `quality` table; what a component is and how they are weighed is the business
of `quality/score.py` and of who computes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.domain.layers import Partition
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import Timeframe
from data_platform.storage.journal import partition_key
from data_platform.storage.state import State
from data_platform.storage.tables import COMPONENTS, PARTITION, QUALITY, to_frame, to_ms

SCORE_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "period": pl.String(),
        "day": pl.String(),
        "expected": pl.Int64(),
        "stored": pl.Int64(),
        **dict.fromkeys(COMPONENTS, pl.Float64()),
        "score_five": pl.Float64(),
        "score_four": pl.Float64(),
        "absent": pl.String(),
        "profiles": pl.String(),
        "basis": pl.String(),
        "checked_at": TIME,
    }
)

_OWN = [name for name in SCORE_SCHEMA if name not in PARTITION]


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """How good one partition is. Shares lie within 0 and 1; None: absent."""

    day: date
    """UTC day of the score; a later one of the same day replaces it."""
    expected: int
    """Candles that should be there."""
    stored: int
    completeness: float | None
    validity: float | None
    consistency: float | None
    accuracy: float | None
    timeliness: float | None
    score_five: float | None
    """By the profile `five_dimensions`; None when every component is absent."""
    score_four: float | None
    """By the profile `four_dimensions`."""
    absent: str
    """Components that nothing is known of, with commas between."""
    profiles: str
    """Name and version of both profiles."""
    basis: str
    """What it was computed from; it is computed anew when that has moved."""
    checked_at: datetime


class Scores:
    """The scores in one state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def record(self, connection: sa.Connection, rows: Sequence[tuple[Partition, ScoreRow]]) -> None:
        """Store scores in the caller's transaction; those of the same day are replaced."""
        if not rows:
            return
        names = [*PARTITION, "day"]
        values = [_values(partition, row) for partition, row in rows]
        same = [QUALITY.c[name] == sa.bindparam(f"key_{name}") for name in names]
        keys = [{f"key_{name}": value[name] for name in names} for value in values]
        connection.execute(QUALITY.delete().where(*same), keys)
        connection.execute(QUALITY.insert(), values)

    def newest(
        self, exchange: str, timeframe: Timeframe | None = None, since: Period | None = None
    ) -> pl.DataFrame:
        """Return the newest score of each partition of an exchange, as `SCORE_SCHEMA`.

        Args:
            exchange: whose partitions.
            timeframe: only of this one; None: of all.
            since: of this month and later ones; None: of all.
        """
        mine = _of(exchange, timeframe)
        mine += [] if since is None else [QUALITY.c.period >= since.key]
        newest = (
            sa.select(
                *(QUALITY.c[name] for name in PARTITION), sa.func.max(QUALITY.c.day).label("day")
            )
            .where(*mine)
            .group_by(*(QUALITY.c[name] for name in PARTITION))
            .subquery()
        )
        same = sa.and_(*(QUALITY.c[name] == newest.c[name] for name in (*PARTITION, "day")))
        return self._found(sa.select(*_columns()).join(newest, same))

    def history(self, exchange: str, timeframe: Timeframe | None = None) -> pl.DataFrame:
        """Return every score of an exchange that is kept, as `SCORE_SCHEMA`; arguments alike."""
        return self._found(sa.select(*_columns()).where(*_of(exchange, timeframe)))

    def _found(self, query: sa.Select[Any]) -> pl.DataFrame:
        order = [QUALITY.c[name] for name in ("timeframe", "pair", "period", "day")]
        with self._state.read() as connection:
            return to_frame(connection.execute(query.order_by(*order)).all(), SCORE_SCHEMA)


def _columns() -> list[sa.Column[Any]]:
    return [QUALITY.c[name] for name in SCORE_SCHEMA]


def _of(exchange: str, timeframe: Timeframe | None) -> list[sa.ColumnElement[bool]]:
    mine = [QUALITY.c.layer == "ohlcv", QUALITY.c.exchange == exchange]
    return mine if timeframe is None else [*mine, QUALITY.c.timeframe == timeframe.name]


def _values(partition: Partition, row: ScoreRow) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in _OWN}
    days = {"day": row.day.isoformat(), "checked_at": to_ms(row.checked_at)}
    return {**partition_key(partition), **own, **days}
