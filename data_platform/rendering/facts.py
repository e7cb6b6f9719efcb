"""What a report tells, as values: whoever gathers them has read the lake.

Times are UTC, scores and shares lie within 0 and 1, None is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

Health = Literal["healthy", "degraded", "critical"]
SeriesState = Literal["fresh", "stale", "not stored", "delisted"]
SourceState = Literal["answers", "failing", "left alone"]


@dataclass(frozen=True, slots=True)
class GapFacts:
    """A run of candles that are missing and should be there."""

    start: datetime
    end: datetime
    missing: int
    status: str
    evidence: str


@dataclass(frozen=True, slots=True)
class ScoreFacts:
    """How good one month of a series is."""

    period: str
    score: float | None
    components: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """One exchange, pair and timeframe."""

    exchange: str
    pair: str
    """As people spell it: `BTC/USDT`."""
    timeframe: str
    state: SeriesState
    last: datetime | None
    """Its newest stored candle."""
    late: timedelta
    """Since the close of the oldest candle that is awaited."""
    limit: timedelta
    """How late it may be."""
    scores: Sequence[ScoreFacts] = ()
    """By month, in the order of time."""
    gaps: Sequence[GapFacts] = ()
    """The longest."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what the coverage calls it: exchange, pair, timeframe."""
        return self.exchange, self.pair, self.timeframe

    @property
    def score(self) -> ScoreFacts | None:
        """Return its newest month's score."""
        return self.scores[-1] if self.scores else None


@dataclass(frozen=True, slots=True)
class VerdictFacts:
    """What one rule found in a partition."""

    rule: str
    severity: str
    count: int
    """Offending rows."""
    checked: int
    """Rows looked at; 0: nobody counted."""
    rows: Sequence[Mapping[str, object]]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """A month of a table of which rules have found something."""

    name: str
    """`binance/ohlcv_1h BTC/USDT 2024-01`."""
    score: float | None
    verdicts: Sequence[VerdictFacts]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """How one exchange has answered lately."""

    name: str
    state: SourceState
    told: str
    """Since when it is not asked, why and until when; empty while it is."""
    runs: int
    requests: int
    errors: Mapping[str, int]
    """Failed attempts by their kind."""
    candles: int
    refused: int
    lag: timedelta | None
    """Median over the ticks of the time from a candle's close to its commit."""
    answers_in: timedelta | None
    """Median from sending a request to its answer."""
    took: timedelta | None
    """Median length of a run."""
    newest: datetime | None
    """When the newest run ended."""

    @property
    def failed(self) -> int:
        """Return how many attempts failed."""
        return sum(self.errors.values())


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything on the page."""

    made_at: datetime
    health: Health
    score: float | None
    """Mean of the series' newest scores."""
    levels: Mapping[str, float]
    """Scores below which somebody is told, by the level's name, the worst first."""
    window: timedelta
    """How far back the log of runs was read."""
    series: Sequence[SeriesFacts]
    days: pl.DataFrame
    """`cells.DAYS`: what is stored of every series on each day, and why the rest is not."""
    sources: Sequence[SourceFacts]
    partitions: Sequence[PartitionFacts] = ()
    """The worst, the first first."""
    more_partitions: int = 0
    """How many others have failed verdicts."""
    doubts: Sequence[str] = ()
    """One line for each month of which journal and ledger tell different things."""
