"""What one automatic tick carries: assets and months, within the refresh intervals.

Decides from how far the series are and from when each kind of layer last ran; sends nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from data_platform.domain.layers import LAYERS, Refresh
from data_platform.domain.periods import Period, period_of
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe
from data_platform.operations.due import SeriesStatus, first_due_period
from data_platform.operations.lake import Lake

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Table = tuple[str, Timeframe]
"""A layer and a timeframe."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What one run is to carry."""

    tables: tuple[Table, ...]
    first: Period
    last: Period
    kinds: frozenset[Refresh]
    """Whose refresh intervals begin anew."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often automation may run each kind of layer, and when it last did."""

    intervals: Mapping[Refresh, timedelta]
    last: Mapping[Refresh, datetime]
    grace: timedelta
    """Slots begin this much after the full interval, when its candles have closed."""

    def allows(self, kind: Refresh, now: datetime) -> bool:
        """Tell whether a new interval has begun since a kind of layer last ran."""
        return self._slot(kind, now) > self._slot(kind, self.last.get(kind, EPOCH))

    def _slot(self, kind: Refresh, time: datetime) -> int:
        return (time - self.grace - EPOCH) // self.intervals[kind]


def plan_tick(
    lake: Lake, statuses: Sequence[SeriesStatus], pace: Pace, now: datetime
) -> Tick | None:
    """Return what the next run of an exchange is to carry, or None when nothing is due.

    Args:
        lake: tells how far derived layers and exports are.
        statuses: how far the candles of all series of one exchange are.
        pace: how often what may run.
        now: the clock, UTC.
    """
    due = {it.series.timeframe for it in statuses if it.is_due(now, pace.grace)}
    due = due if pace.allows("candles", now) else set()
    tables: list[Table] = []
    kinds: set[Refresh] = set()
    months = [first_due_period(statuses, now, pace.grace) or period_of(now)]
    for layer in LAYERS:
        if not pace.allows(layer.refresh, now):
            continue
        behind = {} if layer.name == "ohlcv" else _behind(lake, statuses, layer.name)
        carried = due | set(behind)
        tables += [(layer.name, each) for each in TIMEFRAMES if each in carried]
        kinds |= {layer.refresh} if carried else set()
        months += behind.values()
    if not tables:
        return None
    running = period_of(now)
    first = max(min([*months, running]), running.previous)
    return Tick(tuple(tables), first, running, frozenset(kinds))


def _behind(lake: Lake, statuses: Sequence[SeriesStatus], layer: str) -> dict[Timeframe, Period]:
    """Return the timeframes that a layer lags behind in, and the first month it lacks."""
    if not statuses:
        return {}
    newest = lake.store.newest(statuses[0].series.exchange, layer)
    behind: dict[Timeframe, Period] = {}
    for status in statuses:
        series = status.series
        reached = newest.get((series.pair.key, series.timeframe.name))
        if status.last is None or (reached is not None and reached >= status.last):
            continue
        # What was never made at all is a backfill's work, but for the newest month.
        next_open = reached + series.timeframe.duration if reached else status.last
        month = period_of(next_open)
        behind[series.timeframe] = min(month, behind.get(series.timeframe, month))
    return behind
