"""How all markets stand at one time: sources, freshness, scores, and whether to trade on them.

Judges by what the journal, the ledger and the breakers say; reads no candle itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from data_platform.domain.breaker import BreakerState
from data_platform.domain.markets import Market
from data_platform.domain.state_files import (
    DataStatus,
    Health,
    MarketTimeframes,
    SeriesState,
    SourceState,
    SourceStatus,
)
from data_platform.operations.alarms import LADDER
from data_platform.operations.due import SeriesStatus

CRITICAL, HIGH = LADDER[0][0], LADDER[-1][0]
"""Scores below which nobody should trade, and below which health is no longer whole."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the newest month of a series is; each 0 to 1, None: not known."""

    score: float | None = None
    completeness: float | None = None
    validity: float | None = None
    freshness: float | None = None


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What is known of one configured series."""

    status: SeriesStatus
    last: datetime | None
    """Newest candle that had closed by then."""
    bars_today: int
    gaps_today: int
    quality: Quality

    @property
    def is_known(self) -> bool:
        """Tell whether anything of it was ever stored or answered."""
        return self.status.answered_until is not None

    @property
    def is_away(self) -> bool:
        """Tell whether it should have newer candles than it has; a pair that has ended need not."""
        is_late = self.status.is_stale or not self.is_known
        return is_late and self.status.delisting is None


def to_source(breaker: BreakerState, *, is_known: bool) -> SourceState:
    """Return how an exchange answers.

    Args:
        breaker: of the exchange.
        is_known: whether it was ever asked.
    """
    if breaker.state == "open":
        return "down"
    if breaker.state == "half_open":
        return "trying"
    if breaker.failures:
        return "failing"
    return "up" if is_known else "unknown"


def to_data_status(
    sources: Mapping[str, SourceStatus], facts: Sequence[SeriesFacts], now: datetime
) -> DataStatus:
    """Return how everything stands.

    Args:
        sources: every configured exchange.
        facts: every configured series.
        now: the clock, UTC.
    """
    halt = must_halt(sources.values(), facts)
    markets: dict[Market, list[SeriesFacts]] = {}
    for each in facts:
        markets.setdefault(each.status.series.market, []).append(each)
    return DataStatus(
        updated_at=now,
        sources=dict(sources),
        markets={str(it): _to_market(sources[it.exchange], own) for it, own in markets.items()},
        overall_health=_health(sources.values(), facts, halt=halt),
        quality_score=mean_of(each.quality.score for each in facts),
        halt_trading=halt,
    )


def must_halt(sources: Iterable[SourceStatus], facts: Sequence[SeriesFacts]) -> bool:
    """Tell whether nobody should trade on the data as it is, of one market or of all.

    True where an exchange does not answer, where a series is later than its limit or nothing of it
    is known, where a score is critical, and where nothing is configured.

    Args:
        sources: the exchanges that count.
        facts: the series that count.
    """
    is_cut_off = any(source.status in {"down", "trying"} for source in sources)
    is_late = any(each.is_away for each in facts)
    return not facts or is_cut_off or is_late or _falls_below(CRITICAL, facts)


def mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is known; None of nothing."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _to_market(source: SourceStatus, facts: Sequence[SeriesFacts]) -> MarketTimeframes:
    return MarketTimeframes(
        timeframes={each.status.series.timeframe.name: _to_state(each) for each in facts},
        halt_trading=must_halt([source], facts),
    )


def _to_state(facts: SeriesFacts) -> SeriesState:
    return SeriesState(
        last_bar=facts.last,
        quality_score=facts.quality.score,
        bars_today=facts.bars_today if facts.is_known else None,
        gaps_today=facts.gaps_today if facts.is_known else None,
    )


def _health(sources: Iterable[SourceStatus], facts: Sequence[SeriesFacts], *, halt: bool) -> Health:
    if halt:
        return "critical"
    is_whole = all(source.status == "up" for source in sources)
    has_gaps = any(each.gaps_today for each in facts)
    return "degraded" if has_gaps or not is_whole or _falls_below(HIGH, facts) else "healthy"


def _falls_below(level: float, facts: Iterable[SeriesFacts]) -> bool:
    scores = (each.quality.score for each in facts)
    return any(score is not None and score < level for score in scores)
