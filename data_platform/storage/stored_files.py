"""What lies on disk: every file as it was last written, and whether it still is.

Holds the table `files` and the comparison of a file with its row there: size first, then sha256.
Hashing reads the file (1.5 GB/s from the page cache, the disk's speed else), so a file whose size,
time and inode are those of its last hash counts as unchanged, unless the caller wants it hashed:
what a disk loses by itself moves none of the three.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import Timeframe
from data_platform.storage.atomic import FileState, hash_with_tail, stamp_of
from data_platform.storage.journal import Key, equal, file_key
from data_platform.storage.layout import ARCHIVE, Layout
from data_platform.storage.state import State
from data_platform.storage.tables import FILES, PARTITION

# Written once, as the journal's.
_ADDED = FILES.insert()
_FORGOTTEN = FILES.delete().where(*(FILES.c[name] == sa.bindparam(name) for name in PARTITION))


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as it was last written."""

    path: str
    """Below the lake's root."""
    pair: str
    """The pair's key."""
    period: str
    """The month's key; empty where the file holds a whole pair."""
    feature_set: str
    """Empty outside the layer features."""
    is_shared: bool
    """Whether all timeframes and months of the market use it: an instrument's definition."""
    state: FileState

    def belongs_to(self, period: Period | None, feature_set: str | None = None) -> bool:
        """Tell whether a partition of the file's own series, or an export of it, needs the file."""
        own = (self.period, self.feature_set) == (period.key if period else "", feature_set or "")
        return own or self.is_shared


@dataclass(frozen=True, slots=True)
class Damage:
    """One file that is not what was written."""

    file: StoredFile
    fault: str
    """What is wrong with it: `gone; 1,234 bytes were written`."""

    def __str__(self) -> str:
        return f"the file {self.file.path} is damaged: {self.fault}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A file held against how it was written."""

    fault: str = ""
    """What is wrong with it; empty: nothing."""
    stamp: str = ""
    """Of the file now; empty where it is not what was written."""
    tail: bytes = b""
    """Its end, where it was hashed."""


def shared_key(layer: str, series: Series) -> Key:
    """Return the columns that name the files which all exports of a market share."""
    return {**file_key(layer, series, None), "timeframe": ""}


class StoredFiles:
    """The files of one lake."""

    def __init__(self, root: Path, state: State) -> None:
        """Speak of the files below a folder.

        Args:
            root: the lake's folder.
            state: its state database.
        """
        self._root = root
        self._state = state

    def record(self, connection: sa.Connection, key: Key, written: Mapping[str, FileState]) -> None:
        """Note, in the caller's transaction, which files there are under a key, by their paths."""
        connection.execute(_FORGOTTEN, key)
        if written:
            rows = [
                {**key, "path": path, "size": it.size, "sha256": it.sha256, "stamp": it.stamp}
                for path, it in written.items()
            ]
            connection.execute(_ADDED, rows)

    def of_table(self, layer: str, exchange: str, timeframe: Timeframe) -> list[StoredFile]:
        """Return the files of a layer of an exchange and timeframe, shared ones too, by path."""
        return self._listed(equal(FILES, {"layer": layer, "exchange": exchange}), timeframe)

    def of_series(self, layer: str, series: Series) -> list[StoredFile]:
        """Return the files of a layer of a series, shared ones too, by path."""
        market = {"layer": layer, "exchange": series.exchange, "pair": series.pair.key}
        return self._listed(equal(FILES, market), series.timeframe)

    def of_many(self, layer: str, series: Collection[Series]) -> dict[Series, list[StoredFile]]:
        """Return the files of a layer of some series of one exchange and timeframe, by path."""
        first = next(iter(series))
        pairs = {each.pair.key: each for each in series}
        wanted = equal(FILES, {"layer": layer, "exchange": first.exchange})
        found: dict[Series, list[StoredFile]] = {each: [] for each in series}
        for file in self._listed([*wanted, FILES.c.pair.in_(sorted(pairs))], first.timeframe):
            found[pairs[file.pair]].append(file)
        return found

    def damaged(
        self, files: Iterable[StoredFile], hashed: Callable[[StoredFile], bool]
    ) -> list[Damage]:
        """Return those files that are not what was written, in the order given.

        Args:
            files: which to look at.
            hashed: whether a file is to be hashed even if its size and stamp are as they were.
        """
        found: list[Damage] = []
        moved: dict[str, str] = {}
        for file in files:
            look = self._look(file, hashed=hashed(file))
            if look.fault:
                found.append(Damage(file, look.fault))
            elif look.stamp != file.state.stamp:
                moved[file.path] = look.stamp
        self.remember(moved)
        return found

    def remember(self, stamps: Mapping[str, str]) -> None:
        """Note the stamps with which files were just found as written, by path, where it can be."""
        if not stamps or self._state.is_read_only:
            return
        update = FILES.update().where(FILES.c.path == sa.bindparam("which"))
        rows = [{"which": path, "found": stamp} for path, stamp in stamps.items()]
        # What cannot be remembered is hashed again: no reason to keep an answer back.
        with suppress(StorageError), self._state.write() as connection:
            connection.execute(update.values(stamp=sa.bindparam("found")), rows)

    def unknown(
        self, layer: str, exchange: str, timeframe: Timeframe, known: Iterable[StoredFile]
    ) -> list[Damage]:
        """Return the files in the places of partitions that are not among the known, by path.

        A reader that globs, as DuckDB does, takes their rows for stored ones.
        """
        expected = {file.path for file in known}
        layout = Layout(self._root)
        found = (layout.relative(it) for it in layout.find_partitions(layer, exchange, timeframe))
        strange = sorted(path for path in found if path not in expected)
        return [Damage(_to_unknown(path), "no commit has written it") for path in strange]

    def is_in_the_way(self, partition: Partition) -> bool:
        """Tell whether a file lies in the place of a partition that was stored as empty."""
        return Layout(self._root).partition(partition).exists()

    def _listed(
        self, wanted: Iterable[sa.ColumnElement[bool]], timeframe: Timeframe
    ) -> list[StoredFile]:
        query = (
            sa.select(FILES)
            .where(*wanted, FILES.c.timeframe.in_(["", timeframe.name]))
            # What was archived may lie elsewhere: `verify` looks at it where it is here.
            .where(~FILES.c.path.startswith(f"{ARCHIVE}/"))
            .order_by(FILES.c.path)
        )
        with self._state.read() as connection:
            rows = connection.execute(query).all()
        return [
            StoredFile(
                path=row.path,
                pair=row.pair,
                period=row.period,
                feature_set=row.feature_set,
                is_shared=not row.timeframe,
                state=FileState(row.size, row.sha256, row.stamp),
            )
            for row in rows
        ]

    def _look(self, file: StoredFile, *, hashed: bool) -> Comparison:
        try:
            return compare_file(self._root / file.path, file.state, is_hashed=hashed)
        except OSError as error:
            return Comparison(f"it cannot be read ({error.strerror or error})")


def compare_file(path: Path, expected: FileState, *, is_hashed: bool) -> Comparison:
    """Hold a file against how it was written.

    Args:
        path: where it lies.
        expected: how it was written; its size may be 0, which stands for unknown.
        is_hashed: whether it is hashed even if its size and stamp are as they were.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        if not is_hashed:
            status = path.stat()
            if expected.size not in (0, status.st_size):
                return _other_size(status.st_size, expected)
            if stamp_of(status) == expected.stamp:
                return Comparison(stamp=expected.stamp)
        found, tail = hash_with_tail(path)
    except FileNotFoundError:
        was = f"{expected.size:,} bytes were" if expected.size else "it was"
        return Comparison(f"gone; {was} written")
    if expected.size not in (0, found.size):
        return _other_size(found.size, expected)
    if found.sha256 != expected.sha256:
        return Comparison("its bytes are not those that were written")
    return Comparison("", found.stamp, tail)


def _other_size(size: int, expected: FileState) -> Comparison:
    return Comparison(f"{size:,} bytes, {expected.size:,} were written")


def _to_unknown(path: str) -> StoredFile:
    names = dict(part.split("=", 1) for part in path.split("/") if "=" in part)
    return StoredFile(
        path=path,
        pair=names["pair"],
        period=names["period"],
        feature_set=names.get("set", ""),
        is_shared=False,
        state=FileState(0, "", ""),
    )
