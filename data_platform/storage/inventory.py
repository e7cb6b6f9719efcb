"""What should lie in the lake: every file that the journal or the table `files` vouches for.

Holds the questions to the state database and the part of the lake that is asked about. Whether the
files are there and as they were written is `survey.py`'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.periods import to_period
from data_platform.storage.atomic import FileState
from data_platform.storage.journal import HEADS, Key, to_series
from data_platform.storage.layout import Layout
from data_platform.storage.state import State
from data_platform.storage.tables import COMMITS, FILES, PARTITION, PARTITIONS, SERIES

Area = Literal["partition", "export", "history"]

_FIRST, _LAST = "", "9999-12"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A part of the lake; None stands for all."""

    exchanges: frozenset[str] | None = None
    timeframes: frozenset[str] | None = None
    pairs: frozenset[str] | None = None
    """Keys."""
    layers: frozenset[str] | None = None
    first: str = _FIRST
    """Key of the first month; empty: from the beginning."""
    last: str = _LAST
    """Key of the last month, inclusive."""

    @classmethod
    def only(cls, key: Mapping[str, str]) -> "Chosen":
        """Return the part to which names belong; an empty one leaves all."""
        month = key.get("period", "")
        exchange, timeframe, pair, layer = (
            frozenset({key[name]}) if key.get(name) else None
            for name in ("exchange", "timeframe", "pair", "layer")
        )
        return cls(exchange, timeframe, pair, layer, month or _FIRST, month or _LAST)

    @property
    def is_everything(self) -> bool:
        """Tell whether nothing is left out."""
        return self == Chosen()

    def conditions(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Return the same as conditions on a table's rows."""
        wanted = {
            "layer": self.layers,
            "exchange": self.exchanges,
            "timeframe": self.timeframes,
            "pair": self.pairs,
        }
        found: list[sa.ColumnElement[bool]] = [
            table.c[name].in_(["", *sorted(among)])
            for name, among in wanted.items()
            if among is not None
        ]
        if (self.first, self.last) != (_FIRST, _LAST):
            month = table.c["period"]
            found.append(sa.or_(month == "", month.between(self.first, self.last)))
        return found

    def holds(self, key: Mapping[str, str]) -> bool:
        """Tell whether names belong to the part; an empty one stands for several and does."""
        wanted = {
            "layer": self.layers,
            "exchange": self.exchanges,
            "timeframe": self.timeframes,
            "pair": self.pairs,
        }
        for name, among in wanted.items():
            found = key.get(name, "")
            if among is not None and found and found not in among:
                return False
        month = key.get("period", "")
        return not month or self.first <= month <= self.last


@dataclass(frozen=True, slots=True)
class Expected:
    """One file that should be there."""

    path: str
    """Below the lake's root."""
    key: Key
    """Names its partition or export; `timeframe` is empty for a file that exports share."""
    area: Area
    state: FileState
    """As it was last written; the size is 0 where it was not noted."""
    rows: int | None = None
    """Inside, where the journal counts them."""
    content_hash: str = ""
    """Of the rows of a partition."""


def read_inventory(layout: Layout, state: State, chosen: Chosen) -> dict[str, Expected]:
    """Return every file that should be there, by path.

    Args:
        layout: of the lake.
        state: its state database.
        chosen: which part.

    Raises:
        StorageError: the state cannot be read.
    """
    with state.read() as connection:
        noted = _noted_files(connection, chosen)
        found = noted | _newest_files(connection, noted, chosen)
        return found | _kept_files(connection, layout, chosen)


def to_partition(key: Key) -> Partition | None:
    """Return the partition that names stand for, or None when they stand for none.

    Raises:
        WrongUseError: a name is no pair, timeframe or month.
    """
    if not key["period"] or not key["timeframe"]:
        return None
    series = to_series(*(key[name] for name in SERIES))
    return Partition(key["layer"], series, to_period(key["period"]), key["feature_set"] or None)


def _noted_files(connection: sa.Connection, chosen: Chosen) -> dict[str, Expected]:
    names = [FILES.c[name] for name in PARTITION]
    told = (FILES.c.path, FILES.c.size, FILES.c.sha256, FILES.c.stamp)
    query = sa.select(*told, *names).where(*chosen.conditions(FILES))
    found = {}
    for path, size, sha256, stamp, *values in connection.execute(query):
        key = dict(zip(PARTITION, values, strict=True))
        found[path] = Expected(path, key, "export", FileState(size, sha256, stamp))
    return found


def _newest_files(
    connection: sa.Connection, noted: Mapping[str, Expected], chosen: Chosen
) -> dict[str, Expected]:
    names = [PARTITIONS.c[name] for name in PARTITION]
    told = (COMMITS.c.path, COMMITS.c.file_sha256, COMMITS.c.rows, COMMITS.c.content_hash)
    query = sa.select(*told, *names).select_from(HEADS)
    query = query.where(COMMITS.c.path.is_not(None), *chosen.conditions(PARTITIONS))
    found = {}
    for path, sha256, rows, content, *values in connection.execute(query):
        key = dict(zip(PARTITION, values, strict=True))
        known = noted.get(path)
        is_same = known is not None and known.state.sha256 == sha256
        state = known.state if known and is_same else FileState(0, sha256, "")
        is_export = LAYERS_BY_NAME[key["layer"]].refresh == "exports"
        area: Area = "export" if is_export else "partition"
        found[path] = Expected(path, key, area, state, rows, "" if is_export else content)
    return found


def _kept_files(connection: sa.Connection, layout: Layout, chosen: Chosen) -> dict[str, Expected]:
    names = [COMMITS.c[name] for name in PARTITION]
    query = sa.select(COMMITS.c.replaced, *names).distinct()
    query = query.where(COMMITS.c.replaced.is_not(None), *chosen.conditions(COMMITS))
    found = {}
    for sha256, *values in connection.execute(query):
        key = dict(zip(PARTITION, values, strict=True))
        partition = to_partition(key)
        if partition is not None:
            path = layout.relative(layout.history(partition, sha256))
            found[path] = Expected(path, key, "history", FileState(0, sha256, ""))
    return found
