"""Give refused rows another chance: what passes the audit today goes into the lake.

For rows that a mistaken audit or a wrong clock had refused. What a later fetch has brought wins;
what fails again stays where it is.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from data_platform.domain.candles import TimeRange, closed_before, merge_candles, subtract_ranges
from data_platform.domain.errors import WrongUseError
from data_platform.domain.layers import LAYERS_BY_NAME
from data_platform.operations.judge import judge_candles, read_history
from data_platform.operations.lake import Lake
from data_platform.operations.plan import UpdateRules
from data_platform.quality.rule import RuleInput
from data_platform.quality.schema import audit_candles
from data_platform.storage.change import CommitResult, Judgement
from data_platform.storage.journal import CommitNote
from data_platform.storage.ledger import Gap
from data_platform.storage.quarantine import RefusedFile

MIN_LETTERS = 4


def find_refused(files: list[RefusedFile], name: str) -> RefusedFile:
    """Return the one file that a person means by the beginning of its name.

    Raises:
        WrongUseError: none or several begin so.
    """
    found = [file for file in files if len(name) >= MIN_LETTERS and file.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(file.name for file in found or files) or "none: the quarantine is empty"
    raise WrongUseError(f"quarantine file {name!r}: expected the beginning of one of {known}.")


def store_refused(lake: Lake, file: RefusedFile, rules: UpdateRules, now: datetime) -> CommitResult:
    """Audit refused rows again, and store those that pass.

    Args:
        lake: where to.
        file: the rows.
        rules: of their exchange.
        now: the clock, UTC; what has not closed is refused again.

    Raises:
        WrongUseError: the rows are not candles of an exchange.
        StorageError: nothing was changed.
    """
    partition, timeframe = file.partition, file.partition.series.timeframe
    if partition.layer != "ohlcv":
        raise WrongUseError(f"{partition} is computed; materialize it again instead.")
    rows = file.rows.drop("reason")
    period = partition.period
    closed = closed_before(now, timeframe, rules.grace)

    def audit(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        good, refused = audit_candles(frame, timeframe, closed, period.start, period.end)
        return good, refused

    def judge(merged: pl.DataFrame) -> Judgement:
        given = RuleInput(merged, read_history(lake, partition), timeframe, closed)
        verdicts = judge_candles(given, rules.limits)
        gaps = tuple(_still_missing(lake, file, merged["open_time"]))
        return Judgement(gaps=gaps, covers=TimeRange(period.start, period.end), verdicts=verdicts)

    note = CommitNote(
        source=f"quarantine:{file.name}",
        run_id=lake.run_id,
        code_version=str(LAYERS_BY_NAME["ohlcv"].code_version),
        fetched_at=file.kept_at - timedelta(milliseconds=1),
    )
    return lake.store.commit(
        partition, rows, merge=merge_candles, audit=audit, judge=judge, note=note
    )


def _still_missing(lake: Lake, file: RefusedFile, times: pl.Series) -> list[Gap]:
    series, period = file.partition.series, file.partition.period
    found: list[Gap] = []
    for gap in lake.ledger.gaps(series, period.start, period.end):
        start, end = max(gap.start, period.start), min(gap.end, period.end)
        inside = times.filter(times.is_between(start, end, closed="left")).to_list()
        step = series.timeframe.duration
        stored = [TimeRange(time, time + step) for time in inside]
        left = subtract_ranges([TimeRange(start, end)], stored)
        found += [replace(gap, start=part.start, end=part.end) for part in left]
    return found
