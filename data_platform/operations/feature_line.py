"""What a feature set reads of the lake, and how its columns come to be.

An indicator that the indicators layer does not hold is computed here from that layer's candles, by
the same formulas; under another fill policy than the grid's own all are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.candles import FILLED_SCHEMA, TimeRange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.features.feature_set import (
    Beside,
    FeatureSet,
    build_features,
    feature_schema,
    history_rows,
)
from data_platform.features.fill_policy import CARRY_10, to_honest_policy
from data_platform.features.timeframes import coarse_range
from data_platform.indicators.columns import add_indicators, output_columns, warm_up
from data_platform.indicators.indicator import ALL, WarmUp
from data_platform.operations.journal_book import Read, to_input
from data_platform.operations.lake import Lake
from data_platform.operations.past_rows import from_start, most, since, with_history
from data_platform.operations.recipe import Gathered, Ingredients, gathered


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """One feature set at one timeframe."""

    feature_set: FeatureSet
    timeframe: Timeframe
    stored: Collection[str] | None
    """The indicators that the layer holds; None: every one that the set names."""

    def reads(self, partition: Partition) -> tuple[Read, ...]:
        """Return the layers and series that a partition reads."""
        series = partition.series
        coarser = self.feature_set.joins.get(self.timeframe, {})
        found = [series, *(series.at(each) for each in coarser)]
        found += [each.beside(series) for each in self.feature_set.markets]
        return tuple(("indicators", each) for each in dict.fromkeys(found))

    @property
    def is_endless(self) -> bool:
        """Return whether a month may need all rows before it, however many there are."""
        coarser = self.feature_set.joins.get(self.timeframe, {}).values()
        markets = (it.indicators for it in self.feature_set.markets)
        wanted = (self.feature_set.indicators, *coarser, *markets)
        return any(self._request(names, 0).rows == ALL for names in wanted)

    def gather(self, lake: Lake, partitions: Sequence[Partition]) -> Gathered:
        """Read what some partitions are computed from."""
        found = {partition: self._read(lake, partition) for partition in partitions}
        return gathered(found, lambda wanted: [self._compute(it) for it in wanted])

    def _read(self, lake: Lake, partition: Partition) -> tuple[Ingredients, "_Tables"]:
        series, start = partition.series, partition.period.start
        names, rows = self.feature_set.indicators, history_rows(self.feature_set)
        month = TimeRange(start, partition.period.end)
        own = _Rows.of_range(lake, series, month, self._request(names, rows))
        end = own.frame["open_time"][-1] + series.timeframe.duration if own.frame.height else start
        until = TimeRange(start, max(start, end))
        coarse = {
            each: self._coarse(lake, own.frame, series.at(each), wanted)
            for each, wanted in self.feature_set.joins.get(self.timeframe, {}).items()
        }
        markets = {
            it.alias: _Rows.of_range(
                lake, it.beside(series), until, self._request(it.indicators, it.history)
            )
            for it in self.feature_set.markets
        }
        read = [own, *coarse.values(), *markets.values()]
        ingredients = Ingredients(
            tuple(to_input("indicators", it.series, it.frame) for it in read),
            since=_earliest(read) if own.frame.height else dict(own.since),
        )
        return ingredients, _Tables(start, own, coarse, markets)

    def _compute(self, tables: "_Tables") -> pl.DataFrame:
        if tables.own.frame.is_empty():
            return feature_schema(self.feature_set, self.timeframe).to_frame()
        return from_start(self._build(tables), tables.start)

    def _build(self, tables: "_Tables") -> pl.DataFrame:
        own, coarse, markets = tables.own, tables.coarse, tables.markets
        frame = self._columns(own)
        beside = Beside(
            {each: self._columns(it) for each, it in coarse.items() if it.frame.height},
            {alias: self._columns(it) for alias, it in markets.items() if it.frame.height},
        )
        built = build_features(self.feature_set, frame, beside, self.timeframe)
        # A policy's segments end at gaps that the grid's do not; stored is what the grid says.
        kept = own.frame.select("open_time", "segment")
        return built.update(kept, on="open_time") if frame is not own.frame else built

    def _columns(self, rows: "_Rows") -> pl.DataFrame:
        """Return read rows under the set's fill policy, with what is computed on the fly."""
        policy = to_honest_policy(self.feature_set.fill)
        frame = policy.apply(rows.frame, rows.series.timeframe)
        names = rows.request.computed
        if not names:
            return frame
        return add_indicators(frame.drop(output_columns(names), strict=False), names)

    def _coarse(
        self, lake: Lake, frame: pl.DataFrame, series: Series, names: Sequence[str]
    ) -> "_Rows":
        request = self._request(names, 0)
        if frame.is_empty():
            return _Rows(series, frame, request, {})
        times, own = frame["open_time"], self.timeframe
        needed = coarse_range(times[0], times[-1] + own.duration, own, series.timeframe)
        return _Rows.of_range(lake, series, needed, request)

    def _request(self, names: Sequence[str], rows: int) -> "_Request":
        is_own_grid = self.feature_set.fill == CARRY_10.name
        held = names if self.stored is None else [it for it in names if it in self.stored]
        held = held if is_own_grid else ()
        computed = tuple(it for it in names if it not in held)
        return _Request(tuple(held), computed, most(rows, warm_up(computed)))


@dataclass(frozen=True, slots=True)
class _Request:
    """What is wanted of one series."""

    held: tuple[str, ...]
    """Indicators that are read."""
    computed: tuple[str, ...]
    """Indicators that are computed."""
    rows: WarmUp
    """Before the first that is joined."""

    @property
    def columns(self) -> list[str]:
        return [*FILLED_SCHEMA, *output_columns(self.held)]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of the indicators layer of one series, as read just now."""

    series: Series
    frame: pl.DataFrame
    request: _Request
    since: dict[Read, datetime]
    """From when on they matter; empty: everything older does."""

    @classmethod
    def of_range(cls, lake: Lake, series: Series, wanted: TimeRange, request: _Request) -> "_Rows":
        read = ("indicators", series)
        frame = with_history(lake, read, wanted, request.rows, request.columns)
        return cls(series, frame, request, since(read, frame, wanted.start, request.rows))


@dataclass(frozen=True, slots=True)
class _Tables:
    """What one partition is computed from."""

    start: datetime
    """Of the month."""
    own: _Rows
    coarse: dict[Timeframe, _Rows]
    markets: dict[str, _Rows]
    """By alias."""


def _earliest(read: Sequence[_Rows]) -> dict[Read, datetime]:
    """Return from when on each series matters; of one that is read twice, the earlier time."""
    found: dict[Read, datetime | None] = {}
    for rows in read:
        key = ("indicators", rows.series)
        time = rows.since.get(key)
        known = found.get(key, time)
        found[key] = min(known, time) if known and time else None
    return {key: time for key, time in found.items() if time is not None}
