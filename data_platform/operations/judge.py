"""What to note beside a commit: which rules its candles break, and whether the fetch succeeded.

Runs the rules of `quality` and shapes their findings for the journal; judges nothing itself.
"""

import hashlib
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from data_platform.domain.candles import empty_candles
from data_platform.domain.errors import DamagedFileError, StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, spell_causes
from data_platform.quality import continuity, ohlc, outliers, stillness
from data_platform.quality.rule import Limits, Rule, RuleInput
from data_platform.quality.standards import Standard, Standards
from data_platform.quality.trailing import history_candles
from data_platform.storage.verdicts import VerdictRow

_log = logging.getLogger(__name__)

CANDLE_RULES: tuple[Rule, ...] = (
    *ohlc.RULES,
    *continuity.RULES,
    *outliers.RULES,
    *stillness.RULES,
)

JUDGE_VERSION = 1
"""Raised by hand when a rule would judge the same candles otherwise."""

_BASIS_LETTERS = 16

SERIES_FETCHED = "series_fetched"
"""Whether the newest fetch of a partition was answered completely."""

SERIES_DERIVED = "series_derived"
"""Whether a derived or exported partition could be brought up to date."""

FIRST_ROWS = 10


def read_history(lake: Lake, partition: Partition) -> pl.DataFrame:
    """Return the candles before a month that its rules may look at.

    No row where a file of them is damaged: that must not keep the candles of this month out.
    """
    series, start = partition.series, partition.period.start
    try:
        return lake.store.read_before("ohlcv", series, start, history_candles(series.timeframe))
    except DamagedFileError as error:
        _log.warning("%s is judged without the candles before it: %s", partition, error)
        return empty_candles()


def judge_candles(given: RuleInput, series: Series, limits: Standards) -> tuple[VerdictRow, ...]:
    """Return one verdict per rule on the stored candles of one partition."""
    basis = judged_by(series, limits)
    rows = (_verdict(rule, given, limits.of(rule, series)) for rule in CANDLE_RULES)
    return tuple(replace(row, basis=basis) for row in rows)


def judged_by(series: Series, limits: Standards) -> str:
    """Return a short hash of the rules, and of what the config says of them for a series.

    Verdicts that rest on another one are out of date, though the candles are the same.
    """
    standards = [(rule.name, limits.of(rule, series)) for rule in CANDLE_RULES]
    said = [(name, it.severity, sorted(it.limits.items())) for name, it in standards]
    return hashlib.sha256(f"{JUDGE_VERSION};{said}".encode()).hexdigest()[:_BASIS_LETTERS]


def note_completion(lake: Lake, rule: str, report: LayerReport) -> None:
    """Note which partitions an operation could not complete, and which it could at last.

    Args:
        lake: gets the verdicts.
        rule: `SERIES_FETCHED` or `SERIES_DERIVED`.
        report: what the operation did.

    Raises:
        StorageError: they cannot be noted; names every cause that could not be.
    """
    try:
        _note_completion(lake, rule, report)
    except StorageError as error:
        # A full disk refuses the reasons, too: they go with the error.
        reasons = report.failures or {it.partition: str(error) for it in report.partitions}
        causes = spell_causes(reasons)
        if str(error) not in reasons.values():
            causes.append(f"nor could that be noted: {error}")
        raise StorageError("; ".join(causes)) from error


def _note_completion(lake: Lake, rule: str, report: LayerReport) -> None:
    if not report.partitions:
        return
    series = report.partitions[0].partition.series
    layer = report.partitions[0].partition.layer
    known = lake.verdicts.newest(series.exchange, layer, series.timeframe)
    failing = set(known.filter(rule=rule, count=1).select("pair", "period").rows())
    verdicts = []
    for done in report.partitions:
        reason = report.failures.get(done.partition)
        key = (done.partition.series.pair.key, done.partition.period.key)
        if reason is not None or key in failing:
            rows: list[dict[str, object]] = [{"reason": reason}] if reason else []
            verdicts.append((done.partition, _row(rule, "error", (len(rows), 1), rows, {})))
    if verdicts:
        with lake.state.write() as connection:
            for partition, verdict in verdicts:
                lake.verdicts.record(connection, partition, (verdict,))


def to_json_rows(frame: pl.DataFrame) -> list[dict[str, object]]:
    """Return the first ten rows of a finding, times as ISO text."""
    times = pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M:%S")
    return frame.head(FIRST_ROWS).with_columns(times).to_dicts()


def _verdict(rule: Rule, given: RuleInput, standard: Standard) -> VerdictRow:
    found = rule.find(given, standard.limits)
    counts = (found.height, given.candles.height)
    return _row(rule.name, standard.severity, counts, to_json_rows(found), standard.limits)


def _row(
    rule: str,
    severity: str,
    counts: tuple[int, int],
    rows: list[dict[str, object]],
    threshold: Limits,
) -> VerdictRow:
    now = datetime.now(tz=UTC)
    return VerdictRow(
        rule=rule,
        day=now.date(),
        severity=severity,
        count=counts[0],
        checked=counts[1],
        rows_json=json.dumps(rows),
        threshold_json=json.dumps(dict(threshold)),
        checked_at=now,
    )
