"""Read the newest months of many series: one look into the journal for all of an exchange.

Reads as `PartitionReader` does, with the same proofs. A look for each series costs as much as
reading a small file, and who wants the newest candles of all wants 60 series of an exchange.
"""

from datetime import datetime
from pathlib import Path

from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.storage.journal import NEWEST, JournalRow, equal, to_row
from data_platform.storage.reading import PartitionReader
from data_platform.storage.state import State
from data_platform.storage.tables import COMMITS, PARTITIONS


class NewestReader(PartitionReader):
    """Reads an exchange's newest months, as the journal knew them when it was first asked.

    Earlier months are read only of series that have none of these.
    """

    def __init__(self, root: Path, state: State, exchange: str, since: datetime) -> None:
        """Read the lake below a folder.

        Args:
            root: the lake's folder.
            state: its state database.
            exchange: whose series.
            since: an instant of the first of these months.
        """
        super().__init__(root, state)
        self._exchange = exchange
        self._since = since
        self._known: dict[str, dict[tuple[str, str], list[JournalRow]]] = {}

    def _months(self, layer: str, series: Series, feature_set: str | None) -> list[JournalRow]:
        if series.exchange == self._exchange and feature_set is None:
            known = self._of_layer(layer).get((series.pair.key, series.timeframe.name))
            if known is not None:
                return known
        return super()._months(layer, series, feature_set)

    def _of_layer(self, layer: str) -> dict[tuple[str, str], list[JournalRow]]:
        if layer not in self._known:
            key = {"layer": layer, "exchange": self._exchange}
            lately = PARTITIONS.c.period >= period_of(self._since).key
            query = NEWEST.where(*equal(PARTITIONS, key), lately, COMMITS.c.rows > 0)
            with self.state.read() as connection:
                rows = connection.execute(query.order_by(PARTITIONS.c.period)).mappings().all()
            found: dict[tuple[str, str], list[JournalRow]] = {}
            for row in map(to_row, rows):
                names = (row.series.pair.key, row.series.timeframe.name)
                found.setdefault(names, []).append(row)
            self._known[layer] = found
        return self._known[layer]
