"""What every month of candles holds, by its content hash: one question for many exchanges.

Held against what was noted when something was judged, it tells what has moved since.
"""

from collections.abc import Collection

import polars as pl
import sqlalchemy as sa

from data_platform.domain.periods import Period
from data_platform.storage.journal import HEADS
from data_platform.storage.state import State
from data_platform.storage.tables import COMMITS, PARTITIONS, to_frame

CONTENT_SCHEMA = pl.Schema(
    {
        "exchange": pl.String(),
        "timeframe": pl.String(),
        "pair": pl.String(),
        "period": pl.String(),
        "rows": pl.Int64(),
        "content_hash": pl.String(),
    }
)


def read_contents(
    state: State, exchanges: Collection[str], since: Period | None = None
) -> pl.DataFrame:
    """Return every month of candles of some exchanges that was ever stored, empty ones too.

    Args:
        state: of the lake.
        exchanges: their names.
        since: only this month and later ones; None: all.

    Returns:
        `CONTENT_SCHEMA`, in no order.
    """
    named = [COMMITS.c[name] for name in CONTENT_SCHEMA]
    mine = [
        PARTITIONS.c.layer == "ohlcv",
        PARTITIONS.c.exchange.in_(sorted(exchanges)),
        *([] if since is None else [PARTITIONS.c.period >= since.key]),
    ]
    with state.read() as connection:
        found = connection.execute(sa.select(*named).select_from(HEADS).where(*mine)).all()
    return to_frame(found, CONTENT_SCHEMA)
