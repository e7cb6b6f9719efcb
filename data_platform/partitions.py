"""Partition keys to domain objects and back; the only place a partition string is parsed.

All assets of an exchange share one definition: pair x month. Pairs are sorted in it, so that a
range of keys is the cross product that its ends suggest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import click
import dagster as dg
from dagster import MultiPartitionKey
from dagster._core.definitions.partitions.context import PartitionLoadingContext

from data_platform.domain.errors import WrongUseError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series, from_key
from data_platform.domain.periods import Period, periods_between, to_period
from data_platform.domain.timeframes import Timeframe
from data_platform.settings import ExchangeSettings

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True)
class PartitionRange:
    """A block of neighbouring pairs x a run of months: what one run can carry."""

    pairs: tuple[Pair, ...]
    first: Period
    last: Period

    @property
    def cells(self) -> list[tuple[Pair, Period]]:
        """Return every pair and month of it."""
        months = list(periods_between(self.first.start, self.last.end))
        return [(pair, month) for pair in self.pairs for month in months]

    @property
    def tags(self) -> dict[str, str]:
        """Return the run tags that ask for exactly this block."""
        return {
            RANGE_START_TAG: to_partition_key(self.pairs[0], self.first),
            RANGE_END_TAG: to_partition_key(self.pairs[-1], self.last),
        }


class UnknownPartitionError(WrongUseError, click.ClickException):
    """A partition was asked for that the config does not define.

    Dagster's command line, which is click's, prints it as one line instead of a traceback.
    """

    exit_code = 2


class MarketPartitions(dg.MultiPartitionsDefinition):
    """Pairs x months of one exchange, which says of an unknown key what is accepted."""

    def __init__(self, exchange: ExchangeSettings) -> None:
        """Define the partitions of an exchange as it is configured."""
        self._exchange = exchange
        months = dg.TimeWindowPartitionsDefinition(
            start=exchange.first_period.key, fmt="%Y-%m", cron_schedule="0 0 1 * *", end_offset=1
        )
        pairs = dg.StaticPartitionsDefinition(sorted(pair.key for pair in exchange.pairs))
        super().__init__({"pair": pairs, "period": months})

    def validate_partition_key(self, partition_key: str, context: PartitionLoadingContext) -> None:
        """Refuse a key that is not defined.

        Raises:
            UnknownPartitionError: the key is none of these; tells which are.
        """
        try:
            super().validate_partition_key(partition_key, context)
        except dg.DagsterUnknownPartitionError as error:
            raise UnknownPartitionError(self._refusal(partition_key)) from error

    def _refusal(self, key: str) -> str:
        name = self._exchange.name
        months = self.get_partitions_def_for_dimension("period").get_partition_keys()
        pairs = self.get_partitions_def_for_dimension("pair").get_partition_keys()
        return (
            f"{name} has no partition {key!r}. Accepted: PAIR|MONTH like {pairs[0]}|{months[-1]}. "
            f"Pairs: {', '.join(pairs)} (`exchanges.{name}.pairs` in the platform config). "
            f"Months: {months[0]} to {months[-1]} (`start` there)."
        )


def build_partitions(exchange: ExchangeSettings) -> MarketPartitions:
    """Return the partitions of every asset of an exchange: its pairs x the months since its start.

    The running month is included and grows.
    """
    return MarketPartitions(exchange)


def to_partition_key(pair: Pair, period: Period) -> str:
    """Return the key of a pair and a month: `BTC-USDT|2024-01`."""
    return MultiPartitionKey({"pair": pair.key, "period": period.key})


def from_partition_key(key: str) -> tuple[Pair, Period]:
    """Return the pair and the month of a key such as `BTC-USDT|2024-01`.

    Raises:
        WrongUseError: the key is not `PAIR|YYYY-MM`.
    """
    pair, bar, period = key.partition("|")
    if not bar:
        raise WrongUseError(f"partition {key!r} is not PAIR|MONTH; write it like BTC-USDT|2024-01.")
    return from_key(pair), to_period(period)


def partitions_of_run(
    keys: Iterable[str], layer: str, exchange: str, timeframe: Timeframe
) -> tuple[Partition, ...]:
    """Return what a step is to materialize, by pair and month.

    Raises:
        WrongUseError: there is no key at all; a range whose ends are in the wrong order is
            empty without a word otherwise.
    """
    parsed = sorted(from_partition_key(key) for key in keys)
    if not parsed:
        raise WrongUseError(
            f"{exchange}/{layer}_{timeframe}: the run carries no partition. Is the range in the "
            "order of the pairs (sorted) and months?"
        )
    return tuple(
        Partition(layer, Series(exchange, pair, timeframe), period) for pair, period in parsed
    )


def to_ranges(
    pairs: Iterable[Pair], first: Period, last: Period, defined: Sequence[Pair]
) -> tuple[PartitionRange, ...]:
    """Return the fewest ranges that hold exactly the wanted pairs from the first to the last month.

    Args:
        pairs: the wanted pairs.
        first: first month.
        last: last month, inclusive.
        defined: all pairs of the partitions definition; a range covers every pair between its ends.
    """
    wanted = {pair.key for pair in pairs}
    blocks: list[list[Pair]] = []
    open_block = False
    for pair in sorted(defined, key=lambda pair: pair.key):
        if pair.key in wanted:
            if not open_block:
                blocks.append([])
            blocks[-1].append(pair)
        open_block = pair.key in wanted
    return tuple(PartitionRange(tuple(block), first, last) for block in blocks)


def to_blocks(
    cells: Iterable[tuple[Pair, Period]], defined: Sequence[Pair]
) -> list[PartitionRange]:
    """Return the fewest ranges that hold exactly these pairs and months.

    Neighbouring pairs with the same run of neighbouring months share one.

    Args:
        cells: a pair and a month each, in any order.
        defined: all pairs of the partitions definition.
    """
    months: dict[Pair, list[Period]] = {}
    for pair, period in sorted(set(cells)):
        months.setdefault(pair, []).append(period)
    spans: dict[tuple[Period, Period], list[Pair]] = {}
    for pair, periods in months.items():
        for span in _runs(periods):
            spans.setdefault(span, []).append(pair)
    return [
        block
        for (first, last), pairs in sorted(spans.items())
        for block in to_ranges(pairs, first, last, defined)
    ]


def _runs(periods: Sequence[Period]) -> Iterator[tuple[Period, Period]]:
    first = periods[0]
    for period, after in zip(periods, [*periods[1:], None], strict=True):
        if after != period.next:
            yield first, period
            first = after or period
