"""What is stored of each exchange and timeframe, and what its checks say: the demo's table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table
from rich.text import Text

from data_platform.domain.layers import LAYERS
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.due import FreshnessLimits, SeriesStatus, series_status
from data_platform.operations.lake import Lake, opened_lake
from data_platform.operations.missing import History, count_gaps
from data_platform.operations.verdicts import Judged, Verdict, table_verdicts
from data_platform.settings import ExchangeSettings, Settings


@dataclass(frozen=True, slots=True)
class LineRow:
    """One exchange and timeframe: all pairs, all layers."""

    exchange: str
    timeframe: Timeframe
    statuses: Sequence[SeriesStatus]
    gaps: int
    """Runs of candles that are missing and should be there."""
    verdicts: Sequence[Verdict]

    @property
    def failed(self) -> list[Verdict]:
        """Return the checks that do not pass."""
        return [verdict for verdict in self.verdicts if verdict.count]


def judge_line(settings: Settings, now: datetime) -> list[LineRow]:
    """Return how far every exchange and timeframe is, and what its checks say now."""
    with opened_lake(settings.data_root, settings.state_url) as lake:
        return [
            row
            for exchange in settings.exchanges.values()
            for row in _rows(lake, settings, exchange, now)
        ]


def has_failed(rows: Iterable[LineRow]) -> bool:
    """Tell whether a check of severity error does not pass."""
    return any(verdict.severity == "error" for row in rows for verdict in row.failed)


def to_line_table(rows: Sequence[LineRow]) -> Table:
    """Return the table for the terminal."""
    table = Table("exchange", "timeframe")
    for title in ("pairs", "candles"):
        table.add_column(title, justify="right")
    for title in ("from", "to"):
        table.add_column(title)
    for title in ("gaps", "checks passed", "failed"):
        table.add_column(title, justify="right")
    table.add_column("which")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _rows(
    lake: Lake, settings: Settings, exchange: ExchangeSettings, now: datetime
) -> list[LineRow]:
    limits = settings.thresholds.limits
    fresh = FreshnessLimits(exchange.grace, settings.refresh.candles, limits)
    statuses = series_status(lake, exchange.series, fresh, now)
    history = History(exchange.row.quiet_candle, exchange.starts)
    counts = count_gaps(lake, history, exchange.series)
    sets = frozenset(one.key for one in settings.feature_sets)
    rows = []
    for timeframe in exchange.timeframes:
        own = [status for status in statuses if status.series.timeframe == timeframe]
        verdicts: list[Verdict] = []
        for layer in LAYERS:
            judged = Judged(exchange.name, layer.name, timeframe, history, limits, sets)
            verdicts += table_verdicts(lake, judged, own, ())
        gaps = sum(counts[status.series].gaps for status in own)
        rows.append(LineRow(exchange.name, timeframe, own, gaps, verdicts))
    return rows


def _cells(row: LineRow) -> list[str | Text]:
    firsts = [status.first for status in row.statuses if status.first]
    lasts = [status.last for status in row.statuses if status.last]
    failed = row.failed
    return [
        row.exchange,
        row.timeframe.name,
        f"{len(firsts)}",
        f"{sum(status.candles for status in row.statuses):,}",
        f"{min(firsts):%Y-%m-%d %H:%M}" if firsts else "-",
        f"{max(lasts):%Y-%m-%d %H:%M}" if lasts else "-",
        f"{row.gaps}",
        f"{len(row.verdicts) - len(failed)}",
        Text(f"{len(failed)}", "red" if failed else ""),
        ", ".join(verdict.name for verdict in failed),
    ]
