"""What each check says of one asset now: read from the journal, the ledger, the clock, the disk.

A verdict covers every stored partition of the asset, so an old broken one stays red when a fresh
one passes. Nothing is recomputed: rules ran at the write.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from data_platform.domain.breaker import BreakerState
from data_platform.domain.layers import LAYERS_BY_NAME
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.due import SeriesStatus
from data_platform.operations.judge import (
    CANDLE_RULES,
    FIRST_ROWS,
    to_json_rows,
)
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History, count_lost, find_missing
from data_platform.operations.statements import (
    ANSWERS,
    BARS,
    DERIVED,
    FETCHED,
    FILES,
    Statement,
    statements_of,
    to_statement,
)
from data_platform.quality import agreement
from data_platform.quality.continuity import COUNTED_STATUSES, GAP_RULES
from data_platform.quality.freshness import FRESHNESS_RULES
from data_platform.quality.rule import GapRule, Limits, Severity
from data_platform.quality.standards import Standards
from data_platform.storage.parquet_file import remedy
from data_platform.storage.stored_files import StoredFile

Row = dict[str, object]


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
    beside: Mapping[str, int] = field(default_factory=dict)
    """Candles that are not stored and do not count, by the reason, of checks that speak of gaps;
    `lost` are those `unavailable` ones that were asked for too late."""
    measured: Mapping[str, object] = field(default_factory=dict)
    """What was measured beside, of checks that hold series against one another."""
    score: float | None = None
    """Of the asset, of checks of candles."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One asset to speak of, and what the config says of it."""

    exchange: str
    layer: str
    timeframe: Timeframe
    history: History
    """What is wanted of its pairs; those no longer configured are not judged."""
    limits: Standards
    """What the config says of each rule."""
    feature_sets: Collection[str]
    """`<name>-v<version>` of the configured sets; files of others are not judged."""

    @property
    def pairs(self) -> frozenset[str]:
        """Return the keys of the configured pairs."""
        return frozenset(pair.key for pair in self.history.starts)

    @property
    def series(self) -> list[Series]:
        """Return the configured series."""
        return [Series(self.exchange, pair, self.timeframe) for pair in self.history.starts]


def table_verdicts(
    lake: Lake,
    judged: Judged,
    statuses: Sequence[SeriesStatus],
    asked: Collection[str] | None,
) -> list[Verdict]:
    """Return every check's verdict on one asset of any layer.

    Args:
        lake: where candles lie.
        judged: the asset.
        statuses: how far its series are, for freshness.
        asked: as `files_verdict`.
    """
    rows = _newest_verdicts(lake, judged)
    files = files_verdict(lake, judged, asked)
    if judged.layer != "ohlcv":
        own = [DERIVED, BARS] if BARS in statements_of(judged.layer) else [DERIVED]
        return [*(stored_verdict(it, judged, rows) for it in own), files]
    rules = [FETCHED, *(to_statement(rule) for rule in CANDLE_RULES)]
    gaps, beside = find_missing(lake, judged.history, judged.series), _beside(lake, judged)
    return [
        *(stored_verdict(rule, judged, rows) for rule in rules),
        *(_agreement_verdict(to_statement(rule), judged, rows) for rule in agreement.RULES),
        *(_gap_verdict(rule, gaps, judged, beside) for rule in GAP_RULES),
        freshness_verdict(judged, statuses),
        answers_verdict(lake.breakers.read(judged.exchange)),
        files,
    ]


def files_verdict(lake: Lake, judged: Judged, asked: Collection[str] | None) -> Verdict:
    """Return the verdict on the files of one asset, as they lie on disk now.

    Args:
        lake: where they lie.
        judged: the asset.
        asked: keys of the partitions whose files are hashed in any case, with the files of their
            pairs that hold several months; None: all are.
    """
    pairs = {key.partition("|")[0] for key in asked or ()}

    def is_asked(file: StoredFile) -> bool:
        named = f"{file.pair}|{file.period}" in (asked or ()) if file.period else file.pair in pairs
        return asked is None or named

    exchange, layer, timeframe = judged.exchange, judged.layer, judged.timeframe
    listed = lake.files.of_table(layer, exchange, timeframe)
    damages = lake.files.damaged([it for it in listed if _is_judged(it, judged)], is_asked)
    if LAYERS_BY_NAME[layer].refresh != "exports":
        strange = lake.files.unknown(layer, exchange, timeframe, listed)
        damages += [it for it in strange if _is_judged(it.file, judged)]
    partitions: dict[str, str] = {}
    for damage in damages:
        file, reason = damage.file, f"{damage}. {remedy(layer)}"
        whole_pair = [key for key in asked or () if key.startswith(f"{file.pair}|")]
        keys = [f"{file.pair}|{file.period}"] if file.period else whole_pair
        partitions |= dict.fromkeys(keys, reason)
    rows: list[Row] = [
        {"pair": it.file.pair, "period": it.file.period, "file": it.file.path, "fault": it.fault}
        for it in damages[:FIRST_ROWS]
    ]
    return Verdict(FILES.name, FILES.severity, len(damages), rows, {}, partitions)


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
    spoken = judged.limits.spoken(rule, judged.series, [it.series for it in late])
    return Verdict(rule.name, spoken.severity, len(late), rows[:FIRST_ROWS], spoken.limits)


def answers_verdict(breaker: BreakerState) -> Verdict:
    """Return the verdict on whether an exchange answers; not before a request got through again."""
    since = breaker.opened_at.isoformat() if breaker.opened_at else "unknown"
    row: Row = {"since": since, "failures": breaker.failures, "reason": breaker.reason}
    rows = [] if breaker.state == "closed" else [row]
    return Verdict(ANSWERS.name, ANSWERS.severity, len(rows), rows, {})


def _is_judged(file: StoredFile, judged: Judged) -> bool:
    is_configured = not file.feature_set or file.feature_set in judged.feature_sets
    return is_configured and file.pair in judged.pairs


def _newest_verdicts(lake: Lake, judged: Judged) -> pl.DataFrame:
    rows = lake.verdicts.newest(judged.exchange, judged.layer, judged.timeframe)
    return rows.filter(pl.col("pair").is_in(list(judged.pairs)))


def stored_verdict(rule: Statement, judged: Judged, rows: pl.DataFrame) -> Verdict:
    """Return what the noted verdicts of a rule come to, of all partitions of an asset."""
    own = rows.filter((pl.col("rule") == rule.name) & (pl.col("count") > 0)).sort("pair", "period")
    found: list[Row] = []
    partitions: dict[str, str] = {}
    for pair, period, rows_json in own.select("pair", "period", "rows_json").rows():
        key = f"{pair}|{period}"
        rows_of_key = [{"partition": key, **row} for row in json.loads(rows_json)]
        found += rows_of_key
        partitions[key] = "; ".join(row["reason"] for row in rows_of_key if "reason" in row)
    failing = [it for it in judged.series if it.pair.key in set(own["pair"])]
    spoken = judged.limits.spoken(rule, judged.series, failing)
    count = int(own["count"].sum())
    return Verdict(rule.name, spoken.severity, count, found[:FIRST_ROWS], spoken.limits, partitions)


def _agreement_verdict(rule: Statement, judged: Judged, rows: pl.DataFrame) -> Verdict:
    own = rows.filter(pl.col("rule") == rule.name).sort("pair", "period")
    measured: dict[str, object] = {"checked": int(own["checked"].sum())}
    told = {
        f"{pair}|{period}": json.loads(text)
        for pair, period, text in own.select("pair", "period", "measured_json").rows()
    }
    lacking = [it["not_compared"] for it in told.values() if "not_compared" in it]
    measured |= {"not_compared": sum(lacking)} if lacking else {}
    # Of each pair the newest month: the older ones stand in the table of verdicts.
    newest = {key.partition("|")[0]: key for key, it in told.items() if it.get("exchanges")}
    measured |= {key: told[key]["exchanges"] for key in newest.values()}
    return replace(stored_verdict(rule, judged, rows), measured=measured)


def _gap_verdict(
    rule: GapRule, gaps: pl.DataFrame, judged: Judged, beside: Mapping[str, int]
) -> Verdict:
    parts = [rule.find(gaps.clear(), judged.timeframe, rule.limits)]
    for standard, own in judged.limits.groups(rule, judged.series):
        mine = gaps.filter(pl.col("pair").is_in([it.pair.key for it in own]))
        parts.append(rule.find(mine, judged.timeframe, standard.limits))
    found = pl.concat(parts).sort("pair", "open_time")
    failing = [it for it in judged.series if it.pair.key in set(found["pair"])]
    spoken = judged.limits.spoken(rule, judged.series, failing)
    rows = to_json_rows(found)
    return Verdict(rule.name, spoken.severity, found.height, rows, spoken.limits, beside=beside)


def _beside(lake: Lake, judged: Judged) -> dict[str, int]:
    """Return how many candles of an asset are explained, by status, and how many are lost."""
    totals = lake.sums.totals(judged.exchange, judged.timeframe)
    own = totals.filter(
        pl.col("pair").is_in(sorted(judged.pairs)), ~pl.col("status").is_in(COUNTED_STATUSES)
    )
    sums = own.group_by("status").agg(pl.sum("missing")).sort("status").rows()
    lost = sum(count_lost(lake, judged.series).values())
    return {**dict(sums), **({"lost": lost} if lost else {})}
