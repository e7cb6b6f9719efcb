"""What an exchange says otherwise than it did, in one line each: candles changed, pairs ended.

The newer value is stored and the older one kept by the write protocol; nothing is decided here.
"""

from datetime import datetime

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.markets import Series
from data_platform.operations.collect import Slice
from data_platform.storage.ledger import Gap

_VALUES = [name for name in CANDLE_SCHEMA if name != "open_time"]


def find_withdrawn(times: pl.Series, piece: Slice, refused: pl.Series) -> pl.Series:
    """Return the stored times for which a valid answer had no candle any more.

    They stay stored: an answer that is cut short looks the same.

    Args:
        times: what is stored of the month, with what has just come, sorted.
        piece: what has been answered.
        refused: times of rows that came and failed the audit.
    """
    came = pl.concat([piece.candles["open_time"], refused])
    answered = [
        times.filter(times.is_between(window.start, window.end, closed="left"))
        for window in piece.windows
        if window.outcome == "answered"
    ]
    inside = pl.concat([times.clear(), *answered])
    return inside.filter(~inside.is_in(came.implode()))


def spell_correction(series: Series, replaced: pl.DataFrame) -> str:
    """Return one line about stored candles that the exchange has changed.

    Args:
        series: whose candles.
        replaced: of `PartitionStore.replaced`, at least one row.
    """
    first, last, count = replaced["open_time"][0], replaced["open_time"][-1], replaced.height
    row = replaced.row(0, named=True)
    values = ", ".join(
        f"{name} {row[f'old_{name}']!r} -> {row[f'new_{name}']!r}"
        for name in _VALUES
        if row[f"old_{name}"] != row[f"new_{name}"]
    )
    which = f"the candle of {_spell(first)}"
    if count > 1:
        which = f"{count} candles of {_spell(first)}..{_spell(last)}, the first"
    return (
        f"{series}: the exchange has changed {which}: {values} (fetched at "
        f"{_spell(row['fetched_at'])} and at {_spell(row['replaced_at'])}). The new values are "
        "stored, the old ones kept in history; what was computed from them is stale."
    )


def spell_delisting(gap: Gap, last: datetime | None, words: str) -> str:
    """Return one line about a pair that the exchange does not trade any more.

    Args:
        gap: the times from its newest candle on.
        last: the series' newest stored candle, or None.
        words: the exchange's own about it; may be empty.
    """
    series = gap.series
    newest = f"its newest candle is of {_spell(last)}" if last else "none of its candles is stored"
    said = f" ({words.strip('. ')})" if words else ""
    return (
        f"{series}: {series.exchange} does not trade {series.pair} any more; {newest}{said}. "
        "What is stored stays; it is asked for again now and then, in case it comes back. Remove "
        "the pair from `pairs` in the config; if it was renamed, add its new name there."
    )


def spell_withdrawn(series: Series, times: pl.Series) -> str:
    """Return one line about stored candles that the exchange does not send any more."""
    which = f"the candle of {_spell(times[0])}"
    if len(times) > 1:
        which = f"{len(times)} candles of {_spell(times[0])}..{_spell(times[-1])}"
    return (
        f"{series}: the exchange does not send {which} any more, which it sent before. They stay "
        "stored; to drop them is a decision of yours."
    )


def _spell(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC".replace(":00 UTC", " UTC") if time else "an unknown time"
