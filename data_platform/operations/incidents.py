"""What went wrong lately with candles, one value each: holes, failing checks, values changed.

Reads the ledger, the verdicts and the journal; judges nothing anew.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from data_platform.domain.markets import Series
from data_platform.domain.periods import to_period
from data_platform.operations.lake import Lake
from data_platform.storage.journal import to_series
from data_platform.storage.recent import recent_failures, recent_rewrites

SPAN = timedelta(hours=24)
"""How long something counts as lately."""

_CHANGES = ("correction", "repair")
"""Kinds that tell of stored candles that became better, whenever they opened."""

_KINDS = {"open": "gap", "refused": "refused", "outage": "outage", "repaired": "repaired"}

_OUTCOMES = {
    "refused": "what came cannot be true: kept in quarantine, asked for again",
    "outage": "the exchange has no candle there",
    "repaired": "repaired: a later answer held the candles",
}

_SETTLED_BY_RUN = {
    "series_fetched": "what was not answered is asked for again by the next run",
    "series_derived": "computed again by the next run",
}
"""What becomes of a failing check that is no rule about stored candles."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that was otherwise than it should be."""

    series: Series
    at: datetime
    """The first candle concerned, or when it was found, UTC."""
    kind: str
    """`gap`, `refused`, `outage`, `repaired`, `correction`, `repair`, or the name of a check."""
    bars: int
    """Candles concerned."""
    resolution: str
    """What was done, or what will be."""

    @property
    def is_issue(self) -> bool:
        """Tell whether it was a fault of these hours."""
        return self.kind not in _CHANGES


def find_incidents(lake: Lake, gaps: pl.DataFrame, now: datetime) -> dict[Series, list[Incident]]:
    """Return what went wrong in the last 24 hours, by series, the newest first.

    Args:
        lake: where candles lie.
        gaps: of `recent_gaps` of these hours.
        now: the clock, UTC.
    """
    since = now - SPAN
    found = [
        *_gaps(gaps, since),
        *_failures(recent_failures(lake.state, since), since),
        *_rewrites(recent_rewrites(lake.state, since)),
    ]
    by_series: dict[Series, list[Incident]] = {}
    for incident in sorted(found, key=lambda it: it.at, reverse=True):
        by_series.setdefault(incident.series, []).append(incident)
    return by_series


def _gaps(gaps: pl.DataFrame, since: datetime) -> list[Incident]:
    found = []
    for row in gaps.iter_rows(named=True):
        series = to_series(row["exchange"], row["timeframe"], row["pair"])
        # Of a hole that began earlier only the part inside the span belongs to it.
        start = max(row["start"], series.timeframe.ceil(since))
        bars = series.timeframe.count(start, row["end"])
        if bars:
            words = _OUTCOMES.get(row["status"]) or _spell_waiting(row["next_try"])
            found.append(Incident(series, start, _KINDS[row["status"]], bars, words))
    return found


def _spell_waiting(next_try: datetime | None) -> str:
    if next_try is None:
        return "asked for again by the next run"
    return f"asked for again after {next_try:%Y-%m-%d %H:%M} UTC"


def _failures(verdicts: pl.DataFrame, since: datetime) -> list[Incident]:
    found = []
    for row in verdicts.iter_rows(named=True):
        series = to_series(row["exchange"], row["timeframe"], row["pair"])
        times = _times(row["rows_json"])
        lately = [time for time in times if time >= since]
        # A month is judged whole again and again: what it held for long is no news. Only the
        # first ten rows are kept, so that of more than those of a running month the newest may be.
        is_over = bool(row["period"]) and to_period(row["period"]).end <= since
        if times and not lately and (is_over or row["count"] <= len(times)):
            continue
        at = min(lately, default=row["checked_at"])
        bars = len(lately) if lately and row["count"] <= len(times) else row["count"]
        words = _SETTLED_BY_RUN.get(row["rule"], "flagged; what is stored is unchanged")
        found.append(Incident(series, at, row["rule"], bars, words))
    return found


def _times(rows_json: str) -> list[datetime]:
    rows = json.loads(rows_json)
    texts = [row["open_time"] for row in rows if isinstance(row.get("open_time"), str)]
    return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts]


def _rewrites(rewrites: pl.DataFrame) -> list[Incident]:
    found = []
    for row in rewrites.iter_rows(named=True):
        series = to_series(row["exchange"], row["timeframe"], row["pair"])
        kind, count, words = (
            ("correction", row["changed"], "candles changed, the old ones are kept in history")
            if row["reason"] == "correction"
            else ("repair", row["added"], "candles stored that were missing")
        )
        told = f"{row['period']}: {words}"
        found.append(Incident(series, row["committed_at"], kind, count, told))
    return found
