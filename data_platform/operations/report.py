"""What an operation did to each partition, in words that a person and the UI can read.

Values only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from data_platform.domain.layers import Partition
from data_platform.operations.lake import Lake
from data_platform.sources.base import AnswerTimes
from data_platform.storage.journal import JournalRow
from data_platform.storage.layout import QUARANTINE
from data_platform.storage.run_log import Step

Outcome = Literal["written", "unchanged", "failed"]

NEWEST_REWRITES = 5
"""Commits that a partition's report tells of."""

FIRST_PLACES = 4
"""Series that a line about one cause names."""


@dataclass(frozen=True, slots=True)
class PartitionScore:
    """How good a partition is."""

    value: float | None
    """From 0 to 1, by the profile that the config shows first; None: nothing is known."""
    components: Mapping[str, float]
    """What it is made of; those of which nothing is known are left out."""
    absent: str
    """Those, with commas between."""


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
    rewrites: tuple[str, ...] = ()
    """One line for each of the newest commits that changed or inserted rows: when, why, who."""
    code_version: str | None = None
    """By which code, and which parameters, a derived partition was computed."""
    committed_at: datetime | None = None
    """When the journal was last told of it; None: never."""
    score: PartitionScore | None = None
    """How good it is now, of candles."""

    @property
    def lag(self) -> timedelta | None:
        """Return the time from its newest candle's close to its commit; None without either."""
        if self.last is None or self.committed_at is None:
            return None
        return self.committed_at - (self.last + self.partition.series.timeframe.duration)


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
    faults: Mapping[str, int] = field(default_factory=dict)
    """Attempts that failed, by the kind of error; those that a later one made good included."""
    answers: AnswerTimes = field(default_factory=AnswerTimes)
    """When the exchange answered, and how soon."""
    past_pages: int = 0
    """Pages asked for whose candles open before the running month."""
    alerts: list[str] = field(default_factory=list)
    """One line each: what somebody should know although nothing failed."""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the operation began, by the machine's clock."""

    def count(self, outcome: Outcome) -> int:
        """Return how many partitions ended so."""
        return sum(report.outcome == outcome for report in self.partitions)


def note_step(lake: Lake, exchange: str, kind: str, report: LayerReport) -> None:
    """Add what a step did to the log of runs.

    Args:
        lake: whose log; its run id names the run.
        exchange: of the step.
        kind: who asked for the run.
        report: of the step.

    Raises:
        StorageError: the state database refuses.
    """
    written = [it for it in report.partitions if it.outcome == "written"]
    # Of a backfill the months that are over say nothing of how fresh it left the series.
    candles = sorted(
        (it for it in written if it.partition.layer == "ohlcv"), key=lambda it: it.partition.period
    )
    newest = {it.partition.series: it.lag for it in candles}
    lags = [lag for lag in newest.values() if lag]
    lake.runs.add(
        Step(
            run_id=lake.run_id,
            exchange=exchange,
            kind=kind,
            started_at=report.began,
            ended_at=datetime.now(UTC),
            written=len(written),
            failed=len(report.failures),
            requests=report.requests,
            errors=report.faults,
            candles=report.candles,
            refused=sum(it.refused for it in report.partitions),
            lag=max(lags, default=None),
            answered_at=report.answers.last,
            latency=report.answers.usual,
        )
    )


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
        code_version=row.code_version if row else None,
        missing=lake.sums.missing(series, period.start, period.end),
        rewrites=_rewrites(lake, partition) if row and row.rewrite_id else (),
        committed_at=row.committed_at if row else None,
    )


def _rewrites(lake: Lake, partition: Partition) -> tuple[str, ...]:
    return tuple(
        f"{row.committed_at:%Y-%m-%d %H:%M:%S} UTC {row.reason} (version {row.version}) by run "
        f"{row.run_id or 'unknown'}"
        for row in lake.store.rewrites(partition, NEWEST_REWRITES)
    )


def find_refused(lake: Lake, partitions: Iterable[Partition]) -> dict[Partition, str]:
    """Return the partitions that miss a candle because what came for it was refused, and why.

    A row that was one too many, as a twin is, costs no candle.

    Args:
        lake: whose ledger.
        partitions: of candles.
    """
    reason = (
        "candles came that cannot be true and are not stored; they are kept with the reason in "
        f"{lake.store.root / QUARANTINE}, and the exchange is asked for them again."
    )
    return {
        it: reason
        for it in partitions
        if lake.sums.ranges(it.series, it.period.start, it.period.end, {"refused"}).height
    }


def spell_causes(failures: Mapping[Partition, str]) -> list[str]:
    """Return one line for each cause, with what it kept from being completed.

    Args:
        failures: the reason for each partition; those that differ in nothing but the time, the
            month or the pair they speak of are one cause.

    Returns:
        Lines such as `120 partitions of binance/ohlcv_1m BTC/USDT: no answer`, in the given order.
    """
    by_cause: dict[str, dict[Partition, str]] = {}
    causes: dict[str, str] = {}
    for partition, reason in failures.items():
        # A damaged file can stop other months than its own: the same words are one cause.
        cause = causes.setdefault(reason, _without_names(partition, reason))
        by_cause.setdefault(cause, {})[partition] = reason
    return [_spell_cause(stopped) for stopped in by_cause.values()]


def _spell_cause(stopped: Mapping[Partition, str]) -> str:
    (first, reason), *others = stopped.items()
    if not others:
        return reason if reason.startswith(f"{first}: ") else f"{first}: {reason}"
    words = [_without_place(*it) for it in stopped.items()]
    alike = "" if len(set(words)) == 1 else " (The others alike.)"
    series = list(dict.fromkeys(_series(partition) for partition in stopped))
    rest = len(series) - FIRST_PLACES
    named = [*series[:FIRST_PLACES], *([f"{rest} more series"] if rest > 0 else [])]
    return f"{len(stopped)} partitions of {', '.join(named)}: {words[0]}{alike}"


def _without_names(partition: Partition, reason: str) -> str:
    cause, pair = _without_place(partition, reason), partition.series.pair
    for name in (partition.period.key, pair.key, pair.symbol):
        cause = cause.replace(name, "*")
    return cause


def _without_place(partition: Partition, reason: str) -> str:
    # A source's reason begins with the series and the time it asked for.
    place, colon, rest = reason.partition(": ")
    return rest if colon and place.startswith(str(partition.series)) else reason


def _series(partition: Partition) -> str:
    return f"{str(partition).partition(' ')[0]} {partition.series.pair}"
