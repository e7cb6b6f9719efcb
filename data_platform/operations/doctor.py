"""Bring a lake back to what it should be: tell first what would be done, then do it.

Holds which fault has which cure, and in which order. Damage of candles is mended from `history/`,
else the exchange is asked again and its answer compared with the journal; everything computed is
computed again. No candle is deleted: what is damaged moves below `damaged/`. Asking and computing
go through `relaunch`, which whoever calls gives: the line as `download` runs it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from data_platform.domain.candles import content_hash
from data_platform.domain.errors import DataPlatformError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, from_key
from data_platform.domain.periods import Period, to_period
from data_platform.operations.backlog import Scope
from data_platform.operations.lake import Lake, opened_lake, require_lake
from data_platform.operations.unstored import find_unstored
from data_platform.operations.verify import remedy_of, spell_name, verify_lake
from data_platform.storage.examine import Finding
from data_platform.storage.inventory import Chosen, to_partition
from data_platform.storage.journal import JournalRow
from data_platform.storage.layout import ARCHIVE, HISTORY, QUARANTINE
from data_platform.storage.mending import (
    adopt,
    find_partitions,
    move_away_state,
    rebuild,
    remove_leftover,
    restore_kept,
    set_aside,
)
from data_platform.storage.parquet_file import is_partitioned
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State, is_made, state_file

Cells = Mapping[str, frozenset[tuple[Pair, Period]]]
"""Pairs and months by exchange."""

Relaunch = Callable[[Cells], Sequence[str]]
"""Fetches and computes what is missing of them; returns what failed, one line each."""


CORRUPT = ("file is not a database", "database disk image is malformed")
"""How SQLite names a file that no journal can be read from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done."""

    steps: tuple[str, ...]
    """One line each, in order."""


@dataclass(slots=True)
class Treatment:
    """What was done, and what it did not cure."""

    done: list[str] = field(default_factory=list)
    remaining: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Doctor:
    """One lake under treatment."""

    data_root: Path
    state_url: str
    scopes: Sequence[Scope]
    """What should be stored of each exchange."""
    now: Callable[[], datetime]
    """The clock, UTC."""

    def plan(self) -> Plan:
        """Tell what `treat` would do now.

        Raises:
            NotStoredError: there is no lake.
            StorageError: the state cannot be read, or is lost and lies on a server.
        """
        require_lake(self.data_root)
        fault = self._state_fault()
        steps = []
        with ExitStack() as stack:
            url = self.state_url
            if fault:
                url = stack.enter_context(self._trial_state())
                count = len(
                    list(find_partitions(PartitionStore(self.data_root, State(url)).layout))
                )
                steps.append(f"begin the state database anew from {count:,} files: it {fault}")
            findings = verify_lake(self.data_root, url, Chosen()).survey.findings
            steps += [step for it in findings if (step := _spell_step(it))]
            with opened_lake(self.data_root, url) as lake:
                cells = self._cells(lake, findings)
            steps += [f"fetch and compute what is missing of {it}" for it in _spell(cells)]
        return Plan(tuple(steps))

    def treat(self, relaunch: Relaunch) -> Treatment:
        """Do what can be done; what is sound is left as it is.

        Args:
            relaunch: fetches and computes what is missing of pairs and months.

        Raises:
            StorageError: the state cannot be read or begun anew.
        """
        treatment = Treatment()
        if self._state_fault():
            self._begin_state(treatment)
        findings = verify_lake(self.data_root, self.state_url, Chosen()).survey.findings
        with opened_lake(self.data_root, self.state_url) as lake:
            before = _damaged_candles(lake, findings)
            for finding in findings:
                _mend(lake, finding, treatment)
            cells = self._cells(lake, findings)
        if cells:
            treatment.done += [f"asked again for what is missing of {it}" for it in _spell(cells)]
            treatment.remaining += relaunch(cells)
        self._look_again(before, treatment)
        return treatment

    def _look_again(self, before: Mapping[Partition, JournalRow], treatment: Treatment) -> None:
        with opened_lake(self.data_root, self.state_url) as lake:
            for partition, row in before.items():
                outcome, is_whole = _compare(lake, partition, row)
                (treatment.done if is_whole else treatment.remaining).append(outcome)
            left = self._cells(lake, ())
        found = verify_lake(self.data_root, self.state_url, Chosen())
        treatment.remaining += [
            f"{spell_name(it)}: {it.path}: {it.fault}. {remedy_of(it)}"
            for it in found.survey.findings
        ]
        treatment.remaining += [
            f"{path}: could not be read ({why})" for path, why in found.survey.unchecked.items()
        ]
        treatment.remaining += [f"still missing: {it}" for it in _spell(left)]

    def _cells(self, lake: Lake, findings: Sequence[Finding]) -> Cells:
        """Return what is to be fetched or computed, for what is unstored and for findings."""
        found = {}
        for scope in self.scopes:
            cells = find_unstored(lake, scope, self.now())
            # Rot moves neither size nor stamp: only the findings tell of it.
            asked = {_cell_of(lake, it) for it in findings if it.key["exchange"] == scope.exchange}
            cells |= {it for it in asked if it and _is_wanted(scope, it)}
            if cells:
                found[scope.exchange] = frozenset(cells)
        return found

    def _state_fault(self) -> str:
        if not is_made(self.state_url):
            return "is gone"
        try:
            with closing(State(self.state_url)) as state:
                fault = state.fault()
        except DataPlatformError as error:
            # One that is locked, newer or may not be read is none to begin anew.
            if not any(words in str(error) for words in CORRUPT):
                raise
            fault = str(error)
        return f"is damaged ({fault})" if fault else ""

    @contextmanager
    def _trial_state(self) -> Iterator[str]:
        with TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/state.db"
            with closing(State(url)) as state:
                rebuild(PartitionStore(self.data_root, state))
            yield url

    def _begin_state(self, treatment: Treatment) -> None:
        path = state_file(self.state_url)
        moved = move_away_state(path) if path else None
        with closing(State(self.state_url)) as state:
            lost = rebuild(PartitionStore(self.data_root, state))
        kept = f"; what was left of the old one is {moved}" if moved else ""
        treatment.done.append(f"began the state database anew from the files{kept}")
        treatment.done += [f"not taken over: {why}" for why in lost.values()]


def _mend(lake: Lake, finding: Finding, treatment: Treatment) -> None:
    try:
        done = _cure(lake, finding)
    except DataPlatformError as error:
        treatment.remaining.append(str(error))
        return
    if done:
        treatment.done.append(f"{spell_name(finding)}: {done}")


def _cure(lake: Lake, finding: Finding) -> str:
    """Do what needs nobody else; return what was done, or ''."""
    store, partition = lake.store, to_partition(finding.key)
    if finding.kind == "leftover":
        return f"deleted {finding.path}" if remove_leftover(store, finding.path) else ""
    if partition is None or not (is_partitioned(finding.area) or finding.area == QUARANTINE):
        return ""
    if finding.kind == "unjournalled":
        return f"took over {adopt(store, partition):,} rows that the journal did not tell of"
    is_candles = partition.layer == "ohlcv"
    if finding.kind == "gone" or (finding.kind == "damaged" and not is_candles):
        # What is computed is written over by the run that follows.
        is_back = finding.kind == "gone" and restore_kept(store, partition)
        return "put the file back that history had kept" if is_back else ""
    moved = set_aside(store, finding.path)
    if finding.kind == "damaged" and restore_kept(store, partition):
        return f"moved the damaged file to {moved} and put back what history had kept"
    return f"moved the file to {moved}" if moved else ""


def _spell_step(finding: Finding) -> str:
    name = f"{spell_name(finding)} ({finding.fault})"
    if finding.kind == "leftover":
        return f"delete {finding.path}: {finding.fault}"
    if finding.kind == "unjournalled":
        return f"take over {name}"
    if finding.area == "ohlcv" and finding.kind in ("damaged", "gone"):
        return f"restore {name} from history, or fetch it again; keep what is damaged"
    if finding.kind == "unknown" and (is_partitioned(finding.area) or finding.area == QUARANTINE):
        return f"move away {name}" if to_partition(finding.key) else ""
    if finding.kind in ("damaged", "gone") and finding.area not in (ARCHIVE, HISTORY):
        return f"make {name} again"
    return ""


def _cell_of(lake: Lake, finding: Finding) -> tuple[Pair, Period] | None:
    """Return the pair and month whose run writes a file anew, or None where none does."""
    is_made = is_partitioned(finding.area) or finding.area == "exports"
    if not is_made or finding.kind not in ("damaged", "gone", "unjournalled"):
        return None
    pair = from_key(finding.key["pair"])
    if finding.key["period"]:
        return pair, to_period(finding.key["period"])
    rows = lake.store.journal_rows("ohlcv", finding.key["exchange"], pair=pair)
    months = [row.period for row in rows if row.period]
    return (pair, max(months)) if months else None


def _is_wanted(scope: Scope, cell: tuple[Pair, Period]) -> bool:
    pair, period = cell
    return pair in scope.starts and period.end > scope.starts[pair]


def _spell(cells: Cells) -> list[str]:
    return [f"{exchange}: {_spell_months(found)}" for exchange, found in cells.items()]


def _spell_months(cells: frozenset[tuple[Pair, Period]]) -> str:
    by_pair: dict[Pair, list[Period]] = {}
    for pair, period in sorted(cells):
        by_pair.setdefault(pair, []).append(period)
    return ", ".join(
        f"{pair} {periods[0]}" + (f"..{periods[-1]} ({len(periods)})" if periods[1:] else "")
        for pair, periods in by_pair.items()
    )


def _damaged_candles(lake: Lake, findings: Sequence[Finding]) -> dict[Partition, JournalRow]:
    found = {}
    for finding in findings:
        partition = to_partition(finding.key)
        if finding.area == "ohlcv" and finding.kind in ("damaged", "gone") and partition:
            row = lake.store.journal(partition)
            if row is not None:
                found[partition] = row
    return found


def _compare(lake: Lake, partition: Partition, before: JournalRow) -> tuple[str, bool]:
    """Tell what became of damaged candles, and whether none of them is lost."""
    try:
        stored = lake.store.read(partition)
    except DataPlatformError as error:
        return str(error), False
    if stored is None:
        return f"{partition}: {before.rows:,} candles are lost: nobody gives them any more", False
    again = stored.frame.filter(pl.col("open_time") <= before.last)
    if content_hash(again) == before.content_hash:
        return f"{partition}: repaired, the same {before.rows:,} candles as before", True
    if again.height < before.rows:
        lost = before.rows - again.height
        return f"{partition}: {lost:,} of {before.rows:,} candles are lost for now", False
    return (
        f"{partition}: the exchange gives other candles than before: stored as a correction",
        True,
    )
