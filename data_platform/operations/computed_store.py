"""The lake as its newest months would be if every layer were computed now; nothing is written.

The recipes that write the derived layers are asked, with this store in the lake's place: so a row
that is not stored yet is the row that will be. Months before a given one are read as stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe
from data_platform.storage.many_series import Stretch
from data_platform.storage.partition_store import PartitionStore

Lines = Mapping[str, Mapping[Timeframe, Sequence[Recipe]]]
"""How the layers of each timeframe of each exchange are made."""


def recipe_of(
    lines: Lines, layer: str, series: Series, feature_set: str | None = None
) -> Recipe | None:
    """Return how a table of a series is made; None where it is not computed, or not configured."""
    recipes = lines.get(series.exchange, {}).get(series.timeframe, ())
    wanted = (layer, feature_set)
    return next((it for it in recipes if (it.layer, it.feature_set) == wanted), None)


Table = tuple[str, Series, str | None]
"""Layer, series and feature set."""


def computed_lake(
    lake: Lake,
    lines: Lines,
    since: datetime,
    given: Mapping[Series, pl.DataFrame] | None = None,
) -> Lake:
    """Return a lake to read whose derived layers are computed from a month on.

    Args:
        lake: what is stored.
        lines: the recipes of every exchange whose series are read.
        since: the first computed month's start.
        given: candles from that month on that take the place of the stored ones, by series.
    """
    store = ComputedStore(lake.store, _Plan(lake, lines, since, given or {}))
    computed = replace(lake, store=store)
    store.lake = computed
    return computed


@dataclass(slots=True)
class _Plan:
    lake: Lake
    lines: Lines
    since: datetime
    given: Mapping[Series, pl.DataFrame]
    made: dict[tuple[Table, Period], pl.DataFrame] = field(default_factory=dict)
    """What was computed, so that it is computed once."""


class ComputedStore(PartitionStore):
    """Reads what is stored and computes the rest; commits nothing of its own."""

    def __init__(self, stored: PartitionStore, plan: _Plan) -> None:
        """Read through a store, by a plan of what is computed."""
        super().__init__(stored.root, stored.state)
        self.lake = plan.lake
        self._stored = stored
        self._plan = plan

    def read_with_history(  # noqa: PLR0913  # as it is elsewhere
        self,
        layer: str,
        series: Series,
        start: datetime,
        end: datetime,
        rows: int,
        *,
        feature_set: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return the rows of a range and the newest `rows` before, stored or computed."""
        table, since = (layer, series, feature_set), self._plan.since
        if self._recipe(table) is None and not (layer == "ohlcv" and series in self._plan.given):
            return self._stored.read_with_history(
                layer, series, start, end, rows, feature_set=feature_set, columns=columns
            )
        parts = [self._month(table, month) for month in periods_between(since, max(start, end))]
        fresh = pl.concat(parts, how="diagonal") if parts else pl.DataFrame()
        times = pl.col("open_time")
        before = fresh.filter(times < start).tail(rows) if fresh.width else fresh
        inside = fresh.filter((times >= start) & (times < end)) if fresh.width else fresh
        older = self._stored.read_with_history(
            layer,
            series,
            min(start, since),
            min(end, since),
            max(0, rows - before.height),
            feature_set=feature_set,
        )
        found = pl.concat([it for it in (older, before, inside) if it.width], how="diagonal")
        return found if columns is None else found.select(it for it in columns if it in found)

    def read_many(
        self, layer: str, wanted: Sequence[Stretch], columns: Sequence[str] | None = None
    ) -> list[pl.DataFrame]:
        """Return the rows of each stretch, stored or computed."""
        return [
            self.read_with_history(layer, it.series, it.start, it.end, it.rows, columns=columns)
            for it in wanted
        ]

    def newest(self, exchange: str, layer: str = "ohlcv") -> dict[tuple[str, str], datetime]:
        """Return the last opening time of each series, of given candles where there are some."""
        found = self._stored.newest(exchange, layer)
        for series, candles in self._plan.given.items():
            key = (series.pair.key, series.timeframe.name)
            if series.exchange == exchange and layer == "ohlcv" and key in found:
                found[key] = self._last_given(series, candles, found[key])
        return found

    def _last_given(self, series: Series, candles: pl.DataFrame, stored: datetime) -> datetime:
        """Return the last of given candles; what is stored after them, if they reach as far."""
        since = self._plan.since
        if candles.is_empty():
            earlier = self._stored.read_before("ohlcv", series, since, 1)
            return earlier["open_time"][0] if earlier.height else since
        last: datetime = candles["open_time"][-1]
        month = next(periods_between(last, last + series.timeframe.duration))
        own = self._stored.read_range("ohlcv", series, last, month.end, columns=["open_time"])
        return stored if own.height == 1 else last

    def _recipe(self, table: Table) -> Recipe | None:
        layer, series, feature_set = table
        if layer == "ohlcv" and series in self._plan.given:
            return None
        recipes = self._plan.lines.get(series.exchange, {}).get(series.timeframe, ())
        return next(
            (it for it in recipes if (it.layer, it.feature_set) == (layer, feature_set)), None
        )

    def _month(self, table: Table, month: Period) -> pl.DataFrame:
        layer, series, feature_set = table
        recipe = self._recipe(table)
        if recipe is None:
            times = pl.col("open_time")
            given = self._plan.given[series]
            return given.filter((times >= month.start) & (times < month.end))
        key = (table, month)
        if key not in self._plan.made:
            partition = Partition(layer, series, month, feature_set)
            self._plan.made[key] = recipe.make(self.lake, partition)
        return self._plan.made[key]
