"""A partition as a writer under its lock finds it, and how other rows differ from its own.

Holds what is there and the comparison; finding it is the reader's business, replacing it the
store's. The rows are parsed when somebody asks for them: whether a partition that is computed whole
stays the same, or only grows at its end as at each tick, tell the content hashes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from data_platform.domain.candles import content_hash
from data_platform.storage.change import NO_CHANGE, Change, compare
from data_platform.storage.journal import ABSENT, JournalRow


@dataclass(frozen=True)
class Current:
    """What is stored of one partition."""

    row: JournalRow | None
    content: bytes
    """The whole file; empty when there is none."""
    content_hash: str
    """Of the rows, or `ABSENT`."""
    version: str
    """The file's sha256, or `ABSENT`."""
    place: str
    """Where it lies below the root, or would."""
    parse: Callable[[], pl.DataFrame] | None = None
    """Returns its rows; None when there is no file, or one that is to give way."""

    @cached_property
    def frame(self) -> pl.DataFrame | None:
        """Return its rows, or None."""
        return self.parse() if self.parse else None

    @property
    def is_sound(self) -> bool:
        """Tell whether there is a file that nothing takes the place of unseen."""
        return self.parse is not None

    @property
    def journalled(self) -> bool:
        """Return whether the newest journal row tells of exactly this file."""
        if self.row is None or (self.row.file_sha256 or ABSENT) != self.version:
            return False
        return self.row.path in (None, self.place)

    def differs(self, rows: pl.DataFrame, their_hash: str) -> bool:
        """Tell whether other rows with a known content hash have to be written."""
        return their_hash != self.content_hash if self.is_sound else not rows.is_empty()

    def change_to(self, rows: pl.DataFrame, their_hash: str) -> Change:
        """Return how the partition changes when other rows take its place.

        Args:
            rows: sorted by `open_time`.
            their_hash: their content hash.
        """
        if not self.differs(rows, their_hash):
            return NO_CHANGE
        if "frame" not in self.__dict__ and self._begins(rows):
            return Change(rows.height - self._height, 0, 0, inserted=False)
        return compare(self.frame, rows)

    @property
    def _height(self) -> int:
        return self.row.rows if self.row else 0

    def _begins(self, rows: pl.DataFrame) -> bool:
        # The hash holds the number of rows: equal ones are of as many.
        known = self._height
        return 0 < known < rows.height and content_hash(rows.head(known)) == self.content_hash
