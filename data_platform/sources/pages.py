"""Pages: which part of a range one request asks for, and what its answer proves.

Pure functions on values; no network. The meanings of `since` are those of the exchange's row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.candles import (
    CANDLE_SCHEMA,
    TIME,
    empty_candles,
    missing_ranges,
)
from data_platform.domain.errors import GarbageError
from data_platform.domain.exchanges import Exchange, SinceMeaning
from data_platform.domain.timeframes import Timeframe

Row = Sequence[float | None]
"""One candle as ccxt gives it: opening time in UTC ms, open, high, low, close, volume."""

LATE_CANDLES = 10
"""So many of the newest candles may be missing because the exchange publishes late; and so many
candles in a row without trades are nothing odd on an exchange that omits them (the longest such
run of a thin Coinbase market, 15 % of its minutes without a trade, had 9)."""

_ODD_RATIO = 3
"""How much longer than every other hole of its page an edge without candles is odd."""

_YEAR_9999 = 253_370_764_800_000
"""UTC ms; Python's datetime ends there."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a range, small enough for one request."""

    start: datetime
    end: datetime
    """Exclusive, on the grid."""


def next_page(cursor: datetime, end: datetime, timeframe: Timeframe, page_size: int) -> Page:
    """Return the page that starts at `cursor` and ends with the range or when it is full."""
    return Page(cursor, min(end, cursor + page_size * timeframe.duration))


def to_candles(rows: Sequence[Row]) -> pl.DataFrame:
    """Return ccxt's rows as a frame.

    Returns:
        `CANDLE_SCHEMA`, sorted by time, as many rows as given; a value that is no number is null.

    Raises:
        GarbageError: a row is no candle or has no opening time. ccxt would drop it silently.
    """
    if not rows:
        return empty_candles()
    columns = list(CANDLE_SCHEMA)
    if min(map(len, rows)) < len(columns):
        raise GarbageError(f"a row has fewer than the {len(columns)} values of a candle")
    values = list(zip(*rows, strict=False))
    if set(map(type, values[0])) != {int} or not 0 < min(values[0]) <= max(values[0]) < _YEAR_9999:
        raise GarbageError("a row has no readable opening time")
    times = pl.Series("open_time", values[0], dtype=pl.Int64).cast(TIME)
    numbers = [
        pl.Series(name, column, dtype=pl.Float64, strict=False)
        for name, column in zip(columns[1:], values[1:], strict=False)
    ]
    return pl.DataFrame([times, *numbers]).sort("open_time", maintain_order=True)


def already_open(candles: pl.DataFrame, now: datetime, timeframe: Timeframe) -> pl.DataFrame:
    """Return the rows of a sorted answer without those of the future.

    One of them would prove that nothing lies between the page and it: 1,767 minutes were taken
    for empty in a test.

    Args:
        candles: all rows of the answer, sorted.
        now: when it was asked, by the exchange's clock as far as known; a candle is spared.
        timeframe: the grid.
    """
    latest = now + timeframe.duration
    if candles.is_empty() or _last(candles) <= latest:
        return candles
    return candles.filter(pl.col("open_time") <= latest)


def inside(candles: pl.DataFrame, page: Page) -> pl.DataFrame:
    """Return the rows of a sorted answer that open inside the page; others are another page's."""
    # The common page is looked at from its ends alone: on one that is whole, a filter costs as
    # much as its parsing (0.5 ms of 1).
    if candles.is_empty() or (_first(candles) >= page.start and _last(candles) < page.end):
        return candles
    return candles.filter(pl.col("open_time").is_between(page.start, page.end, closed="left"))


def _first(candles: pl.DataFrame) -> datetime:
    time: datetime = candles["open_time"][0]
    return time


def _last(candles: pl.DataFrame) -> datetime:
    time: datetime = candles["open_time"][-1]
    return time


def check_place(
    candles: pl.DataFrame,
    page: Page,
    meaning: SinceMeaning,
    closed_end: datetime,
    timeframe: Timeframe,
) -> None:
    """Refuse an answer whose rows do not follow from what was asked.

    A server that ignores `since` would otherwise prove that there is nothing inside the page.

    Args:
        candles: all rows of the answer, sorted.
        page: what was asked for.
        meaning: of `since`, by the exchange's row.
        closed_end: end of the closed range when it was asked.
        timeframe: the grid.

    Raises:
        GarbageError: every row lies before the page; or, where answers end with their window, the
            rows begin after its start and run on to the newest one, as where newest candles are
            sent whatever is asked; or, from such an exchange, the newest is older than a late one.
    """
    if candles.is_empty():
        return
    first, last = _first(candles), _last(candles)
    if meaning == "newest_only":
        if closed_end - last > (LATE_CANDLES + 1) * timeframe.duration:
            raise GarbageError(
                f"the newest candle sent is of {last:%Y-%m-%d %H:%M} UTC, long before "
                f"{closed_end:%Y-%m-%d %H:%M} UTC"
            )
        return
    # Some servers include the end, which gives one row at the page's end.
    runs_on = meaning == "window" and first > page.start and last > page.end
    if last < page.start or (runs_on and last >= closed_end):
        raise GarbageError(
            f"rows of {first:%Y-%m-%d %H:%M}..{last:%Y-%m-%d %H:%M} UTC were sent for "
            f"{page.start:%Y-%m-%d %H:%M}..{page.end:%Y-%m-%d %H:%M} UTC"
        )


def unproven(found: pl.DataFrame, page: Page, timeframe: Timeframe) -> list[Page]:
    """Return the parts of a page about which its answer says nothing.

    An answer holds as many rows as were asked for at most. When it is full and yet an edge of the
    page is missing (repeated or odd rows took the place), that edge may have been cut off.

    Args:
        found: sorted candles inside the page.
        page: what was asked for, with exactly that many rows as the limit.
        timeframe: the grid.
    """
    if found.height < timeframe.count(page.start, page.end):
        return []
    return _edges(found, page, timeframe)


def _edges(rows: pl.DataFrame, page: Page, timeframe: Timeframe) -> list[Page]:
    """Return what a page lacks before its first row and after its last."""
    first, last = timeframe.floor(_first(rows)), timeframe.floor(_last(rows))
    edges = (Page(page.start, first), Page(last + timeframe.duration, page.end))
    return [edge for edge in edges if edge.start < edge.end]


def doubtful_parts(
    answer: pl.DataFrame,
    page: Page,
    timeframe: Timeframe,
    exchange: Exchange,
    closed_end: datetime,
) -> list[Page]:
    """Return the parts of a page that are empty in its answer and yet may hold candles.

    A server that sends fewer rows than it has looks the same as one that has no more. In doubt is
    an edge behind (or, where answers end with their window, before) all rows of the answer, and
    where rows run on over gaps also a page without any row. A hole between two rows is proven.
    Where quiet candles are omitted too, an edge must be long, and longer than three times every
    other hole. A window without any row tells nothing: years before the listing look like that.

    Args:
        answer: all its rows, sorted.
        page: what was asked for.
        timeframe: the grid.
        exchange: whose answer it is.
        closed_end: end of the closed range when it was asked; what lies before it may be late.
    """
    runs_on = exchange.since_meaning == "next_rows"
    if answer.is_empty():
        return [page] if runs_on and page.end < closed_end else []
    rows, is_seen_after = inside(answer, page), _last(answer) >= page.end
    if not rows.is_empty() and not _edges(rows, page, timeframe):
        return []
    holes = _holes(rows["open_time"], page, timeframe)
    edges = [hole for hole in holes[:1] if hole.start == page.start and not runs_on]
    edges += [hole for hole in holes[-1:] if hole.end == page.end and not is_seen_after]
    is_thin = exchange.quiet_candle == "omitted" and not runs_on
    found = []
    for edge in edges if holes != [page] else []:
        others = [_length(hole, timeframe) for hole in holes if hole is not edge]
        usual = max(LATE_CANDLES, _ODD_RATIO * max(others, default=0)) if is_thin else 0
        usual = max(LATE_CANDLES, usual) if edge.end >= closed_end else usual
        found += [edge] if _length(edge, timeframe) > usual else []
    return found


def _length(part: Page, timeframe: Timeframe) -> int:
    return (part.end - part.start) // timeframe.duration


def _holes(opened: pl.Series, page: Page, timeframe: Timeframe) -> list[Page]:
    grid = (opened.dt.epoch("ms") // timeframe.ms * timeframe.ms).cast(TIME).unique().sort()
    holes = missing_ranges(grid, timeframe, page.start, page.end)
    return [Page(hole.start, hole.end) for hole in holes]


def proven_hole(candles: pl.DataFrame, page: Page, timeframe: Timeframe) -> Page | None:
    """Return the stretch after a page that the answer to it proves empty.

    Only for `next_rows`: the first row after the page shows that nothing lies between. Without
    one nothing is proven: a server may send fewer rows than it was asked for.
    """
    if candles.is_empty() or _last(candles) < page.end:
        return None
    later = candles.filter(pl.col("open_time") >= page.end)
    hole = Page(page.end, timeframe.floor(later["open_time"][0]))
    return hole if hole.start < hole.end else None
