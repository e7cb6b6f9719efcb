"""Features that are newer than the newest stored ones, computed from the lake as they will be.

Nothing is written. What is computed are the same recipes' results, so a row read today is the row
that will be stored.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.candles import TIME
from data_platform.domain.errors import NotStoredError
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.operations.computed_store import Lines, computed_lake
from data_platform.operations.lake import Lake
from data_platform.storage.complete import Wanted, read_available, read_complete


@dataclass(frozen=True, slots=True)
class FeatureDesk:
    """Answers what the features of one series are, stored or computed."""

    lake: Lake
    lines: Lines
    series: Series
    feature_set: str
    """`<name>-v<version>`."""

    def read(self, wanted: Wanted, *, allow_missing: bool = False) -> pl.DataFrame:
        """Return the features of a range; what is newer than the newest stored row is computed.

        Raises:
            NotStoredError: a month before the newest stored one, or without any candle, was never
                materialized.
            DamagedFileError: a file is gone, torn or changed.
        """
        read = read_available if allow_missing else read_complete
        own, newest = self._newest("features"), self._newest("ohlcv")
        if own is None or newest is None or newest <= own:
            return read(self.lake.store, wanted)
        edge = own + self.series.timeframe.duration
        until = max(edge, min(wanted.end, period_of(newest).end))
        stored = [(wanted.start, min(edge, wanted.end)), (max(until, wanted.start), wanted.end)]
        parts = [
            read(self.lake.store, Wanted("features", self.series, start, end, self.feature_set))
            for start, end in stored
            if start < end
        ]
        start = max(edge, wanted.start)
        if start < until:
            fresh = computed_lake(self.lake, self.lines, period_of(own).start).store
            asked = ("features", self.series, start, until)
            parts.insert(1, fresh.read_range(*asked, feature_set=self.feature_set))
        return pl.concat(parts, how="diagonal").sort("open_time")

    def known_at(self, time: datetime) -> dict[str, object]:
        """Return the newest row of a candle that the exchange had sent and that had closed.

        Raises:
            NotStoredError: no such candle is stored.
        """
        duration = self.series.timeframe.duration
        since = self._behind_since()
        fresh = since is not None and time >= since
        lake = computed_lake(self.lake, self.lines, since) if fresh and since else self.lake
        opened = pl.Series([time - duration], dtype=TIME).dt.offset_by("1ms")[0]
        rows, found = 16, pl.DataFrame()
        while True:
            asked = ("features", self.series, opened, rows)
            held = lake.store.read_before(*asked, feature_set=self.feature_set)
            # Whether a gap is carried shows once a later candle has come.
            found = held.filter(~pl.col("is_filled")) if held.height else held
            if found.height or held.height < rows:
                break
            rows *= 8
        if found.is_empty():
            raise NotStoredError(
                f"features[{self.feature_set}] of {self.series}: no candle that had closed at "
                f"{time:%Y-%m-%d %H:%M:%S} UTC is stored. Materialize its month."
            )
        close = (pl.col("open_time") + duration).alias("available_at")
        return found.tail(1).with_columns(close).row(0, named=True)

    def _behind_since(self) -> datetime | None:
        """Return from which month on rows are to be computed; None: everything is stored."""
        own, candles = self._newest("features"), self._newest("ohlcv")
        if own is None or candles is None or candles <= own:
            return None
        return period_of(own).start

    def _newest(self, layer: str) -> datetime | None:
        series = self.series
        rows = self.lake.store.journal_rows(layer, series.exchange, series.timeframe, series.pair)
        wanted = self.feature_set if layer == "features" else None
        return max(
            (row.last for row in rows if row.last and row.feature_set == wanted), default=None
        )
