"""What features cost: through the platform against bare polars, by history, and by tick.

1. Filled, indicators and features of some pairs over months of 1m (and their joins), through
   `derive_layer`, against the same columns by the same formulas over whole frames in memory.
2. The cost per candle from 1 month to many: constant, or history costs.
3. One tick that adds one candle to every pair and timeframe, in seconds and by processor time.

The lake lies in a temporary folder. Dagster stands aside: what it adds, `benchmarks/backfill.py`
measures. Other work on the machine shows in the seconds, not in the processor time.

    python benchmarks/features.py [--pairs 10] [--months 12] [--longest 60]
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from data_platform.domain.candles import merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Market, Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.features.feature_set import Beside, build_features
from data_platform.features.fill import fill_candles
from data_platform.indicators.columns import add_indicators
from data_platform.operations.derive import derive_layer
from data_platform.operations.lake import Lake, open_lake
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.operations.watch import nobody_watches
from data_platform.settings import PROJECT_ROOT, load_settings
from data_platform.storage.journal import CommitNote

START = datetime(2021, 1, 1, tzinfo=UTC)
NAMES = ("ADA", "BNB", "BTC", "DOGE", "DOT", "ETH", "LTC", "SOL", "TRX", "XRP")
BAR_SHARE, BAR_TICK, BAR_MEMORY = 0.7, 3.0, 1.5
SETTINGS = load_settings({}, config=PROJECT_ROOT / "configs/platform.yaml")
ONE = SETTINGS.feature_sets[0]
MINUTE = to_timeframe("1m")


@dataclass(frozen=True)
class Cost:
    """What some work took."""

    seconds: float
    processor: float


def measured(work: Callable[[], object]) -> Cost:
    """Return what some work takes."""
    began, spent = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - began, time.process_time() - spent)


def candles_of(series: Series, end: datetime) -> pl.DataFrame:
    """Return a series' candles from the start to a time."""
    market = Market(series.exchange, series.pair)
    return generate_candles(3, market, series.timeframe, START, end).candles


def store(lake: Lake, series: Series, candles: pl.DataFrame) -> None:
    """Put candles into their months."""
    months = candles.group_by(pl.col("open_time").dt.strftime("%Y-%m"), maintain_order=True)
    for (_,), rows in months:
        first = rows["open_time"][0]
        lake.store.commit(
            Partition("ohlcv", series, next(periods_between(first, first + timedelta(1)))),
            rows,
            merge=merge_candles,
            audit=lambda frame: (frame, frame.clear()),
            note=CommitNote(source="benchmark"),
        )


def recipes_of(timeframe: Timeframe) -> list[Recipe]:
    """Return how the three layers of a timeframe are made."""
    return [
        filled_recipe(),
        indicators_recipe(SETTINGS.indicators),
        features_recipe(ONE, timeframe, SETTINGS.indicators),
    ]


def derive(lake: Lake, series: Sequence[Series], months: Sequence[Period]) -> None:
    """Bring the three layers of some series up to date, layer by layer as a run does."""
    for layer in range(3):
        for timeframe in reversed(TIMEFRAMES):
            recipe = recipes_of(timeframe)[layer]
            wanted = [
                Partition(recipe.layer, each, month)
                for each in series
                if each.timeframe == timeframe
                for month in months
            ]
            if wanted:
                report = derive_layer(lake, wanted, [recipe], nobody_watches())
                assert not report.failures, report.failures


def bare(series: Iterable[Series], end: datetime) -> None:
    """Make the same columns of whole histories in memory, and write each to one file."""
    with tempfile.TemporaryDirectory() as folder:
        frames: dict[Series, pl.DataFrame] = {}
        for each in series:
            grid = fill_candles(candles_of(each, end), None, [], each.timeframe, START, end)
            frames[each] = add_indicators(grid, SETTINGS.indicators)
            grid.write_parquet(f"{folder}/grid", compression="zstd")
            frames[each].write_parquet(f"{folder}/indicators", compression="zstd")
        for each, frame in frames.items():
            joins = ONE.joins.get(each.timeframe, {})
            coarse = {it: frames[each.at(it)] for it in joins if each.at(it) in frames}
            made = build_features(ONE, frame, Beside(coarse), each.timeframe)
            made.write_parquet(f"{folder}/features", compression="zstd")


def joined(pairs: Sequence[str], timeframes: Iterable[Timeframe]) -> list[Series]:
    """Return the series of some pairs and timeframes."""
    return [Series("binance", Pair(f"{name}/USDT"), each) for each in timeframes for name in pairs]


def measure_backfill(folder: Path, pairs: Sequence[str], months: int) -> None:
    """Print what a whole history costs against bare polars."""
    ends = START + timedelta(days=31 * months)
    end = ends.replace(day=1)
    wanted = list(periods_between(START, end))
    series = joined(pairs, (MINUTE, *ONE.joins[MINUTE]))
    lake = open_lake(folder, f"sqlite:///{folder / 'state.db'}")
    for each in series:
        store(lake, each, candles_of(each, end))
    through = measured(lambda: derive(lake, series, wanted))
    made = measured(lambda: [candles_of(each, end) for each in series])
    alone = measured(lambda: bare(series, end))
    lake.state.close()
    share = (alone.processor - made.processor) / through.processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(pairs)} pairs x {len(wanted)} months of 1m: {through.seconds:.1f} s "
        f"({through.processor:.1f} s of processor), bare polars "
        f"{alone.seconds - made.seconds:.1f} s ({alone.processor - made.processor:.1f} s): "
        f"{share:.0%} of its time goes into the columns (bar {BAR_SHARE:.0%}), peak {peak:.2f} GiB "
        f"(bar {BAR_MEMORY} GiB)"
    )


def measure_history(folder: Path, longest: int) -> None:
    """Print what a candle costs at the beginning and at the end of a long history."""
    lake = open_lake(folder, f"sqlite:///{folder / 'state.db'}")
    series = joined(NAMES[:1], (MINUTE, *ONE.joins[MINUTE]))
    months = list(periods_between(START, START + timedelta(days=30.4 * longest)))
    for each in series:
        store(lake, each, candles_of(each, months[-1].end))
    spent = []
    for number, month in enumerate(months, 1):
        cost = measured(partial(derive, lake, series, [month]))
        spent.append((number, cost.processor / ((month.end - month.start) / MINUTE.duration)))
    for first, last in ((1, 3), (len(months) - 2, len(months))):
        part = [each for number, each in spent if first <= number <= last]
        print(
            f"months {first} to {last}: {1e6 * sum(part) / len(part):.2f} us of processor a candle"
        )
    lake.state.close()


def measure_tick(folder: Path, pairs: Sequence[str]) -> None:
    """Print what one candle more of everything costs."""
    lake = open_lake(folder, f"sqlite:///{folder / 'state.db'}")
    until = datetime(2021, 2, 27, tzinfo=UTC)
    series = joined(pairs, TIMEFRAMES)
    later = {each: candles_of(each, until + timedelta(days=2)) for each in series}
    for each, candles in later.items():
        store(lake, each, candles.filter(pl.col("open_time") < until))
    months = list(periods_between(START, until))
    derive(lake, series, months)
    for each, candles in later.items():
        store(lake, each, candles.filter(pl.col("open_time") >= until).head(1))
    cost = measured(lambda: derive(lake, series, months[-1:]))
    print(
        f"one candle more of {len(pairs)} pairs x {len(TIMEFRAMES)} timeframes, three layers: "
        f"{cost.seconds:.1f} s ({cost.processor:.1f} s of processor; bar {BAR_TICK} s)"
    )
    lake.state.close()


def main() -> None:
    """Measure all three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--longest", type=int, default=60)
    asked = parser.parse_args()
    pairs = NAMES[: asked.pairs]
    with tempfile.TemporaryDirectory() as folder:
        parts = [Path(folder) / name for name in ("tick", "history", "backfill")]
        for part in parts:
            part.mkdir()
        measure_tick(parts[0], pairs)
        measure_history(parts[1], asked.longest)
        measure_backfill(parts[2], pairs, asked.months)


if __name__ == "__main__":
    main()
