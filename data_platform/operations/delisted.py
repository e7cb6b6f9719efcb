"""Which series have ended: their pair is not traded any more.

Reads the ledger; who asks whether a pair is traded notes the answer there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from data_platform.domain.markets import Series
from data_platform.operations.lake import Lake


@dataclass(frozen=True, slots=True)
class Delisting:
    """The end of one series."""

    since: datetime
    """The first time without a candle."""
    next_try: datetime | None
    """When to see whether it has come back; None: never."""

    def is_believed(self, now: datetime) -> bool:
        """Tell whether nothing behind it is to be asked for now."""
        return self.next_try is None or now < self.next_try


def find_delisted(lake: Lake, wanted: Iterable[Series]) -> Mapping[Series, Delisting]:
    """Return those series that have ended and not come back.

    Args:
        lake: where candles lie.
        wanted: series of one exchange.
    """
    found = lake.sums.newest_gaps(wanted, "after_delisting")
    if not found:
        return {}
    newest = lake.store.newest(next(iter(found)).exchange)
    ended = {}
    for series, gap in found.items():
        last = newest.get((series.pair.key, series.timeframe.name))
        if last is None or last < gap.start:
            ended[series] = Delisting(gap.start, gap.next_try)
    return ended
