"""Instruments: how many decimals each market's candles have needed so far, for every process.

Holds the rows of the `instruments` table. A program that wants one precision a market gets the
widest that any stored month has needed; it never shrinks, so that runs of several timeframes agree
in the end, whichever comes first.
"""

import sqlalchemy as sa

from data_platform.domain.markets import Market, from_key
from data_platform.domain.precision import Precision
from data_platform.storage.state import State
from data_platform.storage.tables import INSTRUMENTS


class Instruments:
    """The instruments in one state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def of_exchange(self, exchange: str) -> dict[Market, Precision]:
        """Return what the candles of each known market have needed so far.

        Raises:
            StorageError: the database cannot be read.
        """
        query = sa.select(INSTRUMENTS).where(INSTRUMENTS.c.exchange == exchange)
        with self._state.read() as connection:
            return {
                Market(exchange, from_key(row.pair)): _precision(row)
                for row in connection.execute(query)
            }

    def widen(self, market: Market, needed: Precision) -> Precision:
        """Note that a market's candles need some decimals, and return what all need together.

        Raises:
            StorageError: the database cannot be written.
        """
        with self._state.write() as connection:
            before = _found(connection, market)
            after = before.widened(needed)
            if after != before:
                connection.execute(INSTRUMENTS.delete().where(*_is(market)))
                connection.execute(
                    INSTRUMENTS.insert().values(
                        exchange=market.exchange,
                        pair=market.pair.key,
                        price_decimals=after.price,
                        size_decimals=after.size,
                    )
                )
        return after


def _found(connection: sa.Connection, market: Market) -> Precision:
    row = connection.execute(sa.select(INSTRUMENTS).where(*_is(market))).one_or_none()
    return Precision(0, 0) if row is None else _precision(row)


def _precision(row: sa.Row[tuple[object, ...]]) -> Precision:
    return Precision(row.price_decimals, row.size_decimals)


def _is(market: Market) -> tuple[sa.ColumnElement[bool], ...]:
    return (INSTRUMENTS.c.exchange == market.exchange, INSTRUMENTS.c.pair == market.pair.key)
