"""What counts as missing: holes that the ledger counts, and times that nobody ever asked for.

Reads the journal and the ledger; a file only where their sums do not agree. What no row explains
is worked out, never noted: it is true also of a lake whose ledger was lost.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import polars as pl

from data_platform.domain.candles import TIME, TimeRange, join_ranges
from data_platform.domain.errors import StorageError
from data_platform.domain.exchanges import QuietCandle
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import period_of, periods_between
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.lake import Lake
from data_platform.operations.plan import uncovered_ranges
from data_platform.quality.continuity import COUNTED_STATUSES
from data_platform.storage.ledger import GAP_SCHEMA, Status

COUNTED = cast("tuple[Status, ...]", COUNTED_STATUSES)
"""The ledger's statuses that count as missing."""

_OUT_OF_REACH: tuple[Status, ...] = ("unavailable",)

KEY = ("timeframe", "pair")
"""The columns that name a series of one exchange."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CENTURY = timedelta(days=36_500)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class History:
    """What is wanted of the past of one exchange's series."""

    quiet_candle: QuietCandle
    """What the exchange sends for a time without trades."""
    starts: Mapping[Pair, datetime]
    """First candle wanted of each pair; of any other, everything since its first stored one."""


@dataclass(frozen=True, slots=True)
class GapCount:
    """What one series lacks."""

    gaps: int
    """Runs of candles that are missing and should be there."""
    missing: int
    """Candles in those runs."""
    no_trades: int
    """Candles that do not exist, since nobody traded."""
    lost: int
    """Candles behind the first stored one that the exchange had and has no more: they were asked
    for too late."""


def count_gaps(lake: Lake, history: History, wanted: Sequence[Series]) -> dict[Series, GapCount]:
    """Return what each series of one exchange lacks; arguments as `find_missing`."""
    if not wanted:
        return {}
    found = find_missing(lake, history, wanted).partition_by(*KEY, as_dict=True)
    quiet = lake.sums.totals(wanted[0].exchange).filter(status="no_trades")
    silent = {(name, pair): rows for name, pair, rows in quiet.select(*KEY, "missing").rows()}
    lost = count_lost(lake, wanted)
    counts = {}
    for series in wanted:
        own = found.get(_key(series), GAP_SCHEMA.to_frame())
        missing = int(own["missing"].sum())
        quiet_count = silent.get(_key(series), 0)
        counts[series] = GapCount(own.height, missing, quiet_count, lost.get(series, 0))
    return counts


def count_lost(lake: Lake, wanted: Sequence[Series]) -> dict[Series, int]:
    """Return how many candles behind its first stored one each series has lost for good.

    They do not count as missing, since nothing can bring them back; before the first stored candle
    nobody could have them.

    Args:
        lake: where candles lie.
        wanted: series of one exchange.

    Returns:
        Series that have lost none are left out.
    """
    if not wanted:
        return {}
    exchange = wanted[0].exchange
    gaps = lake.ledger.gaps_of(exchange, statuses=_OUT_OF_REACH)
    firsts = lake.store.months(exchange).group_by(*KEY).agg(pl.min("first"))
    behind = gaps.join(firsts, on=KEY).filter(pl.col("start") > pl.col("first"))
    sums = behind.group_by(*KEY).agg(pl.sum("missing")).rows()
    found = {(name, pair): missing for name, pair, missing in sums}
    return {it: found[_key(it)] for it in wanted if _key(it) in found}


def find_missing(lake: Lake, history: History, wanted: Sequence[Series]) -> pl.DataFrame:
    """Return every hole of some series that counts as missing.

    Every grid time from a series' start to the newest that is stored or known of counts, unless
    it is stored or the ledger has a reason for it. A confirmed silence behind the newest candle
    is none yet where quiet candles are omitted: it may be a time without trades.

    Args:
        lake: where candles lie.
        history: what is wanted.
        wanted: series of one exchange.

    Returns:
        `GAP_SCHEMA`, sorted by series and time; what nobody asked for is `open`, unconfirmed.
    """
    frames = [GAP_SCHEMA.to_frame()]
    if wanted:
        only = only_timeframe(wanted)
        counted = lake.ledger.gaps_of(wanted[0].exchange, only, COUNTED)
        by_series = counted.partition_by(*KEY, as_dict=True)
        for coverage in _coverages(lake, history, wanted, only):
            own = by_series.get(_key(coverage.series), counted.clear())
            frames += [_judged(own, coverage, history), _never_asked(lake, coverage)]
    return pl.concat(frames).sort(*KEY, "start")


def only_timeframe(wanted: Sequence[Series]) -> Timeframe | None:
    """Return the timeframe of all series, or None where they have several."""
    timeframes = {series.timeframe for series in wanted}
    return next(iter(timeframes)) if len(timeframes) == 1 else None


def find_unasked(lake: Lake, history: History, wanted: Sequence[Series]) -> pl.DataFrame:
    """Return the times of some series that are neither stored nor known to the ledger.

    Those behind the newest that is stored or known of are left out; arguments as `find_missing`.

    Returns:
        `GAP_SCHEMA`, sorted by series and time.
    """
    frames = [GAP_SCHEMA.to_frame()]
    if wanted:
        only = only_timeframe(wanted)
        frames += [_never_asked(lake, it) for it in _coverages(lake, history, wanted, only)]
    return pl.concat(frames).sort(*KEY, "start")


@dataclass(frozen=True, slots=True)
class _Coverage:
    """What is known of one series."""

    series: Series
    wanted: TimeRange
    """From its start to the end of what is stored or known of; may be empty."""
    months: Mapping[str, tuple[int, datetime, datetime]]
    """Candles, first and newest one of each stored month that has some."""
    explained: int
    """Grid times that are holes in the ledger, wherever they lie."""

    @property
    def last(self) -> datetime | None:
        """Return the newest stored candle."""
        return max((last for _, _, last in self.months.values()), default=None)


def _key(series: Series) -> tuple[str, str]:
    return series.timeframe.name, series.pair.key


def _coverages(
    lake: Lake, history: History, wanted: Sequence[Series], timeframe: Timeframe | None
) -> Iterator[_Coverage]:
    exchange = wanted[0].exchange
    months: dict[tuple[str, str], dict[str, tuple[int, datetime, datetime]]] = {}
    for name, pair, period, *month in lake.store.months(exchange, timeframe).rows():
        months.setdefault((name, pair), {})[period] = tuple(month)
    totals = lake.sums.totals(exchange, timeframe).group_by(*KEY)
    holes = totals.agg(pl.col("missing").sum(), pl.col("newest").max()).rows()
    explained = {(name, pair): (missing, newest) for name, pair, missing, newest in holes}
    for series in wanted:
        own = months.get(_key(series), {})
        missing, newest = explained.get(_key(series), (0, None))
        ends = [last + series.timeframe.duration for _, _, last in own.values()]
        end = max([*ends, *([newest] if newest else [])], default=None)
        if end is not None:
            firsts = (first for _, first, _ in own.values())
            start = history.starts.get(series.pair) or min(firsts, default=None)
            # Without either, only the ledger's own rows can count, however old.
            start, end = (series.timeframe.ceil(start), end) if start else (_EPOCH, _EPOCH)
            yield _Coverage(series, TimeRange(start, max(start, end)), own, missing)


def _judged(counted: pl.DataFrame, coverage: _Coverage, history: History) -> pl.DataFrame:
    """Return those of the ledger's rows that count, cut to what is wanted."""
    start, last = pl.col("start"), coverage.last
    if history.quiet_candle == "omitted" and last is not None:
        counted = counted.filter(~(pl.col("confirmed") & (start > last)))
    inside = counted.filter(pl.col("end") > coverage.wanted.start)
    inside = inside.with_columns(start.clip(lower_bound=coverage.wanted.start))
    length = (pl.col("end") - start).dt.total_milliseconds()
    return inside.with_columns(missing=length // coverage.series.timeframe.ms)


def _never_asked(lake: Lake, coverage: _Coverage) -> pl.DataFrame:
    series = coverage.series
    rows = [
        {
            **dict(zip(KEY, _key(series), strict=True)),
            "start": hole.start,
            "end": hole.end,
            "missing": series.timeframe.count(hole.start, hole.end),
            "status": "open",
            "confirmed": False,
            "evidence": "never asked for",
            "tries": 0,
        }
        for hole in join_ranges(_unexplained(lake, coverage))
    ]
    return pl.DataFrame(rows, schema=GAP_SCHEMA)


def _unexplained(lake: Lake, coverage: _Coverage) -> list[TimeRange]:
    """Return the times of what is wanted that are neither stored nor holes in the ledger.

    The sums tell whether there are any; then months of which nothing is stored are looked at, and
    only if that is not all, those of which something is.
    """
    lacks = {month: _lack(lake, coverage, month) for month in _months(coverage)}
    lacking = [month for month, count in lacks.items() if count]
    unknown = sum(lacks.values()) - _explained(lake, coverage) if lacking else 0
    if not unknown:
        return []
    count = coverage.series.timeframe.count
    absent = [month for month in lacking if not _is_stored(coverage, month)]
    holes = [hole for part in join_ranges(absent) for hole in _holes(lake, coverage, part)]
    if sum(count(hole.start, hole.end) for hole in holes) != unknown:
        for month in lacking:
            known = lake.sums.missing(coverage.series, month.start, month.end)
            if _is_stored(coverage, month) and lacks[month] != known:
                holes += _holes(lake, coverage, month)
    return holes


def _holes(lake: Lake, coverage: _Coverage, part: TimeRange) -> list[TimeRange]:
    series = coverage.series
    known = lake.sums.ranges(series, part.start, part.end).select("start", "end")
    return uncovered_ranges(_times(lake, coverage, part), known, series.timeframe, part)


def _months(coverage: _Coverage) -> Iterator[TimeRange]:
    wanted = coverage.wanted
    for period in periods_between(wanted.start, wanted.end):
        yield TimeRange(max(wanted.start, period.start), min(wanted.end, period.end))


def _is_stored(coverage: _Coverage, month: TimeRange) -> bool:
    return period_of(month.start).key in coverage.months


def _lack(lake: Lake, coverage: _Coverage, month: TimeRange) -> int:
    """Return how many grid times of a month are not stored."""
    rows, first, _ = coverage.months.get(period_of(month.start).key, (0, month.start, None))
    if first < month.start:
        rows = len(_times(lake, coverage, month))
    return coverage.series.timeframe.count(month.start, month.end) - rows


def _times(lake: Lake, coverage: _Coverage, part: TimeRange) -> pl.Series:
    """Return the stored times of a part; none where its file cannot be read."""
    if _is_stored(coverage, part):
        try:
            return lake.store.times("ohlcv", coverage.series, part.start, part.end)
        except StorageError as error:
            _log.warning("its candles count as missing: %s", error)
    return pl.Series([], dtype=TIME)


def _explained(lake: Lake, coverage: _Coverage) -> int:
    """Return how many times of what is wanted are holes in the ledger."""
    series, wanted = coverage.series, coverage.wanted
    before = lake.sums.missing(series, _EPOCH, wanted.start)
    after = lake.sums.missing(series, wanted.end, wanted.end + _CENTURY)
    return coverage.explained - before - after
