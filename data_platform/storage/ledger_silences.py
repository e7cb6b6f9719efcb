"""What the ledger says of all markets of an exchange and timeframe in a range of time.

Read to compare them with one another; a thin market has tens of thousands of holes a year, so
that only ranges are read, and single quiet candles are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from data_platform.domain.candles import TimeRange
from data_platform.domain.markets import Pair, Series
from data_platform.storage.ledger import Gap, overlapping, to_gap
from data_platform.storage.state import State
from data_platform.storage.tables import GAPS

CONFIRMED = ("no_trades", "outage")
"""What a silence between two candles is called."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A hole between two candles, as an answer confirmed it; its rows touch."""

    times: TimeRange
    statuses: frozenset[str]
    """What its rows are called."""
    evidence: tuple[str, ...]
    """Of those that are outages."""


@dataclass(frozen=True, slots=True)
class Holes:
    """The holes of one market in a range, in time order."""

    silences: tuple[Silence, ...]
    unknown: tuple[TimeRange, ...]
    """What no answer told, was refused, is out of reach, or lies at an edge."""


def read_holes(state: State, markets: Iterable[Series], within: TimeRange) -> dict[Pair, Holes]:
    """Return the holes of markets that share a time with a range, by pair.

    Args:
        state: whose ledger.
        markets: of one exchange and timeframe.
        within: the range.
    """
    found = {}
    with state.read() as connection:
        for series in markets:
            query = overlapping(series, within.start, within.end).where(
                GAPS.c.status != "repaired",
                sa.or_(GAPS.c.missing > 1, GAPS.c.status != "no_trades"),
            )
            rows = connection.execute(query).mappings()
            found[series.pair] = _to_holes([to_gap(series, row) for row in rows])
    return found


def _to_holes(gaps: Sequence[Gap]) -> Holes:
    silences: list[Silence] = []
    unknown: list[TimeRange] = []
    for gap in gaps:
        times = TimeRange(gap.start, gap.end)
        if not gap.confirmed or gap.status not in CONFIRMED:
            unknown.append(times)
            continue
        said = (gap.evidence,) if gap.status == "outage" else ()
        own = Silence(times, frozenset([gap.status]), said)
        if silences and silences[-1].times.end == gap.start:
            silences[-1] = _joined(silences[-1], own)
        else:
            silences.append(own)
    return Holes(tuple(silences), tuple(unknown))


def _joined(one: Silence, other: Silence) -> Silence:
    return replace(
        one,
        times=TimeRange(one.times.start, other.times.end),
        statuses=one.statuses | other.statuses,
        evidence=(*one.evidence, *other.evidence),
    )
