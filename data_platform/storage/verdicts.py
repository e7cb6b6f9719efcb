"""Verdicts: what each rule said of each partition, at most one row a day.

Holds the rows of the `verdicts` table; what a rule is and when it fails is the business of the room
`quality` and of who evaluates it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.domain.layers import Partition
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import Timeframe
from data_platform.storage.journal import partition_key
from data_platform.storage.state import State
from data_platform.storage.tables import PARTITION, VERDICTS, to_frame, to_ms

VERDICT_SCHEMA = pl.Schema(
    {
        "pair": pl.String(),
        "period": pl.String(),
        "feature_set": pl.String(),
        "rule": pl.String(),
        "day": pl.String(),
        "severity": pl.String(),
        "count": pl.Int64(),
        "checked": pl.Int64(),
        "rows_json": pl.String(),
        "threshold_json": pl.String(),
        "measured_json": pl.String(),
        "checked_at": TIME,
    }
)

BASIS_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "period": pl.String(),
        "rule": pl.String(),
        "basis": pl.String(),
        "checked_at": TIME,
    }
)

COUNT_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "period": pl.String(),
        "rule": pl.String(),
        "count": pl.Int64(),
        "checked": pl.Int64(),
        "checked_at": TIME,
    }
)

FAILED_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(PARTITION, pl.String()),
        "rule": pl.String(),
        "severity": pl.String(),
        "count": pl.Int64(),
        "checked": pl.Int64(),
        "rows_json": pl.String(),
    }
)


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What one rule said of one partition."""

    rule: str
    day: date
    """UTC day of the verdict; a later one of the same day replaces it."""
    severity: str
    count: int
    """Offending rows; 0 is a pass."""
    checked: int
    """Rows looked at."""
    rows_json: str
    """The first ten of them, as a JSON list."""
    threshold_json: str
    """The thresholds used, as a JSON object."""
    checked_at: datetime
    measured_json: str = "{}"
    """What was measured on the way, as a JSON object."""
    basis: str = ""
    """What else it rests on than the partition itself; it is judged anew when that has moved."""


class Verdicts:
    """The verdicts in one state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def record(
        self, connection: sa.Connection, partition: Partition, rows: Sequence[VerdictRow]
    ) -> None:
        """Store verdicts in the caller's transaction; those of the same day are replaced."""
        if not rows:
            return
        key = partition_key(partition)
        names = [*PARTITION, "rule", "day"]
        values = [
            {
                **key,
                "rule": row.rule,
                "day": row.day.isoformat(),
                "severity": row.severity,
                "count": row.count,
                "checked": row.checked,
                "rows_json": row.rows_json,
                "threshold_json": row.threshold_json,
                "measured_json": row.measured_json,
                "basis": row.basis,
                "checked_at": to_ms(row.checked_at),
            }
            for row in rows
        ]
        same = [VERDICTS.c[name] == sa.bindparam(f"key_{name}") for name in names]
        connection.execute(
            VERDICTS.delete().where(*same),
            [{f"key_{name}": value[name] for name in names} for value in values],
        )
        connection.execute(VERDICTS.insert(), values)

    def newest(self, exchange: str, layer: str, timeframe: Timeframe) -> pl.DataFrame:
        """Return the newest verdict of each partition and rule, as `VERDICT_SCHEMA`."""
        mine = [
            VERDICTS.c.layer == layer,
            VERDICTS.c.exchange == exchange,
            VERDICTS.c.timeframe == timeframe.name,
        ]
        names = ("pair", "feature_set", "period", "rule")
        return self._newest(mine, VERDICT_SCHEMA, names)

    def counts(
        self,
        exchange: str,
        rules: Collection[str],
        timeframe: Timeframe | None = None,
        since: Period | None = None,
    ) -> pl.DataFrame:
        """Return what the newest verdicts of some rules on an exchange's candles come to.

        Args:
            exchange: whose candles.
            rules: names.
            timeframe: only of this one; None: of all.
            since: of this month and later ones; None: of all.

        Returns:
            `COUNT_SCHEMA`, sorted.
        """
        mine = [
            VERDICTS.c.layer == "ohlcv",
            VERDICTS.c.exchange == exchange,
            VERDICTS.c.rule.in_(sorted(rules)),
            *([] if timeframe is None else [VERDICTS.c.timeframe == timeframe.name]),
            *([] if since is None else [VERDICTS.c.period >= since.key]),
        ]
        return self._newest(mine, COUNT_SCHEMA, ("timeframe", "pair", "period", "rule"))

    def failed(self, exchange: str) -> pl.DataFrame:
        """Return those newest verdicts of an exchange, of any layer, that are no pass.

        Returns:
            `FAILED_SCHEMA`, by partition and rule.
        """
        mine, is_failed = [VERDICTS.c.exchange == exchange], VERDICTS.c["count"] > 0
        return self._newest(mine, FAILED_SCHEMA, (*PARTITION, "rule"), is_failed)

    def bases(
        self, exchange: str, rules: Collection[str], since: Period | None = None
    ) -> pl.DataFrame:
        """Return what the newest verdicts of some rules rest on, as `BASIS_SCHEMA`, sorted.

        Args:
            exchange: whose candles.
            rules: names of rules that rest on more than their own partition.
            since: of this month and later ones; None: of all.
        """
        mine = [
            VERDICTS.c.layer == "ohlcv",
            VERDICTS.c.exchange == exchange,
            VERDICTS.c.rule.in_(sorted(rules)),
            *([] if since is None else [VERDICTS.c.period >= since.key]),
        ]
        return self._newest(mine, BASIS_SCHEMA, ("timeframe", "pair", "period", "rule"))

    def _newest(
        self,
        mine: Sequence[sa.ColumnElement[bool]],
        schema: pl.Schema,
        order: Sequence[str],
        *wanted: sa.ColumnElement[bool],
    ) -> pl.DataFrame:
        names = [*PARTITION, "rule"]
        columns = [VERDICTS.c[name] for name in names]
        last = (
            sa.select(*columns, sa.func.max(VERDICTS.c.day).label("day"))
            .where(*mine)
            .group_by(*columns)
            .subquery()
        )
        same = sa.and_(*(VERDICTS.c[name] == last.c[name] for name in [*names, "day"]))
        query = (
            sa.select(*(VERDICTS.c[name] for name in schema))
            .join(last, same)
            .where(*wanted)
            .order_by(*(VERDICTS.c[name] for name in order))
        )
        with self._state.read() as connection:
            return to_frame(connection.execute(query).all(), schema)
