"""A live bar per exchange: candles, requests, candles a second, time left."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from data_platform.cli.messages import Report


class RateColumn(TextColumn):
    """Candles a second since the start."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """Return the rate of one exchange."""
        seconds = task.elapsed or 0.0
        rate = task.fields["candles"] / seconds if seconds else 0.0
        return Text(f"{rate:,.0f} candles/s", justify="right")


class DownloadProgress:
    """The bars of a download; nothing is drawn live where no terminal is."""

    def __init__(self, exchanges: Sequence[str], console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.fields[partitions]} partitions"),
            TextColumn("{task.fields[candles]:,} candles", justify="right"),
            TextColumn("{task.fields[requests]:,} requests", justify="right"),
            RateColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks = {
            name: self._progress.add_task(name, total=None, candles=0, requests=0, partitions="?")
            for name in exchanges
        }

    def show(self, report: Report) -> None:
        """Draw the newest report of an exchange."""
        self._progress.update(
            self._tasks[report.exchange],
            total=report.total_partitions or None,
            completed=report.done_partitions,
            candles=report.candles,
            requests=report.requests,
            partitions=f"{report.total_partitions:,}" if report.total_partitions else "?",
        )

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
