"""Which stored candles to ask for again, to notice what an exchange has changed since.

Decides from the journal and the date; sends nothing. How the answers are compared is the update's
business.
"""

import math
import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from data_platform.domain.markets import Pair, from_key
from data_platform.domain.periods import Period, period_of, to_period
from data_platform.operations.lake import Lake

RECENT = timedelta(days=3)
"""What is as young as this is asked for again daily: most corrections come within a day."""

OLD_SHARE = 0.01
"""Of the months that are over, so many are asked for again in a week, at least one."""

Cell = tuple[Pair, Period]


@dataclass(frozen=True, slots=True)
class Recheck:
    """What to ask for again: pairs and months of which candles are stored."""

    cells: frozenset[Cell]
    since: datetime
    """Only candles that open at or after it."""


def recent_candles(lake: Lake, exchange: str, pairs: Collection[Pair], now: datetime) -> Recheck:
    """Return the stored candles of the last days.

    Args:
        lake: where candles lie.
        exchange: whose.
        pairs: only of these.
        now: the clock, UTC.
    """
    since = (now - RECENT).replace(hour=0, minute=0, second=0, microsecond=0)
    cells = _stored(lake, exchange, period_of(since), period_of(now))
    return Recheck(frozenset(cell for cell in cells if cell[0] in pairs), since)


def old_candles(
    lake: Lake, exchange: str, pairs: Collection[Pair], day: date, now: datetime
) -> list[Recheck]:
    """Return some whole months that are over, chosen by the day.

    The same day chooses the same months of the same lake, so that a retry asks for no others.

    Args:
        lake: where candles lie.
        exchange: whose.
        pairs: only of these.
        day: seeds the choice.
        now: the clock, UTC.
    """
    last = period_of(now - RECENT).previous
    stored = _stored(lake, exchange, Period(1970, 1), last)
    cells = sorted(cell for cell in stored if cell[0] in pairs)
    count = min(len(cells), max(1, math.ceil(OLD_SHARE * len(cells))))
    # No secret: a tester has to be able to foretell it.
    chosen = random.Random(f"{exchange} {day}").sample(cells, count)  # noqa: S311
    return [Recheck(frozenset({cell}), cell[1].start) for cell in sorted(chosen)]


def _stored(lake: Lake, exchange: str, first: Period, last: Period) -> set[Cell]:
    months = lake.store.months(exchange).select("pair", "period").unique()
    cells = ((from_key(pair), to_period(period)) for pair, period in months.rows())
    return {cell for cell in cells if first <= cell[1] <= last}
