"""Candles of a timeframe that an exchange lacks, computed from its finer ones.

A derived candle exists once every finer grid time inside it is stored or confirmed empty; until
then its time is a gap with the finer one's reason.
"""

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from data_platform.domain.candles import TimeRange, missing_ranges, subtract_ranges
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe
from data_platform.features.resample import resample_candles
from data_platform.operations.derive import derive_layer
from data_platform.operations.journal_book import LEDGER, ledger_input, to_input
from data_platform.operations.judge import judge_candles, read_history
from data_platform.operations.lake import Lake
from data_platform.operations.plan import UpdateRules
from data_platform.operations.recipe import Ingredients, Recipe, gathered
from data_platform.operations.recipes import layer_version
from data_platform.operations.report import LayerReport
from data_platform.operations.watch import Watch
from data_platform.quality.rule import RuleInput
from data_platform.storage.change import Judgement
from data_platform.storage.ledger import Gap, Status

EMPTY: tuple[Status, ...] = ("no_trades", "outage", "before_listing", "after_delisting")
"""Statuses by which a finer time is confirmed to hold no candle."""


def derive_candles(
    lake: Lake,
    partitions: Sequence[Partition],
    finer: Timeframe,
    rules: UpdateRules,
    watch: Watch,
) -> LayerReport:
    """Bring candles that are derived from finer ones up to date.

    Args:
        lake: where candles lie.
        partitions: of one exchange and timeframe, layer `ohlcv`.
        finer: the timeframe they are computed from.
        rules: starts and thresholds.
        watch: hears of progress, may ask to stop after the current commit.

    Returns:
        One report per partition; what fails is named in `failures`.

    Raises:
        StoppedError: the watch asked for it; all commits so far stand.
    """
    return derive_layer(lake, partitions, [coarser_recipe(finer, rules)], watch)


def coarser_recipe(finer: Timeframe, rules: UpdateRules) -> Recipe:
    """Return how candles of a timeframe are made from finer ones.

    Args:
        finer: the timeframe they are computed from.
        rules: starts and thresholds.
    """
    return Recipe(
        layer="ohlcv",
        code_version=f"{layer_version('ohlcv')}-{finer}",
        reads=lambda partition: (("ohlcv", partition.series.at(finer)),),
        gather=lambda lake, wanted: gathered(
            {it: _gather(lake, it, finer, rules) for it in wanted},
            lambda found: [compute() for compute in found],
        ),
        ledger=LEDGER,
    )


def _gather(
    lake: Lake, partition: Partition, finer: Timeframe, rules: UpdateRules
) -> tuple[Ingredients, Callable[[], pl.DataFrame]]:
    coarse, series = partition.series, partition.series.at(finer)
    known = _known(lake, partition, finer, rules)
    month = TimeRange(partition.period.start, partition.period.end)
    candles = lake.store.read_range("ohlcv", series, known.start, known.end)
    gaps = lake.ledger.gaps(series, known.start, known.end)
    unknown = _unknown(candles["open_time"], gaps, known, finer)

    def judge(made: pl.DataFrame) -> Judgement:
        end = coarse.timeframe.floor(known.end)
        holes = missing_ranges(made["open_time"], coarse.timeframe, known.start, end)
        given = RuleInput(made, read_history(lake, partition), coarse.timeframe, end)
        return Judgement(
            gaps=tuple(_gaps(coarse, holes, gaps, unknown)),
            verdicts=judge_candles(given, coarse, rules.limits),
        )

    ingredients = Ingredients(
        (to_input("ohlcv", series, candles), ledger_input(lake, series, month)),
        judge,
        since={("ohlcv", series): month.start},
    )
    return ingredients, lambda: resample_candles(candles, coarse.timeframe, unknown, known.end)


def _known(lake: Lake, partition: Partition, finer: Timeframe, rules: UpdateRules) -> TimeRange:
    """Return the range of one month in which every finer time is stored or has its reason."""
    series, period = partition.series.at(finer), partition.period
    start = max(period.start, partition.series.timeframe.ceil(rules.starts[series.pair]))
    newest = lake.store.newest(series.exchange).get((series.pair.key, finer.name))
    gaps = lake.ledger.gaps(series, period.start, period.end)
    ends = [gap.end for gap in gaps if gap.status in EMPTY]
    if newest is not None:
        ends.append(newest + finer.duration)
    end = min(period.end, max(ends, default=start))
    return TimeRange(min(start, period.end), max(start, end))


def _unknown(
    times: pl.Series, gaps: Sequence[Gap], known: TimeRange, finer: Timeframe
) -> list[TimeRange]:
    holes = missing_ranges(times, finer, known.start, known.end)
    return subtract_ranges(
        holes, [TimeRange(gap.start, gap.end) for gap in gaps if gap.status in EMPTY]
    )


def _gaps(
    coarse: Series, holes: Sequence[TimeRange], gaps: Sequence[Gap], unknown: Sequence[TimeRange]
) -> Iterator[Gap]:
    step = coarse.timeframe.duration
    for hole in holes:
        within = [gap for gap in gaps if _touch(hole, gap)]
        for number in range(coarse.timeframe.count(hole.start, hole.end)):
            window = TimeRange(hole.start + number * step, hole.start + (number + 1) * step)
            inside = {gap.status for gap in within if _touch(window, gap)}
            settled = not any(_touch(window, part) for part in unknown)
            status = _status(inside, settled=settled)
            ends = [it.next_try for it in within if it.status == status and it.next_try]
            yield Gap(
                series=coarse,
                start=window.start,
                end=window.end,
                missing=1,
                status=status,
                confirmed=status != "open",
                evidence=f"its finer candles: {', '.join(sorted(inside)) or 'not fetched'}",
                # Whether it has come back is seen when the finer ones are asked for.
                next_try=max(ends, default=None) if status == "after_delisting" else None,
            )


def _status(inside: set[Status], *, settled: bool) -> Status:
    if not settled:
        return "unavailable" if inside <= {"unavailable", *EMPTY} and inside else "open"
    ranked: tuple[Status, ...] = ("outage", "no_trades", "after_delisting", "before_listing")
    return next((status for status in ranked if status in inside), "open")


def _touch(one: TimeRange, other: TimeRange | Gap) -> bool:
    return one.start < other.end and other.start < one.end
