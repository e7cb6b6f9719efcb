"""How much of each computed column is known, and between which values it lies.

Told by the file's own footer, so it costs no reading of rows.
"""

from pathlib import Path
from typing import TypedDict

from data_platform.domain.candles import FILLED_SCHEMA

DIGITS = 6
"""Significant ones: a look at a range needs no more."""


class ColumnFacts(TypedDict):
    """One column of one partition."""

    null_share: float
    """Rows in which it is not known, 0 to 1."""
    min: float | bool | None
    """None where it is known in no row, as below."""
    max: float | bool | None


def column_facts(path: Path) -> dict[str, ColumnFacts]:
    """Return the null share and the range of each column of a file that no candle has.

    Args:
        path: a file of indicators or features; empty where it is gone by now.
    """
    import pyarrow.parquet

    try:
        footer = pyarrow.parquet.read_metadata(path)
    except FileNotFoundError:
        return {}
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    found: dict[str, ColumnFacts] = {}
    for place, name in enumerate(footer.schema.names):
        if name in FILLED_SCHEMA:
            continue
        told = [group.column(place).statistics for group in groups]
        known = [it for it in told if it is not None and it.has_min_max]
        nulls = sum(it.null_count for it in told if it is not None)
        found[name] = ColumnFacts(
            null_share=_short(nulls / footer.num_rows) if footer.num_rows else 0.0,
            min=_short(min(it.min for it in known)) if known else None,
            max=_short(max(it.max for it in known)) if known else None,
        )
    return found


def _short(value: float) -> float:
    return value if isinstance(value, bool) else float(f"{value:.{DIGITS}g}")
