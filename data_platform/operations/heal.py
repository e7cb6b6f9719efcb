"""Which gaps are to be asked for now: all that are due, and as much of them as one look may ask.

Decides from the journal, the ledger, the files' state and the clock; sends nothing. A look is for
small damage soon; what would take it too long is left to a backfill, of which the job heals all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from data_platform.domain.candles import TimeRange, join_ranges, subtract_ranges
from data_platform.domain.errors import WrongUseError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series, from_key
from data_platform.domain.periods import Period, period_of, periods_between, to_period
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.missing import KEY, History, find_missing
from data_platform.operations.plan import due_parts
from data_platform.storage.ledger import Status

LOOK_CANDLES = 100
"""Candles of one series that one look asks for at most."""

LONGEST = 10 * LOOK_CANDLES
"""A longer gap is left to a backfill: every look costs a run, and has the month computed anew."""

BELIEVED: tuple[Status, ...] = ("no_trades", "before_listing")
"""What does not count as missing and may yet be due again."""

_HOLE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)\+([1-9]\d{0,5})")


@dataclass(frozen=True, slots=True)
class Hole:
    """A run of missing candles inside one month, to be asked for now."""

    series: Series
    part: TimeRange
    state: str = ""
    """What is known of it: while it stays the same, asking again would answer nothing."""

    @property
    def period(self) -> Period:
        """Return its month."""
        return period_of(self.part.start)

    @property
    def cell(self) -> tuple[Pair, Period]:
        """Return its pair and month."""
        return self.series.pair, self.period


@dataclass(frozen=True, slots=True)
class Look:
    """What one look finds."""

    holes: tuple[Hole, ...]
    """To be asked for; by series, newest first."""
    too_long: int
    """Gaps that are left to a backfill."""


def find_due(
    lake: Lake, history: History, wanted: Sequence[Series], page_size: int, now: datetime
) -> pl.DataFrame:
    """Return every part of a gap that is to be asked for now.

    Gaps that count as missing, whole months that nobody ever asked for between or before stored
    ones included, and those that were believed for long enough. A series of which nothing is
    stored or known has none: its download has not begun. Nor has a month that was archived and
    lies elsewhere now: nothing could be stored into it.

    Args:
        lake: where candles lie.
        history: what is wanted.
        wanted: series of one exchange, at its own timeframes.
        page_size: candles in one answer of the exchange.
        now: the clock, UTC.

    Returns:
        `GAP_SCHEMA`, sorted by series and time.
    """
    missing = find_missing(lake, history, wanted)
    if not wanted:
        return missing
    believed = lake.ledger.gaps_of(wanted[0].exchange, statuses=BELIEVED, due_by=now)
    gaps = pl.concat([missing, believed]).partition_by(*KEY, as_dict=True)
    away = lake.store.away(wanted[0].exchange)
    frames = [missing.clear()]
    for series in wanted:
        own = gaps.get((series.timeframe.name, series.pair.key))
        if own is not None:
            due = due_parts(own, series.timeframe, page_size, now)
            names = (series.pair.key, series.timeframe.name)
            months = [to_period(month) for *key, month in away if tuple(key) == names]
            frames.append(_outside(due, months))
    return _counted(pl.concat(frames)).sort(*KEY, "start")


def plan_look(lake: Lake, exchange: str, due: pl.DataFrame, now: datetime) -> Look:
    """Return what one look asks for: of each series the newest due candles, up to the cap.

    The newest are worth most to whoever looks at a chart or trades. Only gaps since the first month
    of which something is stored and before the newest candle: what lies before is a download's
    work, what lies behind a tick's.
    What failed waits for its next try, and a month whose file is damaged for somebody to mend it.

    Args:
        lake: where candles lie.
        exchange: whose.
        due: of `find_due`.
        now: the clock, UTC.
    """
    next_try = pl.col("next_try")
    patient = due.filter(next_try.is_null() | (next_try <= now))
    months = lake.store.months(exchange)
    edges = months.group_by(*KEY).agg(pl.min("first").dt.truncate("1mo"), pl.max("last"))
    start = pl.max_horizontal("start", "first")
    inner = _counted(patient.join(edges, on=KEY).with_columns(start=start)).filter(
        (pl.col("missing") > 0) & (pl.col("end") <= pl.col("last"))
    )
    short = inner.filter(pl.col("missing") <= LONGEST)
    book = JournalBook(lake)
    holes = [
        hole
        for (name, pair), own in sorted(short.partition_by(*KEY, as_dict=True).items())
        for hole in _newest(book, Series(exchange, from_key(pair), to_timeframe(name)), own)
    ]
    return Look(tuple(holes), inner.height - short.height)


def due_months(due: pl.DataFrame, exchange: str, timeframe: Timeframe) -> list[Partition]:
    """Return every month of candles of a timeframe that holds a due gap.

    Args:
        due: of `find_due`.
        exchange: whose.
        timeframe: of the candles.
    """
    own = due.filter(timeframe=timeframe.name).select("pair", "start", "end").rows()
    months = {(pair, month) for pair, *part in own for month in periods_between(*part)}
    return [
        Partition("ohlcv", Series(exchange, from_key(pair), timeframe), month)
        for pair, month in sorted(months)
    ]


def spell_holes(holes: Sequence[Hole]) -> str:
    """Return holes as text: `BTC-USDT/1h 2024-02-10T05:00+3 2024-02-12T00:00+1; ETH-USDT/...`."""
    by_series: dict[str, list[str]] = {}
    for hole in sorted(holes, key=lambda hole: hole.part.start):
        series, part = hole.series, hole.part
        count = series.timeframe.count(part.start, part.end)
        name = f"{series.pair.key}/{series.timeframe}"
        by_series.setdefault(name, []).append(f"{part.start:%Y-%m-%dT%H:%M}+{count}")
    return "; ".join(f"{name} {' '.join(own)}" for name, own in sorted(by_series.items()))


def read_holes(text: str, exchange: str) -> Mapping[Series, list[TimeRange]]:
    """Return what a text of `spell_holes` holds, by series.

    Raises:
        WrongUseError: it is no such text.
    """
    found: dict[Series, list[TimeRange]] = {}
    for words in text.split(";"):
        name, *holes = words.split() or [""]
        pair, slash, timeframe = name.rpartition("/")
        matches = [_HOLE.fullmatch(hole) for hole in holes]
        if not slash or not matches or not all(matches):
            raise WrongUseError(
                f"{words.strip()!r} names no gaps; write them like "
                "BTC-USDT/1h 2024-02-10T05:00+3 2024-02-12T00:00+1; ETH-USDT/1d 2024-02-09T00:00+1"
            )
        series = Series(exchange, from_key(pair), to_timeframe(timeframe))
        parts = [_to_range(match, series.timeframe) for match in matches if match]
        found[series] = join_ranges([*found.get(series, []), *parts])
    return found


def _outside(gaps: pl.DataFrame, months: Sequence[Period]) -> pl.DataFrame:
    """Return the parts of gaps that lie in none of some months."""
    if not months:
        return gaps
    known = [TimeRange(month.start, month.end) for month in months]
    parts = [
        {**gap, "start": part.start, "end": part.end}
        for gap in gaps.to_dicts()
        for part in subtract_ranges([TimeRange(gap["start"], gap["end"])], known)
    ]
    return pl.DataFrame(parts, gaps.schema)


def _counted(gaps: pl.DataFrame) -> pl.DataFrame:
    length = (pl.col("end") - pl.col("start")).dt.total_milliseconds()
    steps = {each.name: each.ms for each in TIMEFRAMES}
    step = pl.col("timeframe").replace_strict(steps, return_dtype=pl.Int64)
    return gaps.with_columns(missing=length // step)


def _to_range(match: re.Match[str], timeframe: Timeframe) -> TimeRange:
    try:
        start = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError as error:
        raise WrongUseError(f"{match[1]!r} is no time: {error}.") from error
    return TimeRange(start, start + int(match[2]) * timeframe.duration)


def _newest(book: JournalBook, series: Series, gaps: pl.DataFrame) -> Iterator[Hole]:
    left, length = LOOK_CANDLES, series.timeframe.duration
    for gap in gaps.sort("start", descending=True).iter_rows(named=True):
        for month in reversed(list(periods_between(gap["start"], gap["end"]))):
            if left == 0:
                return
            if book.is_damaged("ohlcv", series, month):
                continue
            end = min(gap["end"], month.end)
            start = max(gap["start"], month.start, end - left * length)
            left -= series.timeframe.count(start, end)
            row = book.row(Partition("ohlcv", series, month))
            known = (gap["status"], gap["tries"], gap["next_try"], row.version if row else 0)
            yield Hole(series, TimeRange(start, end), repr(known))
