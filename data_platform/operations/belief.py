"""How a hole that the exchange has confirmed is called, and for how long it is believed.

An answer may be valid and wrong. What it confirms is asked for again after an hour, a day, a week,
a month and then yearly, and each time believed longer. Pure; reads no clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from data_platform.domain.candles import TimeRange
from data_platform.domain.exchanges import Exchange, QuietCandle
from data_platform.domain.markets import Series
from data_platform.quality.continuity import QUIET_LIMITS, QUIET_TIMES
from data_platform.quality.standards import Standards
from data_platform.storage.ledger import AND, Gap, Status

WAITS = (
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=7),
    timedelta(days=30),
    timedelta(days=365),
)
"""How long the first, second, ... confirmation of a hole is believed; later ones like the last."""

DELISTED_WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""How long it is believed that a pair is not traded any more: a halt may end, and asking for a pair
that is not listed costs no request for candles."""

SETTLED: tuple[Status, ...] = ("before_listing", "outage", "no_trades")
"""What a hole can be that an answer has confirmed before or between candles."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """What stands for a time without trades on one exchange and timeframe."""

    candle: QuietCandle
    longest: timedelta
    """A longer hole is an outage, whatever the exchange omits."""

    def status(self, hole: TimeRange) -> Status:
        """Return what a confirmed hole between two candles is."""
        is_quiet = self.candle == "omitted" and hole.end - hole.start <= self.longest
        return "no_trades" if is_quiet else "outage"

    def is_doubtful(self, hole: TimeRange, status: Status) -> bool:
        """Tell whether a settled hole is to be asked for again one day.

        Times without trades are many, and each would cost a request: only those of unusual
        length, more than half of what they may have.
        """
        return status != "no_trades" or 2 * (hole.end - hole.start) > self.longest


@dataclass(frozen=True, slots=True)
class Doubt:
    """What the other markets of an exchange tell of a silence of one of them."""

    is_shared: bool
    """Whether it is the exchange that was silent: an outage, however short."""
    words: str
    """How many miss the same times, for people; empty where there is no other market."""


Ask = Callable[[Series, TimeRange], Doubt]
"""(series, whole hole) -> what its exchange's other markets tell."""

MISS = "miss these times"


def spell_markets(missing: int, known: int, exchange: str) -> str:
    """Return how many of the markets of an exchange are silent at once."""
    return f"{missing} of {known} markets of {exchange} {MISS}"


def quiet_of(exchange: Exchange, series: Series, limits: Standards) -> Quiet:
    """Return what stands for a time without trades.

    Args:
        exchange: its row.
        series: whose.
        limits: what the config says of each rule.
    """
    seconds = limits.limits_of(QUIET_TIMES, QUIET_LIMITS, series)[series.timeframe.name]
    return Quiet(exchange.quiet_candle, timedelta(seconds=seconds))


def status_of_confirmed(
    hole: TimeRange, first: datetime | None, last: datetime | None, quiet: Quiet
) -> Status:
    """Return the status of times that the exchange has confirmed to hold no candle.

    Args:
        hole: the missing times, whole.
        first: the series' first stored candle, or None.
        last: the series' newest stored candle, or None.
        quiet: what stands for a time without trades.

    Returns:
        `before_listing` before the first candle; `no_trades` or `outage` between two candles;
        `open` after the newest, where a candle may still come.
    """
    if first is None or last is None or hole.end <= first:
        return "before_listing"
    if hole.start > last:
        return "open"
    return quiet.status(hole)


def next_belief(
    before: Sequence[Gap], at: datetime, waits: Sequence[timedelta] = WAITS
) -> tuple[int, datetime]:
    """Return how often a hole has been confirmed by now, and when to ask for it again.

    Being asked again before its time does not make a hole more believable.

    Args:
        before: what was settled about it.
        at: when it was asked for.
        waits: how long the first, second, ... confirmation is believed.
    """
    known = max(before, key=lambda gap: gap.tries, default=None)
    if known is None or known.next_try is None:
        return 1, at + waits[0]
    if known.next_try > at:
        return known.tries, known.next_try
    tries = known.tries + 1
    return tries, at + waits[min(tries, len(waits)) - 1]


def judge_run(  # the first three by the ledger, the others by name
    run: Sequence[Gap],
    first: datetime,
    last: datetime,
    quiet: Quiet,
    at: datetime,
    ask: Ask | None = None,
) -> list[Gap]:
    """Return touching rows of the ledger, each with what it is now that more candles are known.

    A hole at an edge is settled once candles surround it, by the length of the whole hole and what
    the other markets of the exchange tell of it. What
    was taken for the time before the listing and lies behind a stored candle, or whose end turned
    out to hold candles when it was asked for again, is open: nobody knows.

    Args:
        run: rows in time order, each touching the next.
        first: the series' first stored candle.
        last: the series' newest stored candle.
        quiet: what stands for a time without trades.
        at: when the fetch began.
        ask: tells what the other markets did; None: nobody knows.
    """
    judged = []
    for gap, after in zip(run, [*run[1:], None], strict=True):
        if gap.status == "before_listing":
            is_repaired = after is not None and after.status == "repaired"
            is_due = gap.next_try is not None and gap.next_try <= at
            is_wrong = gap.start > first or (is_repaired and is_due)
            judged.append(_opened(gap) if is_wrong else gap)
        elif gap.confirmed and gap.status in ("open", "no_trades", "outage") and gap.end <= last:
            whole = _hole_around(gap, run)
            doubt = ask(gap.series, whole) if ask else None
            judged.append(_settled(gap, whole, quiet, at, doubt))
        else:
            judged.append(gap)
    return judged


def _hole_around(gap: Gap, run: Sequence[Gap]) -> TimeRange:
    number = run.index(gap)
    start = end = number
    while start > 0 and _is_hole(run[start - 1]):
        start -= 1
    while end + 1 < len(run) and _is_hole(run[end + 1]):
        end += 1
    return TimeRange(run[start].start, run[end].end)


def _is_hole(gap: Gap) -> bool:
    return gap.confirmed and gap.status in ("open", "no_trades", "outage")


def _settled(gap: Gap, whole: TimeRange, quiet: Quiet, at: datetime, doubt: Doubt | None) -> Gap:
    status = quiet.status(whole)
    if doubt is not None:
        status = "outage" if doubt.is_shared else status
        gap = replace(gap, evidence=_told(gap.evidence, doubt.words if status == "outage" else ""))
    if not quiet.is_doubtful(whole, status):
        return replace(gap, status=status, next_try=None)
    if gap.status == "open" or gap.next_try is None:
        return replace(gap, status=status, tries=1, next_try=at + WAITS[0])
    return replace(gap, status=status)


def _told(evidence: str, words: str) -> str:
    """Return evidence that ends with what other markets tell by now, not with what they told."""
    parts = [part for part in evidence.split(AND) if part and not part.endswith(MISS)]
    return AND.join([*parts, words] if words else parts)


def _opened(gap: Gap) -> Gap:
    return replace(
        gap,
        status="open",
        confirmed=False,
        tries=0,
        next_try=None,
        evidence="taken for the time before the listing; older candles are stored",
    )
