"""What must hold from one candle to the next: order, uniqueness, the grid, and how much is missing.

Rules over stored candles look at one partition; rules over gaps look at the holes of one exchange
and timeframe: those that the ledger knows and those that nobody asked for. A gap counts when a
candle is missing that should be there (`open`, `refused`) or that the exchange itself lost
(`outage`); times without trades, before the listing or out of reach are no fault, and are told
beside. The three gap rules are apart on purpose: one long hole, a bad day and an incomplete history
are different troubles.
"""

from datetime import timedelta

import polars as pl

from data_platform.domain.candles import TIME
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe
from data_platform.quality.rule import GapRule, Limits, Rule, RuleInput

COUNTED_STATUSES = ("open", "refused", "outage")
"""The ledger's statuses that count as missing."""

QUIET_TIMES = "quiet_times"
"""Names the limits that part times without trades from outages; they have no check of their own."""

QUIET_LIMITS: Limits = {row.name: 6 * 3600.0 for row in TIMEFRAMES}
"""Longest confirmed hole that is a time without trades where quiet candles are omitted, seconds,
by timeframe. A day without a single trade is an outage on every timeframe."""

DAY = timedelta(days=1)


def find_disordered_times(given: RuleInput, _limits: Limits) -> pl.DataFrame:
    """Return candles that open before the candle stored ahead of them."""
    return _with_previous(given).filter(pl.col("open_time") < pl.col("previous"))


def find_repeated_times(given: RuleInput, _limits: Limits) -> pl.DataFrame:
    """Return every candle after the first that has an opening time stored already."""
    times = pl.concat([_last_time(given), given.candles.select("open_time")])
    if (times["open_time"].diff().drop_nulls() > timedelta(0)).all():
        # As nearly always: where times increase none can be repeated, and nothing is grouped.
        return times.clear().with_columns(rows=pl.lit(None, pl.UInt32))
    rows = times.with_row_index("row").with_columns(
        first=pl.col("row").min().over("open_time"), rows=pl.len().over("open_time")
    )
    return rows.filter(pl.col("row") > pl.col("first")).select("open_time", "rows")


def find_times_off_grid(given: RuleInput, _limits: Limits) -> pl.DataFrame:
    """Return candles whose opening time is no multiple of the timeframe since the Unix epoch."""
    off = pl.col("open_time").dt.epoch("ms") % given.timeframe.ms
    return given.candles.select("open_time", off_by_ms=off).filter(pl.col("off_by_ms") != 0)


def find_unclosed_candles(given: RuleInput, _limits: Limits) -> pl.DataFrame:
    """Return candles that had not closed, or not even opened, when they were judged."""
    early = given.candles.filter(pl.col("open_time") >= given.closed_end)
    return early.select("open_time", closed_before=pl.lit(given.closed_end, TIME))


def find_long_gaps(gaps: pl.DataFrame, timeframe: Timeframe, limits: Limits) -> pl.DataFrame:
    """Return runs of missing candles longer than the timeframe's limit.

    Rows of the ledger that touch are one run, whatever their status.

    Args:
        gaps: ledger rows of one exchange and timeframe: pair, start, end, missing, status.
        timeframe: the candles' length.
        limits: candles that may be missing in a row, by timeframe.

    Returns:
        pair, open_time (first missing), end, missing; sorted by pair and time.
    """
    touches = (pl.col("start") <= pl.col("end").shift(1)).over("pair").fill_null(value=False)
    runs = (
        _counted(gaps)
        .with_columns(run=(~touches).cum_sum())
        .group_by("pair", "run")
        .agg(pl.col("start").min().alias("open_time"), pl.col("end").max())
        .with_columns(missing=_candles(pl.col("end") - pl.col("open_time"), timeframe))
        .filter(pl.col("missing") > limits[timeframe.name])
    )
    return runs.select("pair", "open_time", "end", "missing").sort("pair", "open_time")


def find_incomplete_days(gaps: pl.DataFrame, timeframe: Timeframe, limits: Limits) -> pl.DataFrame:
    """Return UTC days that miss a larger share of their candles than allowed.

    The share is of the whole day, also on the first and the running day of a series, so a day
    is never reported that could still turn out within the limit.

    Args:
        gaps: ledger rows of one exchange and timeframe: pair, start, end, missing, status.
        timeframe: the candles' length.
        limits: `share` of a day's candles that may be missing, 0 to 1.

    Returns:
        pair, open_time (midnight), missing, share; sorted by pair and time.
    """
    first, last = pl.col("start").dt.truncate("1d"), pl.col("end").dt.truncate("1d")
    days = pl.datetime_ranges(first, last, "1d", time_unit="ms")
    pieces = _counted(gaps).with_columns(day=days).explode("day")
    inside = pl.min_horizontal("end", pl.col("day") + DAY) - pl.max_horizontal("start", "day")
    return (
        pieces.group_by("pair", open_time="day")
        .agg(missing=_candles(inside, timeframe).sum())
        .with_columns(share=pl.col("missing") / (DAY // timeframe.duration))
        .filter(pl.col("share") > limits["share"])
        .sort("pair", "open_time")
    )


def find_holes_in_history(gaps: pl.DataFrame, timeframe: Timeframe, limits: Limits) -> pl.DataFrame:
    """Return pairs that miss more candles since their start than allowed.

    Args:
        gaps: ledger rows of one exchange and timeframe: pair, start, end, missing, status.
        timeframe: the candles' length.
        limits: `missing` candles that are allowed.

    Returns:
        pair, open_time (the first missing), gaps, missing; sorted by pair.
    """
    return (
        _counted(gaps)
        .group_by("pair")
        .agg(
            open_time=pl.col("start").min(),
            gaps=pl.len(),
            missing=_candles(pl.col("end") - pl.col("start"), timeframe).sum(),
        )
        .filter(pl.col("missing") > limits["missing"])
        .sort("pair")
    )


def _with_previous(given: RuleInput) -> pl.DataFrame:
    times = pl.concat([_last_time(given), given.candles.select("open_time")])
    known = times.with_columns(previous=pl.col("open_time").shift(1))
    return known.tail(given.candles.height)


def _last_time(given: RuleInput) -> pl.DataFrame:
    return given.before.select("open_time").tail(1)


def _counted(gaps: pl.DataFrame) -> pl.DataFrame:
    return gaps.filter(pl.col("status").is_in(COUNTED_STATUSES)).sort("pair", "start")


def _candles(length: pl.Expr, timeframe: Timeframe) -> pl.Expr:
    return length.dt.total_milliseconds() // timeframe.ms


RULES: tuple[Rule, ...] = (
    Rule(
        name="times_increasing",
        severity="error",
        description="Each candle opens after the one stored ahead of it.",
        limits={},
        find=find_disordered_times,
    ),
    Rule(
        name="times_unique",
        severity="error",
        description="No opening time is stored twice.",
        limits={},
        find=find_repeated_times,
    ),
    Rule(
        name="times_on_grid",
        severity="error",
        description="Every opening time is a multiple of the timeframe since the Unix epoch.",
        limits={},
        find=find_times_off_grid,
    ),
    Rule(
        name="candles_closed",
        severity="error",
        description="Every candle had closed by the exchange's clock when it was stored.",
        limits={},
        find=find_unclosed_candles,
    ),
)

GAP_RULES: tuple[GapRule, ...] = (
    GapRule(
        name="no_long_gaps",
        severity="error",
        description="No run of missing candles is longer than the timeframe allows.",
        limits={row.name: {"1m": 5.0, "5m": 2.0}.get(row.name, 1.0) for row in TIMEFRAMES},
        find=find_long_gaps,
    ),
    GapRule(
        name="days_complete",
        severity="error",
        description="No UTC day misses more than the allowed share of its candles.",
        limits={"share": 0.01},
        find=find_incomplete_days,
    ),
    GapRule(
        name="history_complete",
        severity="warn",
        description="No candle is missing since the configured start.",
        limits={"missing": 0.0},
        find=find_holes_in_history,
    ),
)
