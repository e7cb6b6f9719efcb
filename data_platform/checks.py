"""Asset checks: what the journal, the ledger and the clock say of every stored partition.

One step per exchange evaluates the checks of all assets in its run; the verdicts themselves stand
in `operations/verdicts.py`. The step ends as a failure when a partition of this run could not be
completed: by then everything else is done and recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg

from data_platform.assets.agreement import RUN_BUDGET, renew_beside_others
from data_platform.assets.candles import TICK_TAG
from data_platform.assets.line import FIRST_FAILURES, Line, asset_key
from data_platform.assets.scores import asset_scores, score_again
from data_platform.converters import CONVERTERS_BY_NAME
from data_platform.domain.layers import LAYERS, Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.agreement import COARSER
from data_platform.operations.due import FreshnessLimits, SeriesStatus, series_status
from data_platform.operations.feature_verdicts import Clock, feature_verdicts, renew_proofs
from data_platform.operations.indicator_verdicts import comparison_verdict, renew_comparisons
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.prove_exports import prove_exports
from data_platform.operations.rejudge import judge_by_new_limits
from data_platform.operations.report import spell_causes
from data_platform.operations.statements import DERIVED, FETCHED, FILES, Statement, statements_of
from data_platform.operations.verdicts import (
    Judged,
    Verdict,
    table_verdicts,
)
from data_platform.partitions import from_partition_key
from data_platform.quality import agreement

REJUDGE_BUDGET = timedelta(seconds=10)
"""How long a run that is no tick may judge months by new limits: some 200 months of 1m."""

COMPLETION = (FETCHED.name, DERIVED.name, FILES.name)
"""The checks whose failure in a partition of the run makes the run fail."""


def build_checks(line: Line) -> dg.AssetChecksDefinition:
    """Return the checks of every asset of an exchange, as one step."""

    @dg.multi_asset_check(
        name=f"{line.exchange.name}_checks",
        specs=[_spec(*it) for it in _statements(line)],
        can_subset=True,
        required_resource_keys={"lake"},
    )
    def exchange_checks(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        # Results as outputs would cost a third more events (12 ms each), and the search for the
        # newest materialization 14 ms each; Dagster then logs that it misses the outputs.
        context.log.addFilter(lambda record: "expected outputs" not in record.getMessage())
        lake: Lake = context.resources.lake.open(context.run.run_id)
        wanted, run_keys = context.selected_asset_check_keys, _partition_keys(context)
        _hold_against_others(lake, line, context, is_alone=run_keys is None)
        failed: dict[Partition, str] = {}
        assets = {check.asset_key for check in wanted}
        for judged, verdict in verdicts_of(lake, line, assets, run_keys):
            key = asset_key(judged.exchange, judged.layer, judged.timeframe)
            if dg.AssetCheckKey(key, verdict.name) in wanted:
                yield to_evaluation(key, verdict)
            if verdict.name in COMPLETION:
                # What kept a partition from being completed comes before the state of its file.
                for partition, reason in _reasons(judged, verdict, run_keys or set()).items():
                    failed.setdefault(partition, reason)
        if failed:
            raise dg.Failure(spell_failures(failed))

    return exchange_checks


def freshness_limits(line: Line) -> FreshnessLimits:
    """Return when a closed candle of an exchange counts as late."""
    refresh = line.settings.refresh.candles
    return FreshnessLimits(line.exchange.grace, refresh, line.settings.thresholds.limits)


def feature_clock(line: Line) -> Clock:
    """Return what the freshness of features is judged by."""
    return Clock(line.clock(), line.settings.refresh.derived)


def history_of(line: Line) -> History:
    """Return what is wanted of the past of an exchange's series."""
    return History(line.exchange.row.quiet_candle, line.exchange.starts)


def judged_asset(line: Line, layer: str, timeframe: Timeframe) -> Judged:
    """Return an asset as its verdicts need it."""
    return Judged(
        exchange=line.exchange.name,
        layer=layer,
        timeframe=timeframe,
        history=history_of(line),
        limits=line.settings.thresholds.limits,
        feature_sets=frozenset(it.key for it in line.settings.feature_sets if it.holds(timeframe)),
    )


def to_evaluation(key: dg.AssetKey, verdict: Verdict) -> dg.AssetCheckEvaluation:
    """Return a verdict in Dagster's words, with count, first ten rows and threshold for the UI."""
    is_error, beside = verdict.severity == "error", dict(verdict.beside)
    measured = dict(verdict.measured)
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=verdict.name,
        passed=verdict.count == 0,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        metadata={
            "count": verdict.count,
            "first_rows": dg.MetadataValue.json(list(verdict.rows)),
            "threshold": dg.MetadataValue.json(dict(verdict.threshold)),
            **({"not_counted": dg.MetadataValue.json(beside)} if beside else {}),
            **({"measured": dg.MetadataValue.json(measured)} if measured else {}),
            **({} if verdict.score is None else {"quality_score": verdict.score}),
        },
    )


def verdicts_of(
    lake: Lake, line: Line, wanted: set[dg.AssetKey], run_keys: set[str] | None
) -> Iterator[tuple[Judged, Verdict]]:
    """Yield the verdicts of some assets of an exchange.

    Args:
        lake: where they lie.
        line: the exchange.
        wanted: the assets.
        run_keys: partitions that the run carries; None: it carries none.
    """
    statuses = series_status(lake, line.exchange.series, freshness_limits(line), line.clock())
    scores = asset_scores(line, lake)
    for layer in LAYERS:
        for timeframe in line.exchange.timeframes:
            key = asset_key(line.exchange.name, layer.name, timeframe)
            if key not in wanted:
                continue
            judged = judged_asset(line, layer.name, timeframe)
            if layer.name in CONVERTERS_BY_NAME:
                prove_exports(lake, CONVERTERS_BY_NAME[layer.name], judged.series, run_keys)
            score = scores.get(timeframe.name) if layer.name == "ohlcv" else None
            for verdict in table_verdicts(lake, judged, statuses, run_keys):
                yield judged, replace(verdict, score=score)
            for verdict in _proofs(lake, line, judged, statuses):
                yield judged, verdict


def _proofs(
    lake: Lake, line: Line, judged: Judged, statuses: Sequence[SeriesStatus]
) -> list[Verdict]:
    """Prove what is due today of a layer that has proofs of its own, and say how they stand."""
    if judged.layer == "indicators":
        renew_comparisons(lake, judged, line.settings.indicators, line.clock())
        return [comparison_verdict(lake, judged)]
    if judged.layer == "features":
        renew_proofs(lake, judged, line.settings.known.lines, line.clock())
        return feature_verdicts(lake, judged, statuses, feature_clock(line))
    return []


def agreement_checks(line: Line) -> list[dg.AssetCheckKey]:
    """Return the checks of an exchange that hold series against one another."""
    names = {rule.name for rule in agreement.RULES}
    found = [(key, it.name) for key, it in _statements(line) if it.name in names]
    return [dg.AssetCheckKey(key, name) for key, name in found]


def _hold_against_others(
    lake: Lake, line: Line, context: dg.AssetCheckExecutionContext, *, is_alone: bool
) -> None:
    """Judge and score again what has moved, in whatever run it did; checks alone do all of it."""
    is_tick, budget = TICK_TAG in context.run.tags, None if is_alone else RUN_BUDGET
    renewal = renew_beside_others(line, lake, budget, is_tick=is_tick)
    rejudged = judge_by_new_limits(
        lake,
        line.exchange.series,
        line.settings.thresholds.limits,
        line.clock(),
        None if is_alone else RUN_BUDGET if is_tick else REJUDGE_BUDGET,
        period_of(line.clock()).previous if is_tick else None,
    )
    statuses = series_status(lake, line.exchange.series, freshness_limits(line), line.clock())
    score_again(line, lake, statuses, is_tick=is_tick)
    if renewal.left:
        context.log.info("%d months wait to be held against others.", renewal.left)
    if rejudged.left:
        context.log.info("%d months wait to be judged by today's limits.", rejudged.left)


def _statements(line: Line) -> Iterator[tuple[dg.AssetKey, Statement]]:
    for layer in LAYERS:
        for timeframe in line.exchange.timeframes:
            key = asset_key(line.exchange.name, layer.name, timeframe)
            for statement in statements_of(layer.name):
                if statement.name != COARSER.name or timeframe in line.exchange.fetched[1:]:
                    yield key, statement


def _spec(key: dg.AssetKey, statement: Statement) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(statement.name, asset=key, description=statement.description)


def _partition_keys(context: dg.AssetCheckExecutionContext) -> set[str] | None:
    # Checks started alone, from the UI, carry no partition.
    carries = context.has_partition_key or context.has_partition_key_range
    return set(context.partition_keys) if carries else None


def spell_failures(failed: Mapping[Partition, str]) -> str:
    """Return the first causes of what could not be completed, a line each."""
    causes = spell_causes(failed)
    rest = len(causes) - FIRST_FAILURES
    more = [f"and {rest} more causes, see the checks"] if rest > 0 else []
    return "\n".join([*causes[:FIRST_FAILURES], *more])


def _reasons(judged: Judged, verdict: Verdict, run_keys: set[str]) -> dict[Partition, str]:
    failed = {}
    for key in sorted(verdict.partitions.keys() & run_keys):
        pair, period = from_partition_key(key)
        series = Series(judged.exchange, pair, judged.timeframe)
        reason = verdict.partitions[key] or "see the check"
        failed[Partition(judged.layer, series, period)] = reason
    return failed
