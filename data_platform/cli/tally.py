"""Adds up what the steps of a run report, each of which counts from zero."""

from dataclasses import dataclass, field, replace

from data_platform.cli.messages import Report
from data_platform.operations.watch import Progress

Step = tuple[str, str]
"""A run and what it is computing: unique within a worker."""


@dataclass(slots=True)
class Tally:
    """The counts of one worker over all its steps."""

    exchange: str
    size: int
    """Partitions ordered, of every layer."""
    _steps: dict[Step, Progress] = field(default_factory=dict)

    def add(self, step: Step, progress: Progress) -> Report:
        """Take the newest counts of a step and return those of all steps together."""
        self._steps[step] = progress
        return self.report()

    def report(self) -> Report:
        """Return the counts so far."""
        counts = self._steps.values()
        return Report(
            exchange=self.exchange,
            candles=sum(each.candles for each in counts),
            requests=sum(each.requests for each in counts),
            done_partitions=min(sum(each.done for each in counts), self.size),
            total_partitions=self.size,
            past_pages=sum(each.past_pages for each in counts),
        )

    def finished(self) -> Report:
        """Return the counts of a worker that has done everything it was ordered to do."""
        return replace(self.report(), done_partitions=self.size)
