"""How each exchange has answered lately: its breaker, and the log of runs."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.breaker import BreakerState
from data_platform.operations.lake import Lake
from data_platform.rendering.facts import SourceFacts, SourceState

TICK = "tick"
"""The kind of run that fetches candles as they close."""

WINDOW = timedelta(days=7)
"""How far back the log of runs is read."""


def find_source_health(lake: Lake, exchanges: Sequence[str], now: datetime) -> list[SourceFacts]:
    """Return how each exchange has answered in the last days.

    Args:
        lake: whose breakers and log.
        exchanges: their names.
        now: the clock, UTC.
    """
    runs = lake.runs.frame(now - WINDOW)
    return [
        _health(name, lake.breakers.read(name), runs.filter(exchange=name), now)
        for name in exchanges
    ]


def _health(name: str, breaker: BreakerState, runs: pl.DataFrame, now: datetime) -> SourceFacts:
    errors: Counter[str] = Counter()
    for text in runs["errors_json"]:
        errors.update(json.loads(text))
    medians = runs.select(
        # Who fetches history finds every candle late.
        lag=pl.duration(milliseconds=pl.col("lag_ms").filter(pl.col("kind") == TICK).median()),
        answers_in=pl.duration(milliseconds=pl.col("latency_ms").median()),
        took=(pl.col("ended_at") - pl.col("started_at")).median(),
        newest=pl.max("ended_at"),
    )
    [(lag, answers_in, took, newest)] = medians.rows()
    return SourceFacts(
        name=name,
        state=_state(breaker, now),
        told="" if breaker.state == "closed" else breaker.spell(name),
        runs=runs.height,
        requests=int(runs["requests"].sum()),
        errors=dict(errors.most_common()),
        candles=int(runs["candles"].sum()),
        refused=int(runs["refused"].sum()),
        lag=lag,
        answers_in=answers_in,
        took=took,
        newest=newest,
    )


def _state(breaker: BreakerState, now: datetime) -> SourceState:
    if breaker.is_open(now):
        return "left alone"
    return "answers" if breaker.state == "closed" and not breaker.failures else "failing"
