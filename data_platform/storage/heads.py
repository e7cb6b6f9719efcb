"""Where each series stands: questions to the newest journal rows, one statement each.

Holds what planning, reading and status ask of many partitions at once; the journal's own rows and
how they are added stand in `journal.py`.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from data_platform.domain.candles import TIME
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, to_period
from data_platform.domain.timeframes import Timeframe
from data_platform.storage.journal import (
    HEADS,
    NEWEST,
    InputRow,
    JournalRow,
    Key,
    equal,
    newest_row,
    partition_key,
    series_key,
    to_row,
    to_series,
)
from data_platform.storage.layout import ARCHIVE, Layout
from data_platform.storage.state import State
from data_platform.storage.tables import (
    COMMITS,
    INPUTS,
    PARTITION,
    PARTITIONS,
    SERIES,
    to_frame,
    to_time,
)

MONTH_SCHEMA = pl.Schema(
    {
        "timeframe": pl.String(),
        "pair": pl.String(),
        "period": pl.String(),
        "rows": pl.Int64(),
        "first": TIME,
        "last": TIME,
    }
)


# Written once, as the journal's: every read asks it.
_OF_SERIES = NEWEST.where(
    *(PARTITIONS.c[name] == sa.bindparam(name) for name in PARTITION if name != "period"),
    COMMITS.c.rows > 0,
).order_by(PARTITIONS.c.period)

Inputs = dict[tuple[Period | None, str | None], tuple[InputRow, ...]]
"""What each partition of one table of a series was computed from, by month and feature set."""


class JournalReader:
    """What the journal of one lake tells."""

    def __init__(self, root: Path, state: State) -> None:
        """Read the lake below a folder.

        Args:
            root: the lake's folder; it may not exist yet.
            state: its state database.
        """
        self.root = root
        self.state = state
        self.layout = Layout(root)

    def journal(self, partition: Partition) -> JournalRow | None:
        """Return the newest journal row of a partition, or None when it was never committed."""
        with self.state.read() as connection:
            return newest_row(connection, partition_key(partition))

    def journal_rows(
        self,
        layer: str | None = None,
        exchange: str | None = None,
        timeframe: Timeframe | None = None,
        pair: Pair | None = None,
    ) -> list[JournalRow]:
        """Return the newest journal row of each partition that fits, by series and period."""
        with self.state.read() as connection:
            return newest_rows(
                connection, layer=layer, exchange=exchange, timeframe=timeframe, pair=pair
            )

    def stored_periods(
        self, layer: str, series: Series, feature_set: str | None = None
    ) -> set[Period]:
        """Return the months of a series that were ever materialized, empty ones too."""
        rows = self.journal_rows(layer, series.exchange, series.timeframe, series.pair)
        return {row.period for row in rows if row.period and row.feature_set == feature_set}

    def series_of(self, layer: str) -> set[Series]:
        """Return the series of which a partition of a layer was ever committed."""
        columns = [PARTITIONS.c[name] for name in SERIES]
        query = sa.select(*columns).where(PARTITIONS.c.layer == layer).distinct()
        with self.state.read() as connection:
            return {to_series(*found) for found in connection.execute(query)}

    def newest(self, exchange: str, layer: str = "ohlcv") -> dict[tuple[str, str], datetime]:
        """Return the last stored open_time by (pair's key, timeframe's name) of an exchange.

        A series without a row is not in it.
        """
        with self.state.read() as connection:
            return newest_times(connection, exchange, layer)

    def months(
        self, exchange: str, timeframe: Timeframe | None = None, since: Period | None = None
    ) -> pl.DataFrame:
        """Return how much of each month of candles is stored, of every series of an exchange.

        Args:
            exchange: whose series.
            timeframe: only of this one; None: of all.
            since: only this month and later ones; None: all.

        Returns:
            `MONTH_SCHEMA`, sorted; months without rows are left out.
        """
        with self.state.read() as connection:
            return stored_months(connection, exchange, timeframe, since)

    def away(self, exchange: str) -> set[tuple[str, str, str]]:
        """Return the months of candles that were archived and whose files are not here now.

        By pair's key, timeframe's name and month's key: nothing can be stored into them.
        """
        with self.state.read() as connection:
            rows = archived_rows(connection, exchange)
        return {
            (row.series.pair.key, row.series.timeframe.name, row.partition.period.key)
            for row in rows
            if row.path and not (self.root / row.path).exists()
        }

    def first(self, series: Series, layer: str = "ohlcv") -> datetime | None:
        """Return the first stored open_time of a series, or None."""
        with self.state.read() as connection:
            return first_time(connection, series, layer)

    def inputs(self, partition: Partition) -> tuple[InputRow, ...]:
        """Return what the newest commit of a partition was computed from."""
        return self.inputs_of_series(partition.layer, partition.series, partition.period).get(
            (partition.period, partition.feature_set), ()
        )

    def inputs_of_series(self, layer: str, series: Series, period: Period | None = None) -> Inputs:
        """Return what the newest commit of each partition was computed from, by month and set.

        Args:
            layer: of the partitions.
            series: of the partitions.
            period: this month alone; None: all.
        """
        key = {"layer": layer, **series_key(series), **({"period": period.key} if period else {})}
        return self._inputs(key).get((layer, series.timeframe.name, series.pair.key), {})

    def inputs_of_exchange(self, exchange: str) -> dict[tuple[str, str, str], Inputs]:
        """Return what every partition of an exchange was computed from.

        Returns:
            By layer, timeframe's name and pair's key, and then as `inputs_of_series`.
        """
        return self._inputs({"exchange": exchange})

    def _inputs(self, key: Key) -> dict[tuple[str, str, str], Inputs]:
        with self.state.read() as connection:
            return inputs_by_partition(connection, equal(PARTITIONS, key))


def newest_rows(
    connection: sa.Connection,
    *,
    layer: str | None = None,
    exchange: str | None = None,
    timeframe: Timeframe | None = None,
    pair: Pair | None = None,
) -> list[JournalRow]:
    """Return the newest row of each partition that fits, by series and period."""
    wanted = {
        "layer": layer,
        "exchange": exchange,
        "timeframe": timeframe.name if timeframe else None,
        "pair": pair.key if pair else None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    query = NEWEST.where(*equal(PARTITIONS, given))
    order = (PARTITIONS.c[name] for name in PARTITION)
    return [to_row(found) for found in connection.execute(query.order_by(*order)).mappings()]


def inputs_by_partition(
    connection: sa.Connection, wanted: Iterable[sa.ColumnElement[bool]]
) -> dict[tuple[str, str, str], Inputs]:
    """Return what the newest commit of each partition that fits was computed from."""
    own = [PARTITIONS.c[name].label(f"own_{name}") for name in PARTITION]
    query = (
        sa.select(INPUTS, *own)
        .join(PARTITIONS, PARTITIONS.c.commit_id == INPUTS.c.commit_id)
        .where(*wanted)
        .order_by(INPUTS.c.commit_id, INPUTS.c.position)
    )
    found: dict[tuple[str, str, str], Inputs] = {}
    for row in connection.execute(query).mappings():
        table = found.setdefault((row["own_layer"], row["own_timeframe"], row["own_pair"]), {})
        month = to_period(row["own_period"]) if row["own_period"] else None
        names = (month, row["own_feature_set"] or None)
        table[names] = (*table.get(names, ()), _to_input(row))
    return found


def _to_input(row: sa.RowMapping) -> InputRow:
    return InputRow(
        row["layer"],
        to_series(*(row[name] for name in SERIES)),
        to_time(row["first_open"]),
        to_time(row["last_open"]),
        row["content_hash"],
    )


def rows_of_series(
    connection: sa.Connection, layer: str, series: Series, feature_set: str | None
) -> list[JournalRow]:
    """Return the newest row of each partition of a series that holds rows, by period."""
    key = {"layer": layer, **series_key(series), "feature_set": feature_set or ""}
    return [to_row(each) for each in connection.execute(_OF_SERIES, key).mappings()]


def newest_times(
    connection: sa.Connection, exchange: str, layer: str
) -> dict[tuple[str, str], datetime]:
    """Return the last stored open_time by (pair's key, timeframe's name) of an exchange."""
    query = (
        sa.select(COMMITS.c.pair, COMMITS.c.timeframe, sa.func.max(COMMITS.c.last_open))
        .select_from(HEADS)
        .where(
            PARTITIONS.c.layer == layer,
            PARTITIONS.c.exchange == exchange,
            COMMITS.c.last_open.is_not(None),
        )
        .group_by(COMMITS.c.pair, COMMITS.c.timeframe)
    )
    times = ((pair, timeframe, to_time(ms)) for pair, timeframe, ms in connection.execute(query))
    return {(pair, timeframe): time for pair, timeframe, time in times if time is not None}


def stored_months(
    connection: sa.Connection,
    exchange: str,
    timeframe: Timeframe | None,
    since: Period | None,
) -> pl.DataFrame:
    """Return candles and edges of each stored month of an exchange, as `MONTH_SCHEMA`."""
    named = [PARTITIONS.c[name] for name in ("timeframe", "pair", "period")]
    key = {"layer": "ohlcv", "exchange": exchange}
    if timeframe is not None:
        key["timeframe"] = timeframe.name
    query = (
        sa.select(*named, COMMITS.c.rows, COMMITS.c.first_open, COMMITS.c.last_open)
        .select_from(HEADS)
        .where(*equal(PARTITIONS, key), COMMITS.c.rows > 0)
        .order_by(*named)
    )
    if since is not None:
        query = query.where(PARTITIONS.c.period >= since.key)
    return to_frame(connection.execute(query).all(), MONTH_SCHEMA)


def archived_rows(connection: sa.Connection, exchange: str) -> list[JournalRow]:
    """Return the newest row of each month of an exchange's candles that lies in the archive."""
    key = {"layer": "ohlcv", "exchange": exchange}
    query = NEWEST.where(*equal(PARTITIONS, key), COMMITS.c.path.startswith(f"{ARCHIVE}/"))
    return [to_row(found) for found in connection.execute(query).mappings()]


def first_time(connection: sa.Connection, series: Series, layer: str) -> datetime | None:
    """Return the first stored open_time of a series, or None."""
    query = (
        sa.select(sa.func.min(COMMITS.c.first_open))
        .select_from(HEADS)
        .where(*equal(PARTITIONS, {"layer": layer, **series_key(series)}))
    )
    return to_time(connection.execute(query).scalar())
