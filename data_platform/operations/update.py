"""Bring candles from an exchange into the lake: plan, fetch, audit, commit, note.

One failing series stops neither the others nor the commit of what came; it is named in the
report, and the caller decides that the run has failed. A candle that came and cannot be true has
failed as well.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from data_platform.domain.candles import TimeRange, closed_before, empty_candles, merge_candles
from data_platform.domain.errors import SourceError, StorageError
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of, periods_between
from data_platform.operations.collect import Collector, Slice
from data_platform.operations.commit_slice import SliceCommitter
from data_platform.operations.judge import SERIES_FETCHED, note_completion
from data_platform.operations.lake import Lake
from data_platform.operations.plan import (
    Need,
    UpdateRules,
    contiguous_ranges,
    needs_of_gaps,
    plan_readable,
)
from data_platform.operations.report import LayerReport, Outcome, find_refused, report_of
from data_platform.operations.watch import Progress, StoppedError, Watch
from data_platform.sources.base import CandleSource, FetchResult
from data_platform.storage.journal import CommitNote
from data_platform.storage.ledger import Gap
from data_platform.storage.parquet_file import damaged
from data_platform.storage.stored_files import Damage


def utc_now() -> datetime:
    """Return the machine's clock, UTC."""
    return datetime.now(tz=UTC)


@dataclass(slots=True)
class CandleUpdate:
    """One update of one exchange and timeframe; `run` does it all."""

    lake: Lake
    """Where candles lie; its run id goes into the journal."""
    open_source: Callable[[], CandleSource]
    """Gives the exchange; not called when nothing is missing."""
    rules: UpdateRules
    """How to plan and judge."""
    watch: Watch
    """Hears of progress, may ask to stop after the current commit."""
    clock: Callable[[], datetime] = utc_now
    """The machine's clock, to plan by; what has closed is decided by the exchange's own."""
    report: LayerReport = field(default_factory=LayerReport)
    _written: set[Partition] = field(default_factory=set)
    _refused: dict[Partition, int] = field(default_factory=dict)
    """Rows refused, of every partition that was committed."""

    def run(self, partitions: Sequence[Partition]) -> LayerReport:
        """Fetch what the partitions lack, store what is sound, and note the rest.

        Args:
            partitions: of one exchange and timeframe, layer `ohlcv`.

        Returns:
            One report per partition; `failures` names every series that is not complete.

        Raises:
            StoppedError: the watch asked for it; all commits so far stand.
        """
        if partitions and self.watch.should_stop():
            raise StoppedError(
                f"stopped before {partitions[0]}; the same command goes on from here."
            )
        needs = self._plan(partitions)
        if needs:
            try:
                self._ask(needs, partitions)
            except StorageError as error:
                for need in needs:
                    self._fail(need.series, need.missing, error)
        refused = [partition for partition, rows in self._refused.items() if rows]
        for partition, reason in find_refused(self.lake, refused).items():
            self.report.failures.setdefault(partition, reason)
        damages = self._damages(partitions)
        for partition in partitions:
            self._finish(partition, damages.get(partition))
        note_completion(self.lake, SERIES_FETCHED, self.report)
        return self.report

    def _plan(self, partitions: Sequence[Partition]) -> list[Need]:
        now = self.clock()
        needs: list[Need] = []
        for series, months in contiguous_ranges(partitions):
            readable, unread = plan_readable(self.lake, series, months, self.rules, now)
            needs += readable
            for part, error in unread:
                self._fail(series, part, error)
        return needs

    def _ask(self, needs: Sequence[Need], partitions: Sequence[Partition]) -> None:
        with closing(self.open_source()) as source:
            opened = self._fetch(source, needs)
            # What this fetch has put in doubt is asked for at once.
            again = needs_of_gaps(opened, partitions, self.rules, self.clock())
            if again:
                self._fetch(source, again)
            self.report.requests = source.requests_made
            self.report.faults = dict(source.faults)
            self.report.answers = source.answer_times

    def _fetch(self, source: CandleSource, needs: Sequence[Need]) -> list[Gap]:
        try:
            now = source.now()
        except SourceError as error:
            for need in needs:
                self._fail(need.series, need.missing, error)
            return []
        closed = closed_before(now, needs[0].series.timeframe, self.rules.grace)
        requests = [request for need in needs if (request := need.to_request(closed))]
        if not requests:
            return []
        collector, committer = Collector(), SliceCommitter(self.lake, self.rules, now)
        try:
            # A walk that is left early must be closed here, not by the garbage collector.
            with closing(cast("Generator[FetchResult]", source.fetch(requests))) as results:
                for result in results:
                    self._count(result, now)
                    for piece in collector.add(result):
                        self._commit(committer, piece)
                    self._tell(source)
            for piece in collector.rest():
                self._commit(committer, piece)
        finally:
            opened = committer.settle()
            self.report.alerts += committer.alerts
        return opened

    def _count(self, result: FetchResult, now: datetime) -> None:
        self.report.candles += result.candles.height
        is_past = result.window.start < period_of(now).start
        self.report.past_pages += is_past and result.window.outcome != "unavailable"

    def _commit(self, committer: SliceCommitter, piece: Slice) -> None:
        if self.watch.should_stop():
            raise StoppedError(
                f"stopped before {piece.series} {piece.period}; everything before it is stored, "
                "the same command goes on from here."
            )
        partition = Partition("ohlcv", piece.series, piece.period)
        reason = committer.failure_of(piece)
        if reason is not None:
            self.report.failures.setdefault(partition, reason)
        try:
            if piece.is_lost:
                committer.note_failure(piece)
                return
            result = committer.commit(piece)
        except StorageError as error:
            self.report.failures[partition] = str(error)
            return
        if result.written:
            self._written.add(partition)
        self._refused[partition] = self._refused.get(partition, 0) + result.refused

    def _tell(self, source: CandleSource) -> None:
        self.watch.report(
            Progress(
                exchange=self.rules.exchange.name,
                candles=self.report.candles,
                requests=source.requests_made,
                done=len(self._refused),
                past_pages=self.report.past_pages,
            )
        )

    def _fail(self, series: Series, part: TimeRange, error: Exception) -> None:
        for period in periods_between(part.start, part.end):
            self.report.failures[Partition("ohlcv", series, period)] = str(error)

    def _damages(self, partitions: Sequence[Partition]) -> dict[Partition, Damage]:
        if not partitions:
            return {}
        series = partitions[0].series
        asked = {(it.series.pair.key, it.period.key): it for it in partitions}
        files = self.lake.files.of_table("ohlcv", series.exchange, series.timeframe)
        own = [file for file in files if (file.pair, file.period) in asked]
        found = self.lake.files.damaged(own, hashed=lambda _: True)
        return {asked[it.file.pair, it.file.period]: it for it in found}

    def _finish(self, partition: Partition, damage: Damage | None) -> None:
        row = self.lake.store.journal(partition)
        if partition not in self.report.failures and (row is None or damage):
            try:
                self._settle(partition, damage)
            except StorageError as error:
                self.report.failures[partition] = str(error)
            row = self.lake.store.journal(partition)
        outcome: Outcome = "written" if partition in self._written else "unchanged"
        outcome = "failed" if partition in self.report.failures else outcome
        report = report_of(self.lake, partition, row, outcome)
        refused = self._refused.get(partition, 0)
        self.report.partitions.append(replace(report, refused=refused))

    def _settle(self, partition: Partition, damage: Damage | None) -> None:
        """Make the journal tell of a partition that nothing was fetched for.

        It is stored as empty where there was nothing to ask (before the start, or explained by
        the ledger), so that it is known to be done. A whole file of which the journal does not
        know, since a crash came between the two, is adopted.

        Raises:
            DamagedFileError: the file is gone or damaged.
        """
        if damage and self.lake.store.read(partition) is None:
            raise damaged(partition, damage.file.path, damage.fault)
        self.lake.store.commit(
            partition,
            empty_candles(),
            merge=merge_candles,
            audit=lambda frame: (frame, frame.clear()),
            note=CommitNote(
                source="nothing to ask",
                run_id=self.lake.run_id,
                code_version=str(LAYERS_BY_NAME["ohlcv"].code_version),
            ),
        )
