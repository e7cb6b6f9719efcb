"""Make again what a correction has made stale, as one run of the stale sensor does, and say why.

For whoever wants to see it without Dagster: the demo of a correction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import LAYERS, Partition
from data_platform.domain.markets import Series
from data_platform.operations.backlog import Scope
from data_platform.operations.derive import derive_layer
from data_platform.operations.lake import Lake
from data_platform.operations.stale import find_stale
from data_platform.operations.watch import Watch
from data_platform.storage.journal import InputRow


@dataclass(frozen=True, slots=True)
class Remade:
    """One partition that was made again, with other content."""

    partition: Partition
    moved: tuple[InputRow, ...]
    """The rows that it reads and that are others than when it was made before."""

    @property
    def why(self) -> str:
        """Return what it reads that has changed, in words."""
        told = [
            f"{it.layer} {it.series}, {it.first:%Y-%m-%d %H:%M} to {it.last:%Y-%m-%d %H:%M}"
            for it in self.moved
            if it.first and it.last
        ]
        return "reads " + "; ".join(told) if told else "reads rows that have changed"


def remake_stale(lake: Lake, scope: Scope, now: datetime, watch: Watch) -> list[Remade]:
    """Make again everything that is stale at one look.

    Args:
        lake: where it lies.
        scope: one exchange's series and recipes.
        now: the clock, UTC.
        watch: hears of progress.

    Returns:
        What has other content now, in the order of the line.

    Raises:
        StorageError: something could not be made again.
    """
    cells = find_stale(lake, scope, now)
    found: list[Remade] = []
    for layer in LAYERS:
        for timeframe, recipes in scope.recipes.items():
            for recipe in (it for it in recipes if it.layer == layer.name):
                partitions = [
                    Partition(layer.name, Series(scope.exchange, pair, timeframe), month)
                    for pair, month in sorted(cells, key=lambda it: (it[0].key, it[1].start))
                ]
                named = [
                    Partition(it.layer, it.series, it.period, recipe.feature_set)
                    for it in partitions
                ]
                before = {it: lake.store.inputs(it) for it in named}
                report = derive_layer(lake, partitions, [recipe], watch)
                if report.failures:
                    raise StorageError("; ".join(report.failures.values()))
                written = [it.partition for it in report.partitions if it.outcome == "written"]
                found += [Remade(it, _moved(before[it], lake.store.inputs(it))) for it in written]
    return found


def _moved(before: Sequence[InputRow], after: Sequence[InputRow]) -> tuple[InputRow, ...]:
    return tuple(it for it in after if it not in before and not it.layer.startswith("months of"))
