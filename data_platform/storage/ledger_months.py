"""Which months of the ledger have changed: numbers for each that count up.

What is computed from the ledger notes them, so that one look at a few thousand of them tells
whether any of a million rows says otherwise now. Evidence, tries and next tries do not count.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from data_platform.domain.candles import TimeRange, subtract_ranges
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, periods_between, to_period
from data_platform.domain.timeframes import Timeframe
from data_platform.storage.journal import among, equal, series_key
from data_platform.storage.state import State
from data_platform.storage.tables import LEDGER_MONTHS

Said = tuple[str, TimeRange]
"""A status and the times that have it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How often a month has come to say otherwise."""

    all: int
    """Of any time."""
    quiet: int
    """Of which times were without trades."""


MonthChanges = Mapping[Period, Changes]
"""Of one series; a month that is missing never changed."""


class LedgerMonths:
    """The numbers of one state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def of_series(self, series: Series) -> MonthChanges:
        """Return the numbers of a series."""
        return self.of_many([series]).get(series, {})

    def of_many(self, series: Collection[Series]) -> dict[Series, MonthChanges]:
        """Return the numbers of some series of one exchange and timeframe, where there are any."""
        found = self._found(among(LEDGER_MONTHS, series))
        named = {each: (each.timeframe.name, each.pair.key) for each in series}
        return {each: found[key] for each, key in named.items() if key in found}

    def of_exchange(
        self, exchange: str, timeframe: Timeframe | None = None, since: Period | None = None
    ) -> Mapping[tuple[str, str], MonthChanges]:
        """Return the numbers of every series of an exchange, by timeframe's name and pair's key.

        Args:
            exchange: whose series.
            timeframe: only of this one; None: of all.
            since: only of this month and later ones; None: of all.
        """
        own = {} if timeframe is None else {"timeframe": timeframe.name}
        return self._found(equal(LEDGER_MONTHS, {"exchange": exchange, **own}), since)

    def _found(
        self, wanted: Iterable[sa.ColumnElement[bool]], since: Period | None = None
    ) -> dict[tuple[str, str], dict[Period, Changes]]:
        query = sa.select(LEDGER_MONTHS).where(*wanted)
        if since is not None:
            query = query.where(LEDGER_MONTHS.c.period >= since.key)
        found: defaultdict[tuple[str, str], dict[Period, Changes]] = defaultdict(dict)
        with self._state.read() as connection:
            for row in connection.execute(query):
                changes = Changes(row.changes, row.quiet_changes)
                found[row.timeframe, row.pair][to_period(row.period)] = changes
        return dict(found)


def count_changes(
    connection: sa.Connection, series: Series, before: Iterable[Said], after: Iterable[Said]
) -> None:
    """Count up the months in which some time has another status, in the caller's transaction.

    Args:
        connection: of `State.write`.
        series: whose gaps.
        before: what is taken out of the ledger.
        after: what is put in its place.
    """
    changed = _changed_months(list(before), list(after))
    quiet = changed.pop("no_trades", set())
    columns = LEDGER_MONTHS.c
    for period in sorted(quiet.union(*changed.values())):
        key = {**series_key(series), "period": period.key}
        is_quiet = int(period in quiet)
        more = LEDGER_MONTHS.update().where(*equal(LEDGER_MONTHS, key))
        more = more.values(
            changes=columns.changes + 1, quiet_changes=columns.quiet_changes + is_quiet
        )
        if not connection.execute(more).rowcount:
            connection.execute(
                LEDGER_MONTHS.insert().values(**key, changes=1, quiet_changes=is_quiet)
            )


def _changed_months(before: list[Said], after: list[Said]) -> dict[str, set[Period]]:
    """Return, by status, the months in which some time has gained or lost it."""
    changed: dict[str, set[Period]] = {}
    for status in {status for status, _ in (*before, *after)}:
        old = [part for name, part in before if name == status]
        new = [part for name, part in after if name == status]
        parts = (*subtract_ranges(old, new), *subtract_ranges(new, old))
        changed[status] = {it for part in parts for it in periods_between(part.start, part.end)}
    return changed
