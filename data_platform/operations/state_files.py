"""Write the files that tell other programs how things stand; the one way, whoever asks for it.

What is shared by all exchanges is computed anew for all of them each time: an exchange whose line
has stopped grows late in everybody's eyes, and nobody overwrites what another has found.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from pydantic import BaseModel

from data_platform.domain.exchanges import QuietCandle
from data_platform.domain.markets import Market, Series
from data_platform.domain.state_files import DataStatus, SourceStatus
from data_platform.operations.data_status import Quality, SeriesFacts, to_data_status, to_source
from data_platform.operations.due import SeriesStatus, series_status
from data_platform.operations.health_report import ReportRules, Watched
from data_platform.operations.incidents import SPAN, Incident, find_incidents
from data_platform.operations.lake import Lake
from data_platform.operations.market_state import (
    HISTORY,
    MarketCandles,
    read_market,
    to_context,
    to_latest,
)
from data_platform.operations.quality_report import to_quality_report
from data_platform.quality.continuity import COUNTED_STATUSES
from data_platform.storage.newest import NewestReader
from data_platform.storage.recent import recent_gaps
from data_platform.storage.state_files import StateFiles

PER_MARKET = ("latest_ohlcv", "market_context")
"""Kinds that have one file a market."""


@dataclass(slots=True)
class StateReport:
    """What was written."""

    status: DataStatus
    folder: Path
    """Where the state files lie."""
    files: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    """Files of markets that are not configured any more."""
    unread: list[str] = field(default_factory=list)
    """What could not be read and is null therefore, one line each."""


def write_state_files(
    lake: Lake,
    rules: ReportRules,
    clock: Callable[[], datetime],
    exchanges: Collection[str] | None = None,
) -> StateReport:
    """Write the state files: those of some exchanges' markets, and those that all share.

    Args:
        lake: where candles lie; the files lie below its `state/`.
        rules: every configured exchange, and by which profile scores are told.
        clock: the time, UTC; asked once nobody else writes.
        exchanges: whose markets' files are written; None: all.

    Returns:
        What was written, and what could not be read.

    Raises:
        StorageError: a file cannot be written, or the state database not be read.
    """
    files = StateFiles(lake.store.root)
    with files.alone():
        now = clock().replace(microsecond=0)
        return _Writing(lake, rules, files, now).write(exchanges)


@dataclass(slots=True)
class _Writing:
    """One writing, at one time."""

    lake: Lake
    rules: ReportRules
    files: StateFiles
    now: datetime
    incidents: Mapping[Series, Sequence[Incident]] = field(default_factory=dict)
    facts: list[SeriesFacts] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def write(self, exchanges: Collection[str] | None) -> StateReport:
        """Write everything, and remove what is no longer configured."""
        # Once for both: the ledger of thin markets holds a million rows.
        gaps = recent_gaps(self.lake.state, self.now - SPAN)
        self.incidents = find_incidents(self.lake, gaps, self.now)
        midnight = self.now.replace(hour=0, minute=0, second=0)
        holes = gaps.filter(pl.col("status").is_in(COUNTED_STATUSES), pl.col("end") > midnight)
        sources = {}
        for each in self.rules.watched:
            is_own = exchanges is None or each.exchange in exchanges
            known = self._add_exchange(each, holes.filter(exchange=each.exchange), is_own=is_own)
            sources[each.exchange] = self._source(each.exchange, is_known=known)
        status = to_data_status(sources, self.facts, self.now)
        self._put("data_status", status)
        self._put(
            "quality_report", to_quality_report(sources, self.facts, self.incidents, self.now)
        )
        markets = {series.market for each in self.rules.watched for series in each.series}
        removed = [gone for kind in PER_MARKET for gone in self.files.keep_only(kind, markets)]
        return StateReport(status, self.files.folder, self.written, removed, self.unread)

    def _add_exchange(self, watched: Watched, holes: pl.DataFrame, *, is_own: bool) -> bool:
        """Add the facts of an exchange; return whether it ever answered."""
        statuses = series_status(self.lake, watched.series, watched.fresh, self.now)
        by_market: dict[Market, list[SeriesStatus]] = {}
        for status in statuses:
            by_market.setdefault(status.series.market, []).append(status)
        quality = read_quality(self.lake, watched.exchange, self.rules.score_column)
        gaps = _count_gaps(holes, statuses, watched.history.quiet_candle)
        since = self.now - max(HISTORY.values())
        reader = NewestReader(self.lake.store.root, self.lake.state, watched.exchange, since)
        for market, own in sorted(by_market.items()):
            candles = read_market(reader, own, self.now, whole=is_own)
            self.facts += [_to_facts(it, candles, quality, gaps) for it in own]
            if is_own:
                self._put("latest_ohlcv", to_latest(reader, candles), market)
                lately = [it for status in own for it in self.incidents.get(status.series, ())]
                self._put("market_context", to_context(candles, lately), market)
            self.unread += [f"{market} {it}: {why}" for it, why in candles.unread.items()]
        return any(status.answered_until is not None for status in statuses)

    def _source(self, exchange: str, *, is_known: bool) -> SourceStatus:
        breaker = self.lake.breakers.read(exchange)
        newest = self.lake.runs.newest_answer(exchange)
        delay = newest.latency if newest else None
        return SourceStatus(
            status=to_source(breaker, is_known=is_known),
            last_response=newest.answered_at if newest else None,
            latency_ms=None if delay is None else delay / timedelta(milliseconds=1),
        )

    def _put(self, kind: str, content: BaseModel, market: Market | None = None) -> None:
        text = content.model_dump_json(indent=2) + "\n"
        self.written.append(self.files.write(kind, text.encode(), market))


def read_quality(lake: Lake, exchange: str, column: str) -> dict[tuple[str, str], Quality]:
    """Return how good the newest month of each series is, by pair's key and timeframe's name."""
    newest = lake.scores.newest(exchange).sort("period").group_by("pair", "timeframe").last()
    names = (column, "completeness", "validity", "timeliness")
    return {
        (pair, timeframe): Quality(*values)
        for pair, timeframe, *values in newest.select("pair", "timeframe", *names).rows()
    }


def _count_gaps(
    holes: pl.DataFrame, statuses: Sequence[SeriesStatus], quiet_candle: QuietCandle
) -> dict[Series, int]:
    """Return how many holes of the running day count, of each series."""
    newest = {(it.series.pair.key, it.series.timeframe.name): it for it in statuses}
    counts = dict.fromkeys((it.series for it in statuses), 0)
    for pair, timeframe, start, confirmed in holes.select(
        "pair", "timeframe", "start", "confirmed"
    ).rows():
        status = newest.get((pair, timeframe))
        if status is None:
            continue
        is_behind = status.last is not None and start > status.last
        # A confirmed silence behind the newest candle may be a time without trades.
        counts[status.series] += not (quiet_candle == "omitted" and confirmed and is_behind)
    return counts


def _to_facts(
    status: SeriesStatus,
    candles: MarketCandles,
    quality: Mapping[tuple[str, str], Quality],
    gaps: Mapping[Series, int],
) -> SeriesFacts:
    series = status.series
    return SeriesFacts(
        status=status,
        last=candles.newest(series.timeframe),
        bars_today=candles.today(series.timeframe).height,
        gaps_today=gaps[series],
        quality=quality.get((series.pair.key, series.timeframe.name), Quality()),
    )
