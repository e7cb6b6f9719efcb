"""Compare what lies in the lake with what should: every file, in one pass.

Holds the pass; single files are judged by `examine.py`, what is to be done by `operations`. Files
are read and hashed by several threads, since `hashlib` lets them run side by side. A writer may be
at work: what looks wrong is looked at again once whoever holds its lock has let go, against the
journal as it is then.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from data_platform.domain.errors import DataPlatformError
from data_platform.domain.periods import to_period
from data_platform.storage import parquet_file
from data_platform.storage.examine import (
    Depth,
    Finding,
    Look,
    examine,
    examine_copy,
    examine_unknown,
)
from data_platform.storage.found_files import FoundFile, Walk
from data_platform.storage.inventory import Chosen, Expected, read_inventory, to_partition
from data_platform.storage.journal import Key, to_series
from data_platform.storage.known_damage import Known, read_known_damage
from data_platform.storage.layout import EXPORTS, HISTORY, QUARANTINE, Layout, read_place
from data_platform.storage.locks import kept_from_writers
from data_platform.storage.state import State
from data_platform.storage.stored_files import StoredFiles
from data_platform.storage.tables import SERIES

THREADS = 2 * (os.cpu_count() or 1)
WRITER_SECONDS = 30.0
"""How long a writer may keep a suspect file to itself."""
LEFTOVER_SECONDS = 3600.0
"""When a temporary file without a lock to ask counts as left behind: writers need seconds."""

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over the lake has found."""

    findings: tuple[Finding, ...]
    """By area, series and period."""
    unchecked: Mapping[str, str]
    """Paths that could not be read, and why."""
    files: int
    """That should be there or are."""
    size: int
    """Bytes of those."""
    hashed: int
    """Bytes of those that were read and hashed."""


def survey(
    root: Path, state: State, chosen: Chosen, depth: Depth, threads: int = THREADS
) -> Survey:
    """Look at every file of a lake, or of a part of it.

    Args:
        root: the lake's folder.
        state: its state database.
        chosen: which part; what belongs to no partition is looked at with the whole lake alone.
        depth: as `examine`.
        threads: how many read side by side.

    Raises:
        StorageError: the state cannot be read.
    """
    return _Pass(Layout(root), state, chosen, depth, threads).run()


@dataclass(slots=True)
class _Pass:
    layout: Layout
    state: State
    chosen: Chosen
    depth: Depth
    threads: int
    unchecked: dict[str, str] = field(default_factory=dict)

    def run(self) -> Survey:
        expected = self._expected()
        walk = Walk(self.layout.root, self.chosen)
        with ThreadPoolExecutor(1) as walker:
            # Beside the hashing: a walk over 14,400 folders takes as long as hashing 600 MB.
            walked = walker.submit(lambda: {file.path: file for file in walk.files()})
            found = walked.result() if self.depth == "quick" else {}
            looks = self._look_at(expected.values(), found)
            found = walked.result()
        strange = [it for path, it in found.items() if path not in expected and self._asks(path)]
        findings = self._second_look(looks, strange)
        sound = {it.expected.path: it.stamp for it in looks if it.is_hashed and it.stamp}
        moved = {path: stamp for path, stamp in sound.items() if _is_moved(expected[path], stamp)}
        StoredFiles(self.layout.root, self.state).remember(moved)
        named = [*expected, *(it.path for it in strange)]
        hashed = [it.expected.path for it in looks if it.is_hashed]
        return Survey(
            findings=tuple(sorted(findings, key=lambda it: (it.area, *it.key.values(), it.path))),
            unchecked={**walk.unread, **self.unchecked},
            files=len(looks) + len(strange),
            size=sum(found[path].size for path in named if path in found),
            hashed=sum(found[path].size for path in hashed if path in found),
        )

    def _expected(self) -> dict[str, Expected]:
        return read_inventory(self.layout, self.state, self.chosen)

    def _asks(self, path: str) -> bool:
        """Tell whether a file that the journal does not name belongs to what was chosen."""
        _, key = read_place(path)
        return self.chosen.is_everything or (bool(key["exchange"]) and self.chosen.holds(key))

    def _look_at(self, expected: Iterable[Expected], found: Mapping[str, FoundFile]) -> list[Look]:
        # Handing one file over to a thread costs as much as hashing a small one.
        listed = list(expected)
        batches = [listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH)]
        known = self._known()

        def look(batch: Sequence[Expected]) -> list[Look]:
            return [self._look(it, found.get(it.path), known.get(it.path)) for it in batch]

        if self.depth == "quick":
            # Nothing is hashed of nearly all of them, and threads would only wait for one another.
            return [it for batch in batches for it in look(batch)]
        with ThreadPoolExecutor(self.threads) as pool:
            return [it for looks in pool.map(look, batches) for it in looks]

    def _known(self) -> dict[str, Known]:
        """Return what a quick look cannot see by itself."""
        return read_known_damage(self.layout) if self.depth == "quick" else {}

    def _look(self, expected: Expected, there: FoundFile | None, known: Known | None) -> Look:
        if known is not None:
            area, _ = read_place(expected.path)
            finding = Finding(
                "damaged", expected.path, area, expected.key, known.fault, known.stamp
            )
            return Look(expected, finding)
        if self.depth == "quick" and there is not None:
            noted = (expected.state.size, expected.state.stamp)
            # Of a kept file no size is noted.
            if (there.size, there.stamp) == noted or (expected.area == "history" and there.size):
                return Look(expected, stamp=there.stamp)
        return examine(self.layout, expected, self.depth)

    def _second_look(self, looks: Sequence[Look], strange: Sequence[FoundFile]) -> list[Finding]:
        """Return what is still wrong with no writer at work, against the journal as it is then."""
        places = {file.path: read_place(file.path) for file in strange}
        # What was replaced or refused is written once and for all; other names tell of no writer.
        named = {path for path, (_, key) in places.items() if key["exchange"]}
        named -= {it.path for it in strange if _is_final(it)}
        programs = {key["layer"] for area, key in places.values() if area == EXPORTS} - {""}
        findings = self._strangers([it for it in strange if it.path not in named], programs)
        for file in strange:
            if file.path in named:
                findings += self._look_alone(file.path, places[file.path][1], file)
        for look in looks:
            if look.finding or look.unread:
                findings += self._look_alone(look.expected.path, look.expected.key, None)
        return findings

    def _strangers(self, files: Sequence[FoundFile], programs: set[str]) -> list[Finding]:
        """Return what is wrong with files whose names do not tell under which lock they are."""
        for lock in (lock for each in sorted(programs) for lock in self.layout.find_locks(each)):
            # An export lies there before its row does: whoever wrote one is done after this.
            with kept_from_writers(lock, WRITER_SECONDS):
                pass
        now = self._expected() if programs else {}
        return [it for file in files if file.path not in now for it in self._strange(file, now)]

    def _look_alone(self, path: str, key: Key, file: FoundFile | None) -> list[Finding]:
        lock = lock_of(self.layout, key)
        with (
            kept_from_writers(lock, WRITER_SECONDS)
            if lock
            else nullcontext(enter_result=True) as is_free
        ):
            if not is_free:
                self.unchecked[path] = "a writer has held its lock all the while"
                return []
            now = read_inventory(self.layout, self.state, Chosen.only(key))
            if path not in now:
                return self._strange(file, now) if file else []
            look = self._look(now[path], None, self._known().get(path))
        if look.unread:
            self.unchecked[path] = look.unread
        return [look.finding] if look.finding else []

    def _strange(self, file: FoundFile, now: Mapping[str, Expected]) -> list[Finding]:
        path = self.layout.root / file.path
        if not path.exists():
            return []
        if file.is_temporary:
            area, key = read_place(file.path)
            is_old = time.time() - file.modified > LEFTOVER_SECONDS
            if not is_old and lock_of(self.layout, key) is None:
                return []
            fault = "a writer left it behind"
            return [Finding("leftover", file.path, area, key, fault, file.stamp)]
        try:
            finding = examine_copy(self.layout, file, now) or examine_unknown(self.layout, file)
        except OSError as error:
            self.unchecked[file.path] = error.strerror or str(error)
            return []
        return [finding] if finding else []


def _is_final(file: FoundFile) -> bool:
    area, _ = read_place(file.path)
    return area in (HISTORY, QUARANTINE) and not file.is_temporary


def _is_moved(expected: Expected, stamp: str) -> bool:
    return expected.area != "history" and stamp != expected.state.stamp


def lock_of(layout: Layout, key: Key) -> Path | None:
    """Return the lock under which a file is written, or None where the names do not tell."""
    try:
        partition = to_partition(key)
        if partition is not None and parquet_file.is_partitioned(partition.layer):
            return layout.lock(partition)
        series = to_series(*(key[name] for name in SERIES))
        period = to_period(key["period"]).key if key["period"] else "all"
        return layout.export_lock(key["layer"], series, period)
    except DataPlatformError:
        return None
