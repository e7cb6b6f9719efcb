"""What an operation did to each partition, in words that a person and the UI can read.

Values only.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from data_platform.domain.layers import Partition
from data_platform.operations.lake import Lake
from data_platform.storage.journal import JournalRow

Outcome = Literal["written", "unchanged", "failed"]


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """One partition after an operation."""

    partition: Partition
    outcome: Outcome
    """`unchanged`: nothing was written, because the content is what was stored."""
    rows: int
    first: datetime | None
    last: datetime | None
    path: Path | None
    """The file, or None where the partition holds no rows."""
    missing: int = 0
    """Grid times that the ledger explains, whatever the reason."""
    refused: int = 0
    """Rows that went to quarantine."""


@dataclass(slots=True)
class LayerReport:
    """One layer of one exchange and timeframe after an operation."""

    partitions: list[PartitionReport] = field(default_factory=list)
    failures: dict[Partition, str] = field(default_factory=dict)
    """Partitions that could not be completed, and why; all others were."""
    requests: int = 0
    """Candle requests sent, retries included."""
    candles: int = 0
    """Candles received."""
    past_pages: int = 0
    """Pages asked for whose candles open before the running month."""

    def count(self, outcome: Outcome) -> int:
        """Return how many partitions ended so."""
        return sum(report.outcome == outcome for report in self.partitions)


def report_of(
    lake: Lake, partition: Partition, row: JournalRow | None, outcome: Outcome
) -> PartitionReport:
    """Return what the journal and the ledger say of a partition now."""
    series, period = partition.series, partition.period
    return PartitionReport(
        partition=partition,
        outcome=outcome,
        rows=row.rows if row else 0,
        first=row.first if row else None,
        last=row.last if row else None,
        path=lake.store.root / row.path if row and row.path else None,
        missing=lake.sums.missing(series, period.start, period.end),
    )
