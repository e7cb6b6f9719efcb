"""Facts of a small report, with a default for every argument."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from data_platform.rendering.cells import COUNTS, DAYS
from data_platform.rendering.facts import ReportFacts, ScoreFacts, SeriesFacts, SourceFacts

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
LEVELS = {"critical": 0.7, "escalate": 0.8, "high": 0.85}
SERIES = ("binance", "BTC/USDT", "1h")


def days_of(
    first: date,
    counts: Iterable[Mapping[str, int]],
    series: tuple[str, str, str] = SERIES,
) -> pl.DataFrame:
    """One row a day from a first one on; each names what is not 0."""
    rows = []
    for number, given in enumerate(counts):
        own = {name: given.get(name, 0) for name in COUNTS}
        day = first + timedelta(days=number)
        rows.append((*series, day, sum(own.values()), *own.values()))
    return pl.DataFrame(rows, schema=DAYS, orient="row")


def score_of(period: str = "2024-02", score: float | None = 0.99, **parts: float) -> ScoreFacts:
    return ScoreFacts(period, score, {"completeness": 1.0, "accuracy": None, **parts})


def series_facts(series: tuple[str, str, str] = SERIES, **given: Any) -> SeriesFacts:  # noqa: ANN401
    own: dict[str, Any] = {
        "state": "fresh",
        "last": NOW,
        "late": timedelta(0),
        "limit": timedelta(minutes=5),
        **given,
    }
    return SeriesFacts(*series, **own)


def source_facts(name: str = "binance", **given: Any) -> SourceFacts:  # noqa: ANN401
    own: dict[str, Any] = {
        "state": "answers",
        "told": "",
        "runs": 3,
        "requests": 100,
        "errors": {},
        "candles": 1000,
        "refused": 0,
        "lag": timedelta(seconds=7),
        "answers_in": timedelta(milliseconds=85),
        "took": timedelta(seconds=20),
        "newest": NOW,
        **given,
    }
    return SourceFacts(name, **own)


def facts_of(**given: Any) -> ReportFacts:  # noqa: ANN401
    own: dict[str, Any] = {
        "made_at": NOW,
        "health": "healthy",
        "score": 0.99,
        "levels": LEVELS,
        "window": timedelta(days=7),
        "series": [series_facts(scores=[score_of()])],
        "days": days_of(date(2024, 2, 1), [{"stored": 24}] * 29),
        "sources": [source_facts()],
        **given,
    }
    return ReportFacts(**own)
