"""The trade's day in UTC: which session runs at a time, and whether a killzone does.

Boundaries are fixed in UTC on purpose. Crypto trades around the clock, so a session is a name for a
part of the day and no opening hours; with the clocks of cities every boundary would move by an hour
twice a year, in London and New York on different days, and no two years could be compared. In
summer the cities' own hours are one earlier than in winter: London's exchange opens at 07:00 UTC in
summer and at 08:00 in winter. On Saturday and Sunday, UTC, there is one session, `weekend`, and no
killzone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from data_platform.domain.state_files import SessionName

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class DayPart:
    """A part of a UTC day, half-open."""

    name: SessionName
    start: int
    """Hour."""
    end: int
    """Hour, exclusive."""


SESSIONS: tuple[DayPart, ...] = (
    DayPart("asia", 0, 7),
    DayPart("london", 7, 12),
    DayPart("new_york", 12, 21),
    DayPart("after_hours", 21, 24),
)
"""Every hour of a weekday is in exactly one."""

KILLZONES: tuple[DayPart, ...] = (
    DayPart("asia", 0, 4),
    DayPart("london", 7, 10),
    DayPart("new_york", 12, 17),
)
"""The hours of a session in which most of its range is made: Asia's first four, London's first
three, New York's first three and the two in which London closes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the clock says of a time."""

    session: SessionName
    minutes: int
    """Whole minutes since the session began."""
    is_killzone: bool


def moment_of(time: datetime) -> Moment:
    """Return which session a time is in; a time on a boundary is in the one that begins."""
    utc = time.astimezone(UTC)
    minute = utc.hour * 60 + utc.minute
    if utc.weekday() >= _SATURDAY:
        return Moment("weekend", (utc.weekday() - _SATURDAY) * 24 * 60 + minute, is_killzone=False)
    session = next(part for part in SESSIONS if utc.hour < part.end)
    is_killzone = any(part.start <= utc.hour < part.end for part in KILLZONES)
    return Moment(session.name, minute - session.start * 60, is_killzone)
