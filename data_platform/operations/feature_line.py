"""What a feature set reads of the lake, and how its columns come to be.

An indicator that the indicators layer does not hold is computed here from that layer's candles, by
the same formulas; under another fill policy than the grid's own all are.
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from data_platform.domain.candles import FILLED_SCHEMA, TimeRange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.features.feature_set import (
    KEPT,
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
from data_platform.operations.elsewhere import Elsewhere
from data_platform.operations.journal_book import JournalBook, Read, to_input
from data_platform.operations.lake import Lake
from data_platform.operations.past_rows import from_start, most, since, with_history
from data_platform.operations.recipe import Gathered, Ingredients, Pending, gathered
from data_platform.operations.stack import Stack, alike, stack


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """One feature set at one timeframe."""

    feature_set: FeatureSet
    timeframe: Timeframe
    stored: Collection[str] | None
    """The indicators that the layer holds; None: every one that the set names."""
    elsewhere: Elsewhere = field(default_factory=lambda: Elsewhere({}))
    """How the layers of the other exchanges that the set names are made."""

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

    def pending(self, partition: Partition, book: JournalBook) -> Pending | None:
        """Return what of other exchanges is to be made again before a partition."""
        return self.elsewhere.pending(partition, self.reads(partition), book)

    def gather(self, lake: Lake, partitions: Sequence[Partition]) -> Gathered:
        """Read what some partitions are computed from."""
        found = zip(partitions, self._read(lake, partitions), strict=True)
        return gathered({it: (tables.ingredients, tables) for it, tables in found}, self._compute)

    def _read(self, lake: Lake, partitions: Sequence[Partition]) -> list["_Tables"]:
        names, rows = self.feature_set.indicators, history_rows(self.feature_set)
        months = [(it.series, TimeRange(it.period.start, it.period.end)) for it in partitions]
        own = _Rows.of_ranges(lake, months, self._request(names, rows))
        coarse = {
            each: self._coarse(lake, own, each, wanted)
            for each, wanted in self.feature_set.joins.get(self.timeframe, {}).items()
        }
        seen = self.elsewhere.seen_from(lake, {it: self.reads(it) for it in partitions})
        markets = {
            it.alias: _Rows.of_ranges(
                seen,
                [(it.beside(each.series), each.reach) for each in own],
                self._request(it.indicators, it.history),
            )
            for it in self.feature_set.markets
        }
        return [
            _Tables(
                rows,
                {each: found[place] for each, found in coarse.items()},
                {alias: found[place] for alias, found in markets.items()},
            )
            for place, rows in enumerate(own)
        ]

    def _coarse(
        self, lake: Lake, own: Sequence["_Rows"], coarse: Timeframe, names: Sequence[str]
    ) -> list["_Rows"]:
        """Return the coarser rows that are joined to each; none where there is nothing to join."""
        request, fine = self._request(names, 0), self.timeframe
        wanted = {
            place: coarse_range(times[0], times[-1] + fine.duration, fine, coarse)
            for place, rows in enumerate(own)
            if len(times := rows.frame["open_time"])
        }
        ranges = [(own[place].series.at(coarse), it) for place, it in wanted.items()]
        found = dict(zip(wanted, _Rows.of_ranges(lake, ranges, request), strict=True))
        return [
            found.get(place) or _Rows(it.series.at(coarse), it.wanted, request, it.frame, {})
            for place, it in enumerate(own)
        ]

    def _compute(self, wanted: Sequence["_Tables"]) -> list[pl.DataFrame]:
        made: dict[int, pl.DataFrame] = {}
        for places in alike([it.kind for it in wanted]):
            made |= zip(places, self._build([wanted[place] for place in places]), strict=True)
        return [made[place] for place in range(len(wanted))]

    def _build(self, together: Sequence["_Tables"]) -> list[pl.DataFrame]:
        first = together[0]
        if first.own.frame.is_empty():
            return [feature_schema(self.feature_set, self.timeframe).to_frame() for _ in together]
        own = self._columns([it.own for it in together])
        beside = Beside(
            {
                each: self._columns([it.coarse[each] for it in together]).frame
                for each, rows in first.coarse.items()
                if rows.frame.height
            },
            {
                alias: self._columns([it.markets[alias] for it in together]).frame
                for alias, rows in first.markets.items()
                if rows.frame.height
            },
        )
        built = own.split(build_features(self.feature_set, own.frame, beside, self.timeframe))
        return [self._as_stored(part, it.own) for part, it in zip(built, together, strict=True)]

    def _as_stored(self, built: pl.DataFrame, own: "_Rows") -> pl.DataFrame:
        if self.feature_set.fill != CARRY_10.name:
            # A policy's segments end at gaps that the grid's do not; stored is what the grid says.
            built = built.update(own.frame.select("open_time", "segment"), on="open_time")
        return from_start(built, own.wanted.start)

    def _columns(self, together: Sequence["_Rows"]) -> Stack:
        """Return read rows under the set's fill policy, with what is computed on the fly."""
        policy = to_honest_policy(self.feature_set.fill)
        whole = stack([policy.apply(it.frame, it.series.timeframe) for it in together])
        names = together[0].request.computed
        if not names:
            return whole
        frame = whole.frame.drop(output_columns(names), strict=False)
        return replace(whole, frame=add_indicators(frame, names))

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
        return [*(FILLED_SCHEMA if self.computed else KEPT), *output_columns(self.held)]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of the indicators layer of one series, as read just now."""

    series: Series
    wanted: TimeRange
    request: _Request
    frame: pl.DataFrame
    """The range and what the request wants before it."""
    since: dict[Read, datetime]
    """From when on they matter; empty: everything older does."""

    @classmethod
    def of_ranges(
        cls, lake: Lake, wanted: Sequence[tuple[Series, TimeRange]], request: _Request
    ) -> "list[_Rows]":
        layer, rows = "indicators", request.rows
        frames = with_history(lake, layer, wanted, rows, request.columns)
        return [
            cls(series, it, request, frame, since((layer, series), frame, it.start, rows))
            for (series, it), frame in zip(wanted, frames, strict=True)
        ]

    @property
    def reach(self) -> TimeRange:
        """Return the range as far as there are rows."""
        start, times = self.wanted.start, self.frame["open_time"]
        last = times[-1] + self.series.timeframe.duration if len(times) else start
        return TimeRange(start, max(start, last))


@dataclass(frozen=True, slots=True)
class _Tables:
    """What one partition is computed from."""

    own: _Rows
    coarse: dict[Timeframe, _Rows]
    markets: dict[str, _Rows]
    """By alias."""

    @property
    def all(self) -> list[_Rows]:
        return [self.own, *self.coarse.values(), *self.markets.values()]

    @property
    def kind(self) -> tuple[Hashable, ...]:
        """Return the columns of each table; None of one without rows."""
        return tuple(tuple(it.frame.schema.items()) if it.frame.height else None for it in self.all)

    @property
    def ingredients(self) -> Ingredients:
        """Return what was read, as the journal is told of it."""
        return Ingredients(
            tuple(to_input("indicators", it.series, it.frame) for it in self.all),
            since=_earliest(self.all) if self.own.frame.height else dict(self.own.since),
        )


def _earliest(read: Sequence[_Rows]) -> dict[Read, datetime]:
    """Return from when on each series matters; of one that is read twice, the earlier time."""
    found: dict[Read, datetime | None] = {}
    for rows in read:
        key = ("indicators", rows.series)
        time = rows.since.get(key)
        known = found.get(key, time)
        found[key] = min(known, time) if known and time else None
    return {key: time for key, time in found.items() if time is not None}
