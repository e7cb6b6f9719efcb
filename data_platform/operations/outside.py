"""Store candles that no fetch has brought: refused rows on their second chance, foreign files.

They pass the same audit, are judged by the same rules and close the holes that they fill; what they
leave open stays as the ledger knows it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from data_platform.domain.candles import TimeRange, closed_before, subtract_ranges
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.operations.judge import judge_candles, read_history
from data_platform.operations.lake import Lake
from data_platform.operations.plan import UpdateRules
from data_platform.quality.rule import RuleInput
from data_platform.quality.schema import audit_candles
from data_platform.storage.change import Audit, CommitResult, Judge, Judgement, Merge
from data_platform.storage.journal import CommitNote
from data_platform.storage.ledger import Gap


@dataclass(frozen=True, slots=True)
class OutsideCommitter:
    """Commits rows that no fetch has brought."""

    lake: Lake
    rules: UpdateRules
    """Of their exchange."""
    now: datetime
    """The clock, UTC; what has not closed by then is refused."""

    def commit(
        self,
        partition: Partition,
        rows: pl.DataFrame,
        merge: Merge,
        source: str,
        fetched_at: datetime,
    ) -> CommitResult:
        """Audit rows of one month, store those that pass, keep the others in quarantine.

        Args:
            partition: the month, layer `ohlcv`.
            rows: `CANDLE_SCHEMA`, in any order and of any quality.
            merge: which of a stored and a new candle wins.
            source: where they came from, for the journal.
            fetched_at: when they were had from there; a fetch that began later wins in any case.

        Raises:
            StorageError: nothing was changed.
        """
        note = CommitNote(
            source=source,
            run_id=self.lake.run_id,
            code_version=str(LAYERS_BY_NAME["ohlcv"].code_version),
            fetched_at=fetched_at,
        )
        closed = closed_before(self.now, partition.series.timeframe, self.rules.grace)
        return self.lake.store.commit(
            partition,
            rows,
            merge=merge,
            audit=self._audit(partition, closed),
            judge=self._judge(partition, closed),
            note=note,
        )

    def _audit(self, partition: Partition, closed: datetime) -> Audit:
        period = partition.period

        def audit(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
            timeframe = partition.series.timeframe
            good, refused = audit_candles(frame, timeframe, closed, period.start, period.end)
            return good, refused

        return audit

    def _judge(self, partition: Partition, closed: datetime) -> Judge:
        period = partition.period

        def judge(merged: pl.DataFrame) -> Judgement:
            before = read_history(self.lake, partition)
            given = RuleInput(merged, before, partition.series.timeframe, closed)
            return Judgement(
                gaps=tuple(_still_missing(self.lake, partition, merged["open_time"])),
                covers=TimeRange(period.start, period.end),
                verdicts=judge_candles(given, partition.series, self.rules.limits),
            )

        return judge


def _still_missing(lake: Lake, partition: Partition, times: pl.Series) -> Iterator[Gap]:
    series, period = partition.series, partition.period
    for gap in lake.ledger.gaps(series, period.start, period.end):
        start, end = max(gap.start, period.start), min(gap.end, period.end)
        inside = times.filter(times.is_between(start, end, closed="left")).to_list()
        step = series.timeframe.duration
        stored = [TimeRange(time, time + step) for time in inside]
        for part in subtract_ranges([TimeRange(start, end)], stored):
            yield replace(gap, start=part.start, end=part.end)
