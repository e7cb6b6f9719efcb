"""What is stored of every series on every UTC day, and why the rest is not.

Told by the journal (rows of each month, first and last candle) and the ledger alone. Where the two
do not add up, the month's file is read, its days are counted candle by candle, and the month is
named. Nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from data_platform.domain.candles import TIME, TimeRange
from data_platform.domain.errors import StorageError
from data_platform.domain.markets import Series
from data_platform.domain.periods import to_period
from data_platform.operations.delisted import find_delisted
from data_platform.operations.lake import Lake
from data_platform.operations.missing import KEY, History, find_unasked, only_timeframe
from data_platform.storage.ledger import Status

NEVER_ASKED = "never_asked"
AWAITED = "awaited"
STORED = "stored"

COUNTED_REASONS = ("open", "refused", "outage", NEVER_ASKED)
"""Why a candle that should be there is not."""

REASONS = (
    *COUNTED_REASONS,
    AWAITED,
    "no_trades",
    "unavailable",
    "before_listing",
    "after_delisting",
)
"""Why a grid time holds no candle: the ledger's statuses, and two that it has no rows for.
`never_asked`: between the series' start and its newest known time nobody has asked. `awaited`: it
has closed since, or may still turn out to be a time without trades; freshness judges that."""

DAY_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "day": TIME,
        "expected": pl.Int64(),
        STORED: pl.Int64(),
        **dict.fromkeys(REASONS, pl.Int64()),
    }
)
"""`expected` is the sum of all that follows it."""

DOUBT_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "period": pl.String(),
        "journal": pl.Int64(),
        "told": pl.Int64(),
        "file": pl.Int64(),
        "error": pl.String(),
    }
)
"""Months of which the journal has other rows than the ledger's gaps leave room for (`told`);
`file` counts its candles, null where `error` says why they cannot be read."""

_SPAN_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "ms": pl.Int64(),
        "from": TIME,
        "to": TIME,
        "known": TIME,
        "last": TIME,
        "tail": pl.String(),
    }
)
"""Candles of a series are expected `from` to `to`; `ms` is the length of one, `last` the newest
stored. Something is known until `known`; `tail` is why nothing is of the rest."""

_OPEN: tuple[Status, ...] = ("open",)
_COUNTS = (STORED, *REASONS)
_DAY = timedelta(days=1)
_INSTANT = timedelta(milliseconds=1)
_PERIOD = pl.col("day").dt.strftime("%Y-%m")


@dataclass(frozen=True, slots=True)
class Coverage:
    """The days of some series of one exchange."""

    days: pl.DataFrame
    """`DAY_SCHEMA`, sorted: every UTC day from each series' start to now."""
    doubts: pl.DataFrame
    """`DOUBT_SCHEMA`, sorted: the days of these months were counted from the file."""


def cover_days(
    lake: Lake, history: History, wanted: Sequence[Series], now: datetime, grace: timedelta
) -> Coverage:
    """Return what is stored of each series on each day, from its start to its newest closed candle.

    Args:
        lake: where candles lie.
        history: what is wanted of the past; candles before it are not looked at. A series without
            a start begins with its first stored candle, and is left out where it has none.
        wanted: series of one exchange.
        now: the clock, UTC.
        grace: how long after its close a candle is not awaited yet.
    """
    if not wanted:
        return Coverage(DAY_SCHEMA.to_frame(), DOUBT_SCHEMA.to_frame())
    only = only_timeframe(wanted)
    months = lake.store.months(wanted[0].exchange, only)
    holes = lake.sums.spread(wanted[0].exchange, only)
    spans = _spans(lake, history, wanted, _edges(months, holes), now - grace)
    if history.quiet_candle == "omitted":
        holes = _with_silences(lake, holes, wanted, spans)
    unasked = find_unasked(lake, history, wanted).with_columns(status=pl.lit(NEVER_ASKED))
    reasons = pl.concat([holes, unasked.select(holes.columns), _tails(spans)])
    days = _grid_days(spans).join(_by_day(reasons, spans), on=[*KEY, "day"], how="left")
    days = days.with_columns(pl.col(REASONS).fill_null(0))
    days = days.with_columns((pl.col("expected") - pl.sum_horizontal(REASONS)).alias(STORED))
    days = days.select(DAY_SCHEMA.names())
    return _settled(lake, {_key(it): it for it in wanted}, spans, months, days)


def _key(series: Series) -> tuple[str, str]:
    return series.timeframe.name, series.pair.key


def _edges(
    months: pl.DataFrame, holes: pl.DataFrame
) -> dict[tuple[str, str], tuple[datetime, ...]]:
    """Return first and last stored candle and the end of the newest hole, each None without one."""
    stored = months.group_by(KEY).agg(pl.min("first"), pl.max("last"))
    known = holes.group_by(KEY).agg(pl.max("end"))
    both = stored.join(known, on=KEY, how="full", coalesce=True)
    return {(name, pair): tuple(edges) for name, pair, *edges in both.rows()}


def _spans(
    lake: Lake,
    history: History,
    wanted: Sequence[Series],
    edges: Mapping[tuple[str, str], tuple[datetime | None, ...]],
    by: datetime,
) -> pl.DataFrame:
    """Return `_SPAN_SCHEMA` for each series of which candles are expected by a time."""
    ended, rows = find_delisted(lake, wanted), []
    for series in wanted:
        first, last, hole_end = edges.get(_key(series), (None, None, None))
        step, start = series.timeframe, history.starts.get(series.pair) or first
        if start is None:
            continue
        start = step.ceil(start)
        close = last + step.duration if last else None
        known = max([start, *(it for it in (close, hole_end) if it)])
        tail = AWAITED if close or hole_end else NEVER_ASKED
        tail = "after_delisting" if series in ended else tail
        end = max(known, step.floor(by))
        rows.append((*_key(series), step.ms, start, end, known, last, tail))
    frame = pl.DataFrame(rows, schema=_SPAN_SCHEMA, orient="row")
    return frame.filter(pl.col("from") < pl.col("to"))


def _with_silences(
    lake: Lake, holes: pl.DataFrame, wanted: Sequence[Series], spans: pl.DataFrame
) -> pl.DataFrame:
    """Return holes in which confirmed silences behind the newest candle are awaited."""
    opened = lake.ledger.gaps_of(wanted[0].exchange, only_timeframe(wanted), _OPEN)
    opened = opened.join(spans.select(*KEY, "last"), on=KEY, how="left")
    opened = opened.with_columns(status=_status(pl.col("start"))).select(holes.columns)
    return pl.concat([holes.filter(pl.col("status") != "open"), opened])


def _status(start: pl.Expr) -> pl.Expr:
    silent = (pl.col("status") == "open") & pl.col("confirmed") & (start > pl.col("last"))
    return pl.when(silent).then(pl.lit(AWAITED)).otherwise(pl.col("status"))


def _tails(spans: pl.DataFrame) -> pl.DataFrame:
    missing = (pl.col("to") - pl.col("known")).dt.total_milliseconds() // pl.col("ms")
    rows = spans.filter(pl.col("known") < pl.col("to"))
    return rows.select(*KEY, status="tail", start="known", end="to", missing=missing)


def _grid_days(spans: pl.DataFrame) -> pl.DataFrame:
    first, last = pl.col("from").dt.truncate("1d"), (pl.col("to") - _INSTANT).dt.truncate("1d")
    days = spans.with_columns(day=pl.datetime_ranges(first, last, "1d")).explode("day")
    return days.with_columns(expected=_inside(pl.col("from"), pl.col("to")))


def _by_day(reasons: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Return how many candles each day lacks, one column for each reason."""
    rows = reasons.join(spans.select(*KEY, "ms", "from", "to"), on=KEY)
    rows = rows.filter(pl.col("end") > pl.col("from"))
    first, last = pl.col("start").dt.truncate("1d"), (pl.col("end") - _INSTANT).dt.truncate("1d")
    rows = rows.with_columns(day=first, is_inside=first == last)
    short, long = rows.filter("is_inside"), rows.filter(~pl.col("is_inside"))
    start, end = pl.max_horizontal("start", "from"), pl.min_horizontal("end", "to")
    long = long.with_columns(start=start, end=end).with_columns(
        day=pl.datetime_ranges(pl.col("start").dt.truncate("1d"), last, "1d")
    )
    long = long.explode("day").with_columns(missing=_inside(pl.col("start"), pl.col("end")))
    sums = (pl.col("missing").filter(pl.col("status") == it).sum().alias(it) for it in REASONS)
    return pl.concat([short, long]).group_by(*KEY, "day").agg(*sums)


def _inside(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Return how many candles of a range lie in the row's day."""
    day = pl.col("day")
    part = pl.min_horizontal(end, day + _DAY) - pl.max_horizontal(start, day)
    return part.dt.total_milliseconds() // pl.col("ms")


def _settled(
    lake: Lake,
    wanted: Mapping[tuple[str, str], Series],
    spans: pl.DataFrame,
    months: pl.DataFrame,
    days: pl.DataFrame,
) -> Coverage:
    """Count the days of months that do not add up candle by candle."""
    told = days.group_by(*KEY, _PERIOD.alias("period")).agg(
        pl.sum(STORED).alias("told"), (pl.min(STORED) < 0).alias("is_torn")
    )
    known = months.select(*KEY, "period", "first", journal="rows")
    both = told.join(known, on=[*KEY, "period"], how="left").join(spans, on=KEY)
    both = both.with_columns(pl.col("journal").fill_null(0))
    # The journal counts candles before the start too: such a month tells nothing about the ledger.
    is_cut = (pl.col("first") < pl.col("from")).fill_null(value=False)
    odd = both.filter(is_cut | pl.col("is_torn") | (pl.col("told") != pl.col("journal")))
    frames, doubts = [], []
    for row in odd.with_columns(is_cut=is_cut).sort(*KEY, "period").iter_rows(named=True):
        counted, error = _count(lake, wanted[row["timeframe"], row["pair"]], row)
        frames.append(counted)
        if not row["is_cut"]:
            file = None if error else int(counted[STORED].sum())
            names = ("timeframe", "pair", "period", "journal", "told")
            doubts.append((*(row[name] for name in names), file, error))
    named = odd.select(*KEY, "period")
    kept = days.with_columns(period=_PERIOD).join(named, on=[*KEY, "period"], how="anti")
    whole = pl.concat([kept.drop("period"), *frames]).sort(*KEY, "day")
    return Coverage(whole, pl.DataFrame(doubts, schema=DOUBT_SCHEMA, orient="row"))


def _count(lake: Lake, series: Series, row: Mapping[str, Any]) -> tuple[pl.DataFrame, str | None]:
    """Return the days of one month, candle by candle, and why its file cannot be read."""
    period, error = to_period(row["period"]), None
    part = TimeRange(max(row["from"], period.start), min(row["to"], period.end))
    times = pl.Series([], dtype=TIME)
    try:
        times = lake.store.times("ohlcv", series, part.start, part.end)
    except StorageError as found:
        error = str(found)
    reason = (
        pl.when(pl.col("time").is_in(times.implode()))
        .then(pl.lit(STORED))
        .when(pl.col("time") < pl.col("end"))
        .then(_status(pl.col("time")))
        .when(pl.col("time") >= pl.lit(row["known"]))
        .then(pl.lit(row["tail"]))
        .otherwise(pl.lit(NEVER_ASKED))
    )
    looked = _grid_times(lake, series, part).with_columns(last=pl.lit(row["last"], dtype=TIME))
    sums = ((pl.col("reason") == name).sum().cast(pl.Int64).alias(name) for name in _COUNTS)
    days = looked.with_columns(reason=reason).group_by(*KEY, "day").agg(pl.len(), *sums)
    days = days.with_columns(expected=pl.col("len").cast(pl.Int64))
    return days.select(DAY_SCHEMA.names()), error


def _grid_times(lake: Lake, series: Series, part: TimeRange) -> pl.DataFrame:
    """Return every grid time of a part with its day and the gap that it lies in or behind."""
    step, (name, pair) = series.timeframe.duration, _key(series)
    grid = pl.datetime_range(
        part.start, part.end, step, closed="left", time_unit="ms", eager=True
    ).alias("time")
    gaps = lake.sums.ranges(series, part.start, part.end)
    times = grid.to_frame().join_asof(gaps, left_on="time", right_on="start")
    return times.with_columns(
        timeframe=pl.lit(name), pair=pl.lit(pair), day=pl.col("time").dt.truncate("1d")
    )
