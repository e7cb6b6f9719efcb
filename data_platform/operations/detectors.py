"""Every detector of the platform over one stretch of candles, none of it stored.

The same audit and the same rules as at a commit, in the same order. What the audit refuses no rule
ever sees; so the rules that hold stored candles to what must be true are run over the rows as they
came, as a file written by other hands would hold them. Stays out: what is planted and what should
have been found (`scorecard.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from data_platform.domain.candles import TIME, missing_ranges
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.judge import CANDLE_RULES
from data_platform.quality import continuity, ohlc
from data_platform.quality.agreement import RULES as AGREEMENT_RULES
from data_platform.quality.agreement import AgreementRule, Finer, Surroundings
from data_platform.quality.continuity import GAP_RULES
from data_platform.quality.rule import GapRule, Limits, Rule, RuleInput
from data_platform.quality.schema import audit_candles
from data_platform.quality.standards import Ruled, Standards

_MINUTE = to_timeframe("1m")
_LEDGER = pl.Schema({"pair": pl.String(), "start": TIME, "end": TIME, "status": pl.String()})
_OF_STORED = {rule.name for rule in (*ohlc.RULES, *continuity.RULES)}
"""The rules that hold stored candles to what the audit has refused already."""

FINDING_SCHEMA = pl.Schema({"check": pl.String(), "open_time": TIME})

AUDIT = "audit: "
"""Ahead of the reason for which the audit refuses a row; else a check is called by its rule."""

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whose candles are looked at, and what is known around them."""

    series: Series
    start: datetime
    """First grid time that is looked at."""
    end: datetime
    """Exclusive; what opens before it has closed."""
    before: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted: the candles stored ahead."""
    minutes: pl.DataFrame | None = None
    """The same market's minutes, where they are not the series itself."""
    others: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """The same pair on other exchanges, by their name."""


Audit = Callable[[pl.DataFrame, Stretch], tuple[pl.DataFrame, pl.DataFrame]]
"""Return the rows that may be stored, and those refused with their `reason`."""


def audit_stretch(rows: pl.DataFrame, stretch: Stretch) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what the audit lets in, and what it refuses with its reason."""
    timeframe = stretch.series.timeframe
    return audit_candles(rows, timeframe, stretch.end, stretch.start, _NEVER)


@dataclass(frozen=True, slots=True)
class Detectors:
    """What looks for defects; the platform's own unless a test says otherwise."""

    standards: Standards = field(default_factory=Standards)
    """Severities and limits of the config."""
    audit: Audit = audit_stretch
    rules: tuple[Rule, ...] = CANDLE_RULES
    gap_rules: tuple[GapRule, ...] = GAP_RULES
    agreement_rules: tuple[AgreementRule, ...] = AGREEMENT_RULES

    def detect(self, rows: pl.DataFrame, stretch: Stretch) -> pl.DataFrame:
        """Return everything that is found in rows as an exchange sent them.

        Args:
            rows: `CANDLE_SCHEMA`, in any order.
            stretch: whose they are.

        Returns:
            `FINDING_SCHEMA`: one row a finding, its time as the check reports it.
        """
        good, refused = self.audit(rows, stretch)
        reasons = refused.select(pl.col("reason").str.split("; ").alias("check"), "open_time")
        found = [
            reasons.explode("check").with_columns(check=pl.lit(AUDIT) + pl.col("check")),
            *self._judge(rows, good, stretch),
            *self._look_for_gaps(good, stretch),
            *self._compare(good, stretch),
        ]
        return pl.concat(found).cast(FINDING_SCHEMA)

    def _judge(
        self, rows: pl.DataFrame, good: pl.DataFrame, stretch: Stretch
    ) -> Iterator[pl.DataFrame]:
        for rule in self.rules:
            candles = rows if rule.name in _OF_STORED else good
            given = RuleInput(candles, stretch.before, stretch.series.timeframe, stretch.end)
            yield _named(rule.name, rule.find(given, self._limits(rule, stretch)))

    def _look_for_gaps(self, good: pl.DataFrame, stretch: Stretch) -> Iterator[pl.DataFrame]:
        timeframe, times = stretch.series.timeframe, good["open_time"].unique().sort()
        holes = [
            (stretch.series.pair.key, hole.start, hole.end, "open")
            for hole in missing_ranges(times, timeframe, stretch.start, stretch.end)
        ]
        ledger = pl.DataFrame(holes, schema=_LEDGER, orient="row").with_columns(
            missing=(pl.col("end") - pl.col("start")).dt.total_milliseconds() // timeframe.ms
        )
        for rule in self.gap_rules:
            yield _named(rule.name, rule.find(ledger, timeframe, self._limits(rule, stretch)))

    def _compare(self, good: pl.DataFrame, stretch: Stretch) -> Iterator[pl.DataFrame]:
        series, quiet = stretch.series, pl.DataFrame(schema={"start": TIME, "end": TIME})
        minutes = stretch.minutes
        finer = () if minutes is None else (Finer(_MINUTE, minutes, quiet),)
        alike = {f"{name}/{series.pair.key}": it for name, it in stretch.others.items()}
        beside = Surroundings(good, series.timeframe, finer, stretch.others, alike)
        for rule in self.agreement_rules:
            yield _named(rule.name, rule.judge(beside, self._limits(rule, stretch)).rows)

    def _limits(self, rule: Ruled, stretch: Stretch) -> Limits:
        return self.standards.of(rule, stretch.series).limits


def _named(check: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.lit(check).alias("check"), "open_time")
