import io

from rich.console import Console

from data_platform.cli.messages import Report
from data_platform.cli.progress import DownloadProgress


def drawn(*reports: Report) -> str:
    file = io.StringIO()
    console = Console(file=file, width=160, color_system=None)
    with DownloadProgress(["binance", "okx"], console) as progress:
        for report in reports:
            progress.show(report)
    return file.getvalue()


def test_each_exchange_has_a_bar_with_its_counts() -> None:
    text = drawn(Report("okx", candles=12_345, requests=42, done_partitions=3, total_partitions=12))
    line = next(line for line in text.splitlines() if line.startswith("okx"))
    assert "3/12 partitions" in line
    assert "12,345 candles" in line
    assert "42 requests" in line
    assert "candles/s" in line
    assert any(line.startswith("binance") for line in text.splitlines())


def test_the_total_is_unknown_before_the_first_report() -> None:
    assert "0/? partitions" in drawn()


def test_without_a_terminal_only_the_end_is_printed() -> None:
    reports = [Report("okx", done_partitions=done, total_partitions=9) for done in range(9)]
    text = drawn(*reports)
    assert text.count("okx") == 1
    assert "8/9 partitions" in text
