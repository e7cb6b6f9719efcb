"""What the journal says of many series of one exchange and timeframe, one statement each.

Asked one by one, each series costs SQLAlchemy more than all of them cost SQLite.
"""

from collections.abc import Collection

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.storage.heads import inputs_by_partition
from data_platform.storage.journal import NEWEST, InputRow, JournalRow, among, to_row
from data_platform.storage.state import State
from data_platform.storage.tables import PARTITIONS


def rows_of_many(
    state: State, layer: str, series: Collection[Series]
) -> dict[Series, list[JournalRow]]:
    """Return the newest journal rows of a layer of each series, by period."""
    wanted = NEWEST.where(PARTITIONS.c.layer == layer, *among(PARTITIONS, series))
    found: dict[Series, list[JournalRow]] = {each: [] for each in series}
    with state.read() as connection:
        for row in connection.execute(wanted.order_by(PARTITIONS.c.period)).mappings():
            known = to_row(row)
            found[known.series].append(known)
    return found


def inputs_of_many(
    state: State, partitions: Collection[Partition]
) -> dict[Partition, tuple[InputRow, ...]]:
    """Return what each partition of one layer was computed from; nothing if it never was."""
    first = next(iter(partitions))
    wanted = (
        PARTITIONS.c.layer == first.layer,
        PARTITIONS.c.period.in_(sorted({it.period.key for it in partitions})),
        *among(PARTITIONS, {it.series for it in partitions}),
    )
    with state.read() as connection:
        found = inputs_by_partition(connection, wanted)
    names = {it: (it.layer, it.series.timeframe.name, it.series.pair.key) for it in partitions}
    return {
        it: found.get(name, {}).get((it.period, it.feature_set), ()) for it, name in names.items()
    }
