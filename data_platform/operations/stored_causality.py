"""Prove on stored partitions that no feature has seen the future, a sample a day.

A partition is computed again from candles that end earlier, and from others after that moment; its
stored rows of before must come out. Which partition and which moments, the date and its name tell:
the same for everybody who asks that day, and others the day after.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series, from_key
from data_platform.domain.timeframes import Timeframe
from data_platform.features.causality import Leak, Table, find_leaks
from data_platform.features.moments import telling_moments
from data_platform.operations.computed_store import Lines, computed_lake, recipe_of
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Recipe, may_have_moved
from data_platform.storage.journal import JournalRow

MOMENTS = 2
"""At which history is cut in one proof; a month of 1m is computed twice for each."""


@dataclass(frozen=True, slots=True)
class StoredProof:
    """What was found out about one stored partition."""

    partition: Partition
    leaks: tuple[Leak, ...]
    rows: int
    """Stored rows that were compared."""


def sample(rows: Sequence[JournalRow], day: date) -> JournalRow | None:
    """Return the partition to prove on a day, of those that hold rows; None where none does."""
    held = [row for row in rows if row.rows and row.period]
    return min(held, key=lambda row: _digest(row.partition, day), default=None)


def prove_partition(
    lake: Lake, lines: Lines, partition: Partition, day: date
) -> StoredProof | None:
    """Return what is found out about a stored partition; None where it is to be computed anew.

    Args:
        lake: where it lies.
        lines: the recipes of every exchange whose series it reads.
        partition: of the features.
        day: seeds the choice of moments.

    Raises:
        StorageError: what it was computed from cannot be read.
    """
    recipe = recipe_of(lines, "features", partition.series, partition.feature_set)
    stored = lake.store.read(partition)
    if recipe is None or stored is None or not _is_current(lake, lines, partition, recipe):
        return None
    seed = int(_digest(partition, day)[:8], 16)
    series = dict.fromkeys(it for _, it in recipe.reads(partition))
    tables = {str(it): Table(_candles(lake, it, partition), it.timeframe) for it in series}
    by_name = {str(it): it for it in series}
    own = str(partition.series)
    if tables[own].frame.is_empty():
        return None

    def compute(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        given = {by_name[name]: frame for name, frame in frames.items()}
        fresh = computed_lake(lake, lines, partition.period.start, given).store
        asked = ("features", partition.series, partition.period.start, partition.period.end)
        return fresh.read_range(*asked, feature_set=partition.feature_set)

    moments = telling_moments(tables, own, 16, seed)
    chosen = sorted(moments, key=lambda it: hashlib.sha256(f"{seed}{it}".encode()).digest())
    leaks = find_leaks(compute, tables, own, chosen[:MOMENTS], whole=stored.frame, seed=seed)
    return StoredProof(partition, tuple(leaks), stored.frame.height)


def _candles(lake: Lake, series: Series, partition: Partition) -> pl.DataFrame:
    period = partition.period
    return lake.store.read_range("ohlcv", series, period.start, period.end)


def _is_current(lake: Lake, lines: Lines, partition: Partition, recipe: Recipe) -> bool:
    """Tell whether a partition and all that it is computed from are what they would be now."""
    book = JournalBook(lake)
    if may_have_moved(partition, recipe, book):
        return False
    for _, series in recipe.reads(partition):
        for layer in ("filled", "indicators"):
            below = Partition(layer, series, partition.period)
            its = recipe_of(lines, layer, series)
            if book.row(below) is not None and its and may_have_moved(below, its, book):
                return False
    return True


def _digest(partition: Partition, day: date) -> str:
    return hashlib.sha256(f"{day}|{partition}".encode()).hexdigest()


def features_of(
    lake: Lake, exchange: str, timeframe: Timeframe, pairs: frozenset[str]
) -> list[JournalRow]:
    """Return what is stored of the features of an exchange's configured pairs."""
    wanted = {from_key(pair) for pair in pairs}
    rows = lake.store.journal_rows("features", exchange, timeframe)
    return [row for row in rows if row.series.pair in wanted]
