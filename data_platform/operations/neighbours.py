"""Which series are held against one another: a market's timeframes, and exchanges that list it.

Knows what is configured, not what is stored; when they are judged stands in `agreement.py`.
"""

from dataclasses import dataclass

from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.quality.standards import Standards


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Which series are held against one another."""

    own: tuple[Series, ...]
    """Of one exchange: those that are judged."""
    derived: frozenset[Timeframe]
    """Those of its timeframes that are computed from finer ones."""
    others: tuple[Series, ...]
    """Of the other exchanges."""
    standards: Standards
    """What the config says of every rule."""

    def finer(self, series: Series) -> tuple[Series, ...]:
        """Return the finer timeframes that a series is held against, the finest first."""
        if series.timeframe in self.derived:
            return ()
        found = [
            it
            for it in self.own
            if it.pair == series.pair
            and it.timeframe.ms < series.timeframe.ms
            and it.timeframe not in self.derived
        ]
        return tuple(sorted(found, key=lambda it: it.timeframe.ms))

    def alike(self, series: Series) -> tuple[Series, ...]:
        """Return the series of other exchanges with the same base, in any quote currency."""
        return tuple(
            it
            for it in self.others
            if it.timeframe == series.timeframe and it.pair.base == series.pair.base
        )

    def same(self, series: Series) -> tuple[Series, ...]:
        """Return the series of the same pair on other exchanges, quote currency included."""
        return tuple(it for it in self.alike(series) if it.pair == series.pair)
