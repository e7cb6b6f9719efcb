import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from data_platform.cli.line_table import LineRow, has_failed, to_line_table
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.due import SeriesStatus
from data_platform.operations.verdicts import Verdict
from data_platform.quality.rule import Severity

HOUR = to_timeframe("1h")
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
LAST = datetime(2024, 1, 31, 23, tzinfo=UTC)


def status(base: str, *, candles: int) -> SeriesStatus:
    return SeriesStatus(
        series=Series("okx", Pair(f"{base}/USDT"), HOUR),
        first=FIRST if candles else None,
        last=LAST if candles else None,
        candles=candles,
        answered_until=LAST + HOUR.duration if candles else None,
        late=timedelta(0),
        limit=timedelta(hours=1),
    )


def verdict(name: str, count: int, severity: Severity = "error") -> Verdict:
    return Verdict(name, severity, count, (), {})


def row(*verdicts: Verdict) -> LineRow:
    pairs = (status("BTC", candles=700), status("ETH", candles=0))
    return LineRow("okx", HOUR, pairs, 2, verdicts)


def printed(*rows: LineRow) -> str:
    console = Console(width=300, file=io.StringIO(), record=True)
    console.print(to_line_table(rows))
    return console.export_text()


def test_a_row_sums_its_pairs_and_names_what_failed() -> None:
    text = printed(row(verdict("times_unique", 0), verdict("no_long_gaps", 3)))
    cells = [cell.strip() for cell in text.splitlines()[3].strip("│").split("│")]
    assert cells == [
        *("okx", "1h", "1", "700", "2024-01-01 00:00", "2024-01-31 23:00"),
        *("2", "1", "1", "no_long_gaps"),
    ]


def test_a_failed_warning_fails_nothing() -> None:
    assert not has_failed([row(verdict("history_complete", 4, "warn"))])
    assert has_failed([row(verdict("history_complete", 4, "warn"), verdict("no_long_gaps", 1))])
