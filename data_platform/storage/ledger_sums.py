"""Short answers of the ledger: sums, edges and bare ranges, one statement each.

An exchange that omits quiet candles has tens of thousands of gaps a year and series: what only
needs their sum, their end or their hash must not make a value of each. `ledger.py` writes them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME, TimeRange
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.storage.journal import among, series_key
from data_platform.storage.ledger import WAITING, Status
from data_platform.storage.state import State
from data_platform.storage.tables import GAPS, SERIES, to_frame, to_ms, to_time

RANGE_SCHEMA = pl.Schema(
    {
        "start": TIME,
        "end": TIME,
        "status": pl.String(),
        "confirmed": pl.Boolean(),
        "next_try": TIME,
    }
)

SPAN_SCHEMA = pl.Schema({"start": TIME, "end": TIME})

TOTAL_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "status": pl.String(),
        "gaps": pl.Int64(),
        "missing": pl.Int64(),
        "newest": TIME,
    }
)
"""`newest`: start of the newest of these gaps."""

DAY_MS = 86_400_000

SPREAD_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "status": pl.String(),
        "start": TIME,
        "end": TIME,
        "missing": pl.Int64(),
    }
)
"""Gaps by the days they lie in: `start` is that of the first, `end` that of the last, `missing` the
sum; more than one gap is told by one row only where all of them lie inside one UTC day."""


@dataclass(frozen=True, slots=True)
class NewestGap:
    """The newest gap of a series."""

    start: datetime
    next_try: datetime | None


class LedgerSums:
    """What the gaps of one state database come to."""

    def __init__(self, state: State) -> None:
        self._state = state

    def missing(
        self,
        series: Series,
        start: datetime,
        end: datetime,
        statuses: Collection[Status] | None = None,
    ) -> int:
        """Return how many grid times of a range are holes that the ledger knows.

        Args:
            series: whose gaps.
            start: of the range.
            end: of the range, exclusive.
            statuses: only these; None: all that are holes.
        """
        query = _of_statuses(_MISSING, statuses)
        with self._state.read() as connection:
            found = connection.execute(query, _inside(series, start, end))
            return int(found.scalar_one()) // series.timeframe.ms

    def totals(self, exchange: str, timeframe: Timeframe | None = None) -> pl.DataFrame:
        """Return what the holes of every series of an exchange come to, by status.

        Args:
            exchange: whose series.
            timeframe: only of this one; None: of all.

        Returns:
            `TOTAL_SCHEMA`.
        """
        names = ("timeframe", "pair", "status")
        query = (
            sa.select(
                *(GAPS.c[name] for name in names),
                sa.func.count(),
                sa.func.sum(GAPS.c.missing),
                sa.func.max(GAPS.c.start),
            )
            .where(GAPS.c.exchange == exchange, IS_HOLE)
            .group_by(*(GAPS.c[name] for name in names))
        )
        if timeframe is not None:
            query = query.where(GAPS.c.timeframe == timeframe.name)
        with self._state.read() as connection:
            return to_frame(connection.execute(query).all(), TOTAL_SCHEMA)

    def spread(self, exchange: str, timeframe: Timeframe | None = None) -> pl.DataFrame:
        """Return the holes of every series of an exchange, those inside one UTC day summed up.

        A thin market has tens of thousands of gaps a year, and 366 days.

        Args:
            exchange: whose series.
            timeframe: only of this one; None: of all.

        Returns:
            `SPREAD_SCHEMA`, by series and time.
        """
        names = [GAPS.c[name] for name in ("timeframe", "pair", "status")]
        first = GAPS.c.start // DAY_MS
        # Gaps of a series never overlap, so at most one of them goes over any midnight.
        last = (GAPS.c.end - 1) // DAY_MS
        query = (
            sa.select(
                *names,
                sa.func.min(GAPS.c.start).label("start"),
                sa.func.max(GAPS.c.end),
                sa.func.sum(GAPS.c.missing),
            )
            .where(GAPS.c.exchange == exchange, IS_HOLE)
            .group_by(*names, first, last)
            .order_by(*names[:2], "start")
        )
        if timeframe is not None:
            query = query.where(GAPS.c.timeframe == timeframe.name)
        with self._state.read() as connection:
            return to_frame(connection.execute(query).all(), SPREAD_SCHEMA)

    def ranges(
        self,
        series: Series,
        start: datetime,
        end: datetime,
        statuses: Collection[Status] | None = None,
    ) -> pl.DataFrame:
        """Return every gap that shares a grid time with the range, whole, in time order.

        Args:
            series: whose gaps.
            start: of the range.
            end: of the range, exclusive.
            statuses: only these; None: all that are holes.

        Returns:
            `RANGE_SCHEMA`.
        """
        query = _of_statuses(_RANGES, statuses)
        with self._state.read() as connection:
            rows = connection.execute(query, _inside(series, start, end)).all()
        return to_frame(rows, RANGE_SCHEMA)

    def ranges_of_many(
        self, wanted: Sequence[tuple[Series, TimeRange]], statuses: Collection[Status]
    ) -> list[pl.DataFrame]:
        """Return, as `ranges`, the gaps of each of some series of one exchange and timeframe.

        Args:
            wanted: of which series, which range.
            statuses: only these.
        """
        if not wanted:
            return []
        query = sa.select(GAPS.c.pair, *(GAPS.c[name] for name in RANGE_SCHEMA)).where(
            *among(GAPS, {series for series, _ in wanted}),
            GAPS.c.status.in_(sorted(statuses)),
            GAPS.c.start < to_ms(max(it.end for _, it in wanted)),
            GAPS.c.end > to_ms(min(it.start for _, it in wanted)),
        )
        found: dict[str, list[sa.Row[Any]]] = {}
        with self._state.read() as connection:
            for row in connection.execute(query.order_by(GAPS.c.start)):
                found.setdefault(row.pair, []).append(row)
        return [
            to_frame(
                [
                    tuple(row)[1:]
                    for row in found.get(series.pair.key, ())
                    if row.start < to_ms(it.end) and row.end > to_ms(it.start)
                ],
                RANGE_SCHEMA,
            )
            for series, it in wanted
        ]

    def confirmed_until(self, wanted: Iterable[Series]) -> dict[Series, datetime]:
        """Return the end of the newest confirmed gap of each series that has one."""
        # Rows of a series never overlap: the one that starts last ends last.
        query = (
            sa.select(GAPS.c.end)
            .where(*_ONE_SERIES, IS_HOLE, GAPS.c.confirmed.is_(True))
            .order_by(GAPS.c.start.desc())
            .limit(1)
        )
        found = {}
        with self._state.read() as connection:
            for series in wanted:
                time = to_time(connection.execute(query, dict(series_key(series))).scalar())
                if time is not None:
                    found[series] = time
        return found

    def newest_gaps(self, wanted: Iterable[Series], status: Status) -> dict[Series, NewestGap]:
        """Return the newest gap of a status of each series that has one."""
        query = (
            sa.select(GAPS.c.start, GAPS.c.next_try)
            .where(*_ONE_SERIES, GAPS.c.status == status)
            .order_by(GAPS.c.start.desc())
            .limit(1)
        )
        found = {}
        with self._state.read() as connection:
            for series in wanted:
                row = connection.execute(query, dict(series_key(series))).one_or_none()
                start = to_time(row.start) if row else None
                if row and start:
                    found[series] = NewestGap(start, to_time(row.next_try))
        return found

    def unconfirmed_since(
        self, wanted: Iterable[Series], start: datetime
    ) -> dict[Series, list[TimeRange]]:
        """Return the gaps of each series that no answer has confirmed.

        Args:
            wanted: the series.
            start: only those that begin at or after it.
        """
        query = sa.select(GAPS.c.start, GAPS.c.end).where(
            *_ONE_SERIES,
            GAPS.c.status.in_(WAITING),
            GAPS.c.start >= to_ms(start),
            GAPS.c.confirmed.is_(False),
        )
        found: dict[Series, list[TimeRange]] = {}
        with self._state.read() as connection:
            for series in wanted:
                rows = connection.execute(query, dict(series_key(series))).all()
                if rows:
                    spans = to_frame(rows, SPAN_SCHEMA).rows()
                    found[series] = [TimeRange(first, last) for first, last in spans]
        return found


# Built once: to build a statement costs more than to carry it out, and a tick asks for each series.
_ONE_SERIES = [GAPS.c[name] == sa.bindparam(name) for name in SERIES]

IS_HOLE = GAPS.c.status != "repaired"
"""What was repaired holds candles again; its rows only tell that it was a hole once."""


_FIRST, _LAST = (sa.bindparam(name, type_=sa.BigInteger) for name in ("first", "last"))
_INSIDE = [*_ONE_SERIES, IS_HOLE, GAPS.c.start < _LAST, GAPS.c.end > _FIRST]
_BEGIN = sa.case((GAPS.c.start < _FIRST, _FIRST), else_=GAPS.c.start)
_CLOSE = sa.case((GAPS.c.end > _LAST, _LAST), else_=GAPS.c.end)
_MISSING = sa.select(sa.func.coalesce(sa.func.sum(_CLOSE - _BEGIN), 0)).where(*_INSIDE)
_RANGES = sa.select(*(GAPS.c[name] for name in RANGE_SCHEMA)).where(*_INSIDE).order_by(GAPS.c.start)


def _inside(series: Series, start: datetime, end: datetime) -> dict[str, Any]:
    return {**series_key(series), "first": to_ms(start), "last": to_ms(end)}


def _of_statuses(query: sa.Select[Any], statuses: Collection[Status] | None) -> sa.Select[Any]:
    return query if statuses is None else query.where(GAPS.c.status.in_(sorted(statuses)))
