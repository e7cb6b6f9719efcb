"""The ledger: what is known about each run of grid times without a candle.

Holds the rows and their arithmetic; which status a hole deserves is decided by who fetched. Rows of
one series never overlap, and rows that touch and say the same are one row, so that the longest
run of missing candles can be read off, across months too.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME, TimeRange
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.storage.journal import series_key
from data_platform.storage.ledger_months import Said, count_changes
from data_platform.storage.state import State
from data_platform.storage.tables import GAPS, SERIES, to_frame, to_ms, to_time

Status = Literal[
    "open",
    "refused",
    "no_trades",
    "outage",
    "before_listing",
    "after_delisting",
    "unavailable",
    "repaired",
]
"""`open`: to be asked for, or behind the newest candle. `refused`: a candle came and failed the
audit. `no_trades`, `outage`: an answer confirmed it between two candles. `unavailable`: out of the
exchange's reach. `repaired`: an answer had confirmed it, a later one held candles; no hole."""

AND = "; "
"""Stands between the evidence of gaps that were joined."""

WAITING: tuple[Status, ...] = ("open", "refused")
"""What no answer has settled: to be asked for until one does."""

GAP_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "start": TIME,
        "end": TIME,
        "missing": pl.Int64(),
        "status": pl.String(),
        "confirmed": pl.Boolean(),
        "evidence": pl.String(),
        "tries": pl.Int64(),
        "next_try": TIME,
    }
)


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of grid times of one series without a candle, half-open."""

    series: Series
    start: datetime
    end: datetime
    missing: int
    """How many grid times; the ledger counts anew when it cuts or joins."""
    status: Status
    confirmed: bool
    """Whether a valid answer of the exchange covered the whole run."""
    evidence: str
    """What tells so, for people."""
    tries: int = 0
    """How often it was asked for with this outcome."""
    next_try: datetime | None = None
    """Not to be asked for again before; an `open` one that no answer has confirmed, only not by
    automation. None: `open` and `refused` ones at any time, others not again."""


class Ledger:
    """The gaps of all series in one state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def gaps(
        self,
        series: Series,
        start: datetime,
        end: datetime,
        statuses: Collection[Status] | None = None,
    ) -> list[Gap]:
        """Return every row that shares a grid time with the range, whole, in time order.

        Args:
            series: whose gaps.
            start: of the range.
            end: of the range, exclusive.
            statuses: only these; None: all.
        """
        query = overlapping(series, start, end)
        if statuses is not None:
            query = query.where(GAPS.c.status.in_(sorted(statuses)))
        with self._state.read() as connection:
            return [to_gap(series, row) for row in connection.execute(query).mappings()]

    def gaps_of(
        self,
        exchange: str,
        timeframe: Timeframe | None = None,
        statuses: Collection[Status] | None = None,
        due_by: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the gaps of all series of an exchange as `GAP_SCHEMA`, by series and time.

        Args:
            exchange: whose series.
            timeframe: only of this one; None: of all.
            statuses: only these; None: all.
            due_by: only those whose next try lies at or before it; None: all.
        """
        columns = [GAPS.c[name] for name in GAP_SCHEMA]
        query = sa.select(*columns).where(GAPS.c.exchange == exchange)
        if timeframe is not None:
            query = query.where(GAPS.c.timeframe == timeframe.name)
        if due_by is not None:
            query = query.where(GAPS.c.next_try <= to_ms(due_by))
        if statuses is not None:
            query = query.where(GAPS.c.status.in_(sorted(statuses)))
        with self._state.read() as connection:
            rows = connection.execute(query.order_by(*columns[:3])).all()
        return to_frame(rows, GAP_SCHEMA)

    def record(
        self,
        connection: sa.Connection,
        series: Series,
        start: datetime,
        end: datetime,
        gaps: Sequence[Gap],
    ) -> None:
        """Replace what the ledger holds inside a range, in the caller's transaction.

        A row that reaches over an edge is cut there; rows that touch and agree are joined.

        Args:
            connection: of `State.write`.
            series: whose gaps.
            start: of the range.
            end: of the range, exclusive.
            gaps: all gaps of the range, inside it.
        """
        # One step further on both sides: what only touches the range may have to be joined.
        step = series.timeframe.duration
        rows = connection.execute(overlapping(series, start - step, end + step)).mappings().all()
        before = {row["id"]: to_gap(series, row) for row in rows}
        kept = [piece for gap in before.values() for piece in _outside(gap, start, end)]
        rewrite(connection, series, before, join([*kept, *gaps]))


def overlapping(series: Series, start: datetime, end: datetime) -> sa.Select[Any]:
    """Return the query of every row that shares a grid time with a range, in time order."""
    # Rows of a series never overlap, so the last one that begins by `start` is the first to look
    # at: the index then spares the years before.
    mine = _equal(GAPS, series_key(series))
    begins = sa.select(sa.func.max(GAPS.c.start)).where(*mine, GAPS.c.start <= to_ms(start))
    return (
        sa.select(GAPS)
        .where(
            *mine,
            GAPS.c.start >= sa.func.coalesce(begins.scalar_subquery(), to_ms(start)),
            GAPS.c.start < to_ms(end),
            GAPS.c.end > to_ms(start),
        )
        .order_by(GAPS.c.start)
    )


def _equal(table: sa.Table, key: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == key[name] for name in SERIES]


def _outside(gap: Gap, start: datetime, end: datetime) -> list[Gap]:
    pieces = (replace(gap, end=min(gap.end, start)), replace(gap, start=max(gap.start, end)))
    return [piece for piece in pieces if piece.start < piece.end]


def join(gaps: Iterable[Gap]) -> list[Gap]:
    """Return gaps in time order, those that touch and agree as one."""
    joined: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: gap.start):
        last = joined[-1] if joined else None
        if last is not None and last.end == gap.start and _agree(last, gap):
            joined[-1] = _joined(last, gap)
        else:
            joined.append(gap)
    return joined


def _agree(one: Gap, other: Gap) -> bool:
    return one.status == other.status and one.confirmed == other.confirmed


def _joined(one: Gap, other: Gap) -> Gap:
    times = [gap.next_try for gap in (one, other) if gap.next_try is not None]
    if one.status in WAITING and one.confirmed:
        # One half that may be asked for at any time makes the whole due.
        next_try = min(times) if len(times) == 2 else None  # noqa: PLR2004  # the two joined
    else:
        # Of a hole only a part may have been asked for again, in vain.
        next_try = max(times, default=None)
    said = (one.evidence.split(AND), other.evidence.split(AND))
    evidence = dict.fromkeys(part for parts in said for part in parts if part)
    return replace(
        one,
        end=other.end,
        evidence=AND.join(evidence),
        tries=max(one.tries, other.tries),
        next_try=next_try,
    )


def rewrite(
    connection: sa.Connection, series: Series, before: Mapping[int, Gap], gaps: Sequence[Gap]
) -> None:
    """Put gaps of a series into the place of rows, given by id, in the caller's transaction."""
    if before:
        ids = [{"row": each} for each in before]
        connection.execute(GAPS.delete().where(GAPS.c.id == sa.bindparam("row")), ids)
    if gaps:
        connection.execute(GAPS.insert(), [_values(gap) for gap in gaps])
    count_changes(connection, series, _said(before.values()), _said(gaps))


def _said(gaps: Iterable[Gap]) -> Iterator[Said]:
    # What was repaired is no hole any more.
    return ((it.status, TimeRange(it.start, it.end)) for it in gaps if it.status != "repaired")


def _values(gap: Gap) -> dict[str, Any]:
    return {
        **series_key(gap.series),
        "start": to_ms(gap.start),
        "end": to_ms(gap.end),
        "missing": gap.series.timeframe.count(gap.start, gap.end),
        "status": gap.status,
        "confirmed": gap.confirmed,
        "evidence": gap.evidence,
        "tries": gap.tries,
        "next_try": to_ms(gap.next_try),
    }


def to_gap(series: Series, row: sa.RowMapping) -> Gap:
    """Return a row of the table as a value."""
    start, end = to_time(row["start"]), to_time(row["end"])
    if start is None or end is None:  # the columns are NOT NULL
        raise ValueError(f"a gap of {series} without edges")
    return Gap(
        series=series,
        start=start,
        end=end,
        missing=row["missing"],
        status=row["status"],
        confirmed=bool(row["confirmed"]),
        evidence=row["evidence"],
        tries=row["tries"],
        next_try=to_time(row["next_try"]),
    )
