"""Columns of another market beside a series: of another pair, or the same one elsewhere.

Both candles close at the same time, so the other market's row of the same opening time is what is
known then; an older one never stands in for it. A candle that was only carried counts as missing:
whether it is carried shows once a later one has come.
"""

from dataclasses import dataclass

import polars as pl

from data_platform.domain.markets import Pair, Series
from data_platform.features.blocks import milliseconds, rows_at
from data_platform.features.returns import add_moves, return_columns, volatility_columns
from data_platform.indicators.columns import to_columns
from data_platform.indicators.indicator import Column


@dataclass(frozen=True, slots=True)
class MarketColumns:
    """Which columns of which other market a feature set joins."""

    alias: str
    """The end of their names: `return_1_btc`."""
    pair: Pair
    exchange: str | None = None
    """None: the exchange of the series that they stand beside."""
    returns: tuple[int, ...] = ()
    volatility: tuple[int, ...] = ()
    indicators: tuple[str, ...] = ()

    def beside(self, series: Series) -> Series:
        """Return the other market's series of the same timeframe."""
        return Series(self.exchange or series.exchange, self.pair, series.timeframe)

    @property
    def history(self) -> int:
        """Return how many rows of the other market `add_market` needs before the first wanted."""
        return max((*self.returns, *self.volatility), default=0)

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """Return the columns as they are named in their own market."""
        return (
            *return_columns(self.returns),
            *volatility_columns(self.volatility),
            *to_columns(self.indicators),
        )

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the joined columns."""
        where = f"{self.pair} on {self.exchange or 'the same exchange'}"
        return tuple(
            Column(
                f"{column.name}_{self.alias}",
                column.unit,
                f"{column.description[:-1]}; of {where}, of the candle that closes with this one.",
            )
            for column in self.own_columns
        )


def add_market(frame: pl.DataFrame, other: pl.DataFrame, joined: MarketColumns) -> pl.DataFrame:
    """Return the frame with another market's columns, null where its candle did not come.

    Args:
        frame: sorted by open_time; with `BLOCK` if it has several.
        other: the indicators layer of the other market, of the same timeframe, with enough rows
            before those that are joined, and `BLOCK` as `frame`.
        joined: which columns.

    Returns:
        Same rows; the columns of `joined.columns` more.
    """
    worked = add_moves(other, joined.returns, joined.volatility)
    pairs = zip(joined.own_columns, joined.columns, strict=True)
    names = {own.name: column.name for own, column in pairs}
    return frame.hstack(rows_at(frame, milliseconds(frame["open_time"]), worked, names))
