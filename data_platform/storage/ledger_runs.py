"""Runs of the ledger: rows that touch are one hole, whatever the slices that found them.

Holds which runs a fetch may have put in another light and their rewriting in one transaction; what
a run is, decides who fetched.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from data_platform.domain.markets import Series
from data_platform.storage.journal import HEADS, equal, series_key
from data_platform.storage.ledger import Gap, join, overlapping, rewrite, to_gap
from data_platform.storage.state import State
from data_platform.storage.tables import COMMITS, GAPS, PARTITIONS, to_ms, to_time

JudgeRun = Callable[[Sequence[Gap], datetime, datetime], list[Gap]]
"""(touching rows in time order, the series' first and newest stored candle) -> the same rows, each
with what it is."""

Run = tuple[list[int], list[Gap], list[Gap]]
"""Touching rows: their ids, what they say, and what they should say."""


def judge_again(
    state: State, series: Series, seams: Collection[datetime], judge: JudgeRun
) -> list[Gap]:
    """Judge anew what a fetch may have put in another light, and rewrite what has changed.

    That is every confirmed `open` or `before_listing` row behind the series' first candle, and
    each run of touching rows that reaches up to or over a seam.

    Args:
        state: whose ledger.
        series: whose gaps.
        seams: where the slices of the fetch began and ended.
        judge: tells what the rows of a run are.

    Returns:
        The rows that have changed, as they are now.
    """
    with state.read() as connection:
        if not _changed_runs(connection, series, seams, judge):
            return []
    with state.write() as connection:
        changed: list[Gap] = []
        for ids, before, now in _changed_runs(connection, series, seams, judge):
            rewrite(connection, series, dict(zip(ids, before, strict=True)), join(now))
            changed += [gap for gap in now if gap not in before]
        return changed


def _changed_runs(
    connection: sa.Connection, series: Series, seams: Collection[datetime], judge: JudgeRun
) -> list[Run]:
    first, last = _edges_of_stored(connection, series)
    if first is None or last is None:
        return []
    spots = [(time, time) for time in sorted(seams)]
    spots += [(gap.start, gap.end) for gap in _behind(connection, series, first)]
    runs: dict[int, Run] = {}
    for start, end in spots:
        rows = _touching(connection, series, start, end)
        before = [to_gap(series, row) for row in rows]
        now = judge(before, first, last) if before else []
        if now != before:
            runs[rows[0]["id"]] = ([row["id"] for row in rows], before, now)
    return list(runs.values())


def _edges_of_stored(
    connection: sa.Connection, series: Series
) -> tuple[datetime | None, datetime | None]:
    stored = (
        sa.select(sa.func.min(COMMITS.c.first_open), sa.func.max(COMMITS.c.last_open))
        .select_from(HEADS)
        .where(PARTITIONS.c.layer == "ohlcv", *equal(PARTITIONS, series_key(series)))
    )
    first, last = connection.execute(stored).one()
    return to_time(first), to_time(last)


def _behind(connection: sa.Connection, series: Series, first: datetime) -> list[Gap]:
    query = sa.select(GAPS).where(
        *equal(GAPS, series_key(series)),
        GAPS.c.status.in_(["open", "before_listing"]),
        GAPS.c.confirmed.is_(True),
        GAPS.c.start > to_ms(first),
    )
    return [to_gap(series, row) for row in connection.execute(query).mappings()]


def _touching(
    connection: sa.Connection, series: Series, start: datetime, end: datetime
) -> Sequence[sa.RowMapping]:
    """Return the rows that touch a range or one another, up to the next stored candle."""
    step = series.timeframe.duration
    found: Sequence[sa.RowMapping] = []
    while True:
        query = overlapping(series, start - step, end + step)
        rows = connection.execute(query).mappings().all()
        if len(rows) == len(found):
            return rows
        found = rows
        edges = [to_gap(series, row) for row in (rows[0], rows[-1])]
        start, end = min(start, edges[0].start), max(end, edges[1].end)
