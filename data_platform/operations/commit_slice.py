"""Commit one fetched slice of a month: audit, merge, explain the holes, judge, note.

Everything that one slice says goes into one commit; nothing is fetched here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import polars as pl

from data_platform.domain.candles import TIME, TimeRange, closed_before, merge_candles
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Series
from data_platform.operations.belief import Quiet, judge_run, quiet_of
from data_platform.operations.collect import Slice
from data_platform.operations.corrections import (
    find_withdrawn,
    spell_correction,
    spell_delisting,
    spell_withdrawn,
)
from data_platform.operations.holes import Evidence, explain_holes
from data_platform.operations.judge import judge_candles, read_history
from data_platform.operations.lake import Lake
from data_platform.operations.plan import UpdateRules
from data_platform.operations.silences import ask_of, judge_markets
from data_platform.quality.rule import RuleInput
from data_platform.quality.schema import audit_candles
from data_platform.storage.change import CommitResult, Judgement
from data_platform.storage.journal import CommitNote
from data_platform.storage.ledger import Gap
from data_platform.storage.ledger_runs import judge_again


@dataclass(slots=True)
class SliceCommitter:
    """Commits the slices of one fetch; keeps what is known of each series between them."""

    lake: Lake
    rules: UpdateRules
    now: datetime
    """The exchange's clock when the fetch began."""
    alerts: list[str] = field(default_factory=list)
    """One line each: stored candles that have changed or are not sent, pairs that have ended."""
    _edges: dict[Series, tuple[datetime | None, datetime | None]] = field(default_factory=dict)
    _seams: dict[Series, set[datetime]] = field(default_factory=dict)
    """Where slices began and ended: a hole may go on behind."""
    _fetched: list[TimeRange] = field(default_factory=list)
    _ended: set[Series] = field(default_factory=set)
    """Series of which it has been told that their pair is not traded any more."""

    def commit(self, piece: Slice) -> CommitResult:
        """Store a slice's sound rows, quarantine the others, and note what is missing and why.

        Raises:
            StorageError: nothing was changed.
        """
        self._seams.setdefault(piece.series, set()).update(_edges(piece))
        self._fetched.append(TimeRange(*_edges(piece)))
        partition = Partition("ohlcv", piece.series, piece.period)
        refused_times: list[pl.Series] = []

        def audit(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
            end = self._closed_end(piece)
            good, refused = audit_candles(
                frame, piece.series.timeframe, end, piece.period.start, piece.period.end
            )
            refused_times.append(refused["open_time"])
            return good, refused

        def judge(merged: pl.DataFrame) -> Judgement:
            self._widen(piece.series, merged)
            refused = pl.concat(refused_times) if refused_times else pl.Series([], dtype=TIME)
            gone = find_withdrawn(merged["open_time"], piece, refused)
            self.alerts += [spell_withdrawn(piece.series, gone)] if len(gone) else []
            return self._judge(partition, piece, merged, refused)

        result = self.lake.store.commit(
            partition,
            piece.candles,
            merge=merge_candles,
            audit=audit,
            judge=judge,
            note=self._note(piece),
        )
        if result.changed:
            replaced = self.lake.store.replaced(partition, result.version)
            self.alerts.append(spell_correction(piece.series, replaced))
        return result

    def failure_of(self, piece: Slice) -> str | None:
        """Return why a slice is not complete, or None.

        That a pair which was listed once is not any more is no failure: its candles have ended.
        """
        if piece.is_unlisted and self._is_known(piece.series):
            return None
        return next(iter(piece.failures), None)

    def note_failure(self, piece: Slice) -> None:
        """Note that nothing is known of a slice of which every window failed.

        Makes no partition: one that holds no candles because nobody answered is not stored.

        Raises:
            StorageError: nothing was changed.
        """
        stored = self.lake.store.times("ohlcv", piece.series, *_edges(piece))
        gaps = explain_holes(stored, self._evidence(piece, pl.Series([], dtype=TIME)))
        self._tell_delisting(piece, gaps)
        with self.lake.state.write() as connection:
            self.lake.ledger.record(connection, piece.series, *_edges(piece), gaps)

    def settle(self) -> list[Gap]:
        """Judge the holes of every series anew by all candles that are known by now.

        And those of the exchange's other markets at the same times, by what these did.

        Returns:
            What was believed and is open again.
        """
        opened: list[Gap] = []
        for series, seams in self._seams.items():
            quiet = self._quiet(series)
            judge = partial(judge_run, quiet=quiet, at=self.now, ask=ask_of(self.lake))
            changed = judge_again(self.lake.state, series, seams, judge)
            opened += [gap for gap in changed if not gap.confirmed]
        if self._seams:
            # Of one fetch all series have one exchange and timeframe.
            market = next(iter(self._seams))
            judge_markets(self.lake, market, self._fetched, self._quiet(market), self.now)
        return opened

    def _quiet(self, series: Series) -> Quiet:
        return quiet_of(self.rules.exchange, series, self.rules.limits)

    def _note(self, piece: Slice) -> CommitNote:
        return CommitNote(
            source=f"ccxt:{self.rules.exchange.ccxt_id or self.rules.exchange.name}",
            run_id=self.lake.run_id,
            code_version=str(LAYERS_BY_NAME["ohlcv"].code_version),
            fetched_at=min(window.fetched_at for window in piece.windows),
        )

    def _judge(
        self, partition: Partition, piece: Slice, merged: pl.DataFrame, refused: pl.Series
    ) -> Judgement:
        evidence = self._evidence(piece, refused)
        gaps = explain_holes(merged["open_time"], evidence)
        self._tell_delisting(piece, gaps)
        before, closed_end = read_history(self.lake, partition), self._closed_end(piece)
        given = RuleInput(merged, before, piece.series.timeframe, closed_end)
        verdicts = judge_candles(given, piece.series, self.rules.limits)
        return Judgement(gaps=tuple(gaps), covers=evidence.slice, verdicts=verdicts)

    def _closed_end(self, piece: Slice) -> datetime:
        closed = closed_before(self.now, piece.series.timeframe, self.rules.grace)
        return max(closed, piece.windows[-1].end)

    def _evidence(self, piece: Slice, refused: pl.Series) -> Evidence:
        first, last = self._known(piece.series)
        known = self.lake.ledger.gaps(piece.series, *_edges(piece))
        quiet = self._quiet(piece.series)
        is_known = self._is_known(piece.series)
        return Evidence(piece.series, piece.windows, refused, first, last, quiet, known, is_known)

    def _is_known(self, series: Series) -> bool:
        newest = self.lake.store.newest(series.exchange)
        return any(pair == series.pair.key for pair, _ in newest)

    def _tell_delisting(self, piece: Slice, gaps: Sequence[Gap]) -> None:
        ended = [gap for gap in gaps if gap.status == "after_delisting" and gap.tries == 1]
        if ended and piece.series not in self._ended:
            self._ended.add(piece.series)
            words = next(iter(piece.failures), "")
            self.alerts.append(spell_delisting(ended[0], self._known(piece.series)[1], words))

    def _known(self, series: Series) -> tuple[datetime | None, datetime | None]:
        if series not in self._edges:
            newest = self.lake.store.newest(series.exchange)
            last = newest.get((series.pair.key, series.timeframe.name))
            self._edges[series] = (self.lake.store.first(series), last)
        return self._edges[series]

    def _widen(self, series: Series, merged: pl.DataFrame) -> None:
        if merged.is_empty():
            return
        first, last = self._known(series)
        lowest, highest = merged["open_time"][0], merged["open_time"][-1]
        self._edges[series] = (
            min(first or lowest, lowest),
            max(last or highest, highest),
        )


def _edges(piece: Slice) -> tuple[datetime, datetime]:
    return piece.windows[0].start, piece.windows[-1].end
