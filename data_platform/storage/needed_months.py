"""Which months of a series must be opened for a range and so many rows before it.

Pure: from journal rows to journal rows.
"""

from collections.abc import Sequence
from datetime import datetime

from data_platform.domain.periods import Period
from data_platform.storage.journal import JournalRow


def needed_months(
    found: Sequence[JournalRow], start: datetime, end: datetime, rows: int
) -> list[JournalRow]:
    """Return the months that hold a range and so many rows before it, in the order of time."""
    wanted: list[JournalRow] = []
    certain = 0
    for row in reversed(found):
        if row.period is None or row.first is None or row.last is None:
            continue
        # By the month, not by the rows: a file may have grown since its journal row was written.
        is_inside = _overlaps(row.period, start, end)
        if not is_inside and (row.first >= start or certain >= rows):
            continue
        wanted.insert(0, row)
        # Of the month that holds `start` only a part counts, and which part is not known yet.
        certain += row.rows if row.last < start else 0
    return wanted


def _overlaps(period: Period, start: datetime, end: datetime) -> bool:
    return period.start < end and start < period.end
