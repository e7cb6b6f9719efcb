"""What each check says of one asset now: read from the journal, the ledger and the clock.

A verdict covers every stored partition of the asset, so an old broken one stays red when a fresh
one passes. Nothing is recomputed: rules ran at the write.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from data_platform.domain.timeframes import Timeframe
from data_platform.operations.due import COUNTED, SeriesStatus
from data_platform.operations.judge import (
    CANDLE_RULES,
    FIRST_ROWS,
    SERIES_DERIVED,
    SERIES_FETCHED,
    merge_limits,
    to_json_rows,
)
from data_platform.operations.lake import Lake
from data_platform.quality.continuity import GAP_RULES
from data_platform.quality.freshness import FRESHNESS_RULES
from data_platform.quality.rule import FreshnessRule, GapRule, Limits, Rule, Severity

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Statement:
    """A check's name and what it claims."""

    name: str
    severity: Severity
    description: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of one asset."""

    name: str
    severity: Severity
    count: int
    """Offending rows; 0 = passed."""
    rows: Sequence[Row]
    """The first ten of them."""
    threshold: Limits
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Keys of the partitions that offend and why, of checks that speak of partitions."""


def _statement(rule: Rule | GapRule | FreshnessRule) -> Statement:
    return Statement(rule.name, rule.severity, rule.description)


FETCHED = Statement(
    SERIES_FETCHED, "error", "The newest fetch of each partition was answered completely."
)
DERIVED = Statement(
    SERIES_DERIVED, "error", "Each partition was computed from what its inputs hold now."
)

CANDLE_STATEMENTS: tuple[Statement, ...] = (
    FETCHED,
    *(_statement(rule) for rule in CANDLE_RULES),
    *(_statement(rule) for rule in GAP_RULES),
    *(_statement(rule) for rule in FRESHNESS_RULES),
)
"""The checks of a candle asset."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One asset to speak of, and what the config says of it."""

    exchange: str
    layer: str
    timeframe: Timeframe
    pairs: Collection[str]
    """Keys of the configured pairs; series no longer configured are not judged."""
    limits: Mapping[str, Limits]
    """Thresholds of the config by rule."""


def table_verdicts(lake: Lake, judged: Judged, statuses: Sequence[SeriesStatus]) -> list[Verdict]:
    """Return every check's verdict on one asset of any layer; `statuses` as `candle_verdicts`."""
    if judged.layer == "ohlcv":
        return candle_verdicts(lake, judged, statuses)
    return [derived_verdict(lake, judged)]


def candle_verdicts(lake: Lake, judged: Judged, statuses: Sequence[SeriesStatus]) -> list[Verdict]:
    """Return every check's verdict on one candle asset.

    Args:
        lake: where candles lie.
        judged: the asset, layer `ohlcv`.
        statuses: how far its series are, for freshness.
    """
    rules = [FETCHED, *(_statement(rule) for rule in CANDLE_RULES)]
    rows = _newest_verdicts(lake, judged)
    gaps = lake.ledger.gaps_of(judged.exchange, judged.timeframe, COUNTED)
    gaps = gaps.filter(pl.col("pair").is_in(list(judged.pairs)))
    return [
        *(_stored_verdict(rule, rows) for rule in rules),
        *(_gap_verdict(rule, gaps, judged) for rule in GAP_RULES),
        freshness_verdict(judged, statuses),
    ]


def derived_verdict(lake: Lake, judged: Judged) -> Verdict:
    """Return the verdict on one derived or exported asset."""
    return _stored_verdict(DERIVED, _newest_verdicts(lake, judged))


def freshness_verdict(judged: Judged, statuses: Sequence[SeriesStatus]) -> Verdict:
    """Return the verdict on how late the series of one candle asset are."""
    rule = FRESHNESS_RULES[0]
    own = [it for it in statuses if it.series.timeframe == judged.timeframe]
    late = [it for it in own if it.is_stale]
    rows: list[Row] = [
        {
            "pair": it.series.pair.key,
            "late_seconds": round(it.late.total_seconds()),
            "limit_seconds": round(it.limit.total_seconds()),
            "newest": it.last.isoformat() if it.last else "none",
        }
        for it in sorted(late, key=lambda it: it.late, reverse=True)
    ]
    limits = merge_limits(rule.name, rule.limits, judged.limits)
    return Verdict(
        rule.name,
        rule.severity,
        len(late),
        rows[:FIRST_ROWS],
        {"seconds": limits[judged.timeframe.name]},
    )


def _newest_verdicts(lake: Lake, judged: Judged) -> pl.DataFrame:
    rows = lake.verdicts.newest(judged.exchange, judged.layer, judged.timeframe)
    return rows.filter(pl.col("pair").is_in(list(judged.pairs)) & (pl.col("count") > 0))


def _stored_verdict(rule: Statement, rows: pl.DataFrame) -> Verdict:
    own = rows.filter(pl.col("rule") == rule.name).sort("pair", "period")
    found: list[Row] = []
    partitions: dict[str, str] = {}
    for pair, period, rows_json in own.select("pair", "period", "rows_json").rows():
        key = f"{pair}|{period}"
        rows_of_key = [{"partition": key, **row} for row in json.loads(rows_json)]
        found += rows_of_key
        partitions[key] = "; ".join(row["reason"] for row in rows_of_key if "reason" in row)
    count = int(own["count"].sum())
    return Verdict(rule.name, rule.severity, count, found[:FIRST_ROWS], {}, partitions)


def _gap_verdict(rule: GapRule, gaps: pl.DataFrame, judged: Judged) -> Verdict:
    threshold = merge_limits(rule.name, rule.limits, judged.limits)
    found = rule.find(gaps, judged.timeframe, threshold)
    return Verdict(rule.name, rule.severity, found.height, to_json_rows(found), threshold)
