"""What the scores of one exchange are computed from, read at once, and what tells that it moved.

Reads journal, ledger, verdicts, quarantine and the scores that were noted last; computes none.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from data_platform.domain.candles import TimeRange
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.lake import Lake
from data_platform.operations.tally import StoredMonth
from data_platform.quality.score import Comparison
from data_platform.storage.ledger_months import LedgerMonths, MonthChanges
from data_platform.storage.quarantine import refused_files
from data_platform.storage.scores import ScoreRow

COARSER_AGREE = "coarser_candles_agree"
EXCHANGES_AGREE = "exchanges_agree"
"""The rules whose verdicts tell consistency and accuracy."""

BASIS_LETTERS = 16

MonthKey = tuple[str, str, str]
"""Timeframe's name, pair's key, month's key."""

_Compared = tuple[int, int, datetime]
"""Rows that do not agree, rows looked at, and when."""


@dataclass(frozen=True, slots=True)
class ScoreSources:
    """What is known of the months of an exchange."""

    stored: dict[MonthKey, StoredMonth]
    changes: Mapping[tuple[str, str], MonthChanges]
    compared: dict[tuple[str, MonthKey], _Compared]
    refused: dict[MonthKey, list[str]]
    noted: dict[MonthKey, ScoreRow]
    """The newest scores."""

    def comparison(self, rule: str, key: MonthKey) -> Comparison | None:
        """Return what the newest verdict of a rule says of a month."""
        found = self.compared.get((rule, key))
        return Comparison(*found[:2]) if found else None

    def basis(self, key: MonthKey, period: Period, month: TimeRange, more: str) -> str:
        """Return a digest of all that a month is counted from, but for lateness.

        Args:
            key: of the month.
            period: the month.
            month: its part that is wanted.
            more: what else it depends on.
        """
        ledger = self.changes.get(key[:2], {}).get(period)
        known = (
            *self.stored.get(key, ()),
            f"ledger {ledger.all if ledger else 0}",
            *self.compared.get((COARSER_AGREE, key), ("uncompared",)),
            *self.compared.get((EXCHANGES_AGREE, key), ("uncompared",)),
            *self.refused.get(key, ()),
            month.start,
            month.end,
            more,
        )
        told = "|".join(map(str, known))
        return hashlib.sha256(told.encode()).hexdigest()[:BASIS_LETTERS]


def read_sources(
    lake: Lake, exchange: str, timeframe: Timeframe | None, since: Period | None
) -> ScoreSources:
    """Return what the scores of an exchange are computed from.

    Args:
        lake: where it lies.
        exchange: whose candles.
        timeframe: only of this one; None: of all.
        since: only of this month and later ones; None: of all.
    """
    rules = (COARSER_AGREE, EXCHANGES_AGREE)
    months = lake.store.months(exchange, timeframe, since).rows()
    counts = lake.verdicts.counts(exchange, rules, timeframe, since).rows()
    noted = lake.scores.newest(exchange, timeframe, since).rows()
    return ScoreSources(
        stored={(name, pair, period): (*held,) for name, pair, period, *held in months},
        changes=LedgerMonths(lake.state).of_exchange(exchange, timeframe, since),
        compared={
            (rule, (name, pair, period)): (*found,) for name, pair, period, rule, *found in counts
        },
        refused=refused_files(lake.store.layout, exchange),
        noted={
            (name, pair, period): ScoreRow(date.fromisoformat(day), *row)
            for name, pair, period, day, *row in noted
        },
    )
