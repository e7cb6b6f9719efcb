"""Breakers: which exchanges have stopped answering, for every process of this lake.

Holds the rows of the `breakers` table; when one opens and closes is the business of who asks.
"""

from collections.abc import Callable

import sqlalchemy as sa

from data_platform.domain.breaker import CLOSED, BreakerState
from data_platform.storage.state import State
from data_platform.storage.tables import BREAKERS, to_ms, to_time


class Breakers:
    """The breakers in one state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, exchange: str) -> BreakerState:
        """Return the breaker of an exchange; closed where nothing is known.

        Raises:
            StorageError: the database cannot be read.
        """
        with self._state.read() as connection:
            return _found(connection, exchange)

    def change(
        self, exchange: str, change: Callable[[BreakerState], BreakerState]
    ) -> tuple[BreakerState, BreakerState]:
        """Replace the breaker of an exchange; no other process can step in between.

        Args:
            exchange: our name.
            change: the new value of the old one; must not touch the database.

        Returns:
            What it was and what it is.

        Raises:
            StorageError: the database cannot be written.
        """
        with self._state.write() as connection:
            before = _found(connection, exchange)
            after = change(before)
            if after != before:
                connection.execute(BREAKERS.delete().where(BREAKERS.c.exchange == exchange))
                connection.execute(BREAKERS.insert().values(_to_row(exchange, after)))
        return before, after


def _found(connection: sa.Connection, exchange: str) -> BreakerState:
    query = sa.select(BREAKERS).where(BREAKERS.c.exchange == exchange)
    row = connection.execute(query).one_or_none()
    if row is None:
        return CLOSED
    return BreakerState(
        row.state, row.failures, to_time(row.opened_at), to_time(row.until), row.reason
    )


def _to_row(exchange: str, state: BreakerState) -> dict[str, object]:
    return {
        "exchange": exchange,
        "state": state.state,
        "failures": state.failures,
        "opened_at": to_ms(state.opened_at),
        "until": to_ms(state.until),
        "reason": state.reason,
    }
