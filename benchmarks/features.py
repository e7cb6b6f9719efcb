"""What features cost: through the platform against bare polars, by history, and by tick.

1. The derived layers of some pairs over months of 1m and of what is joined to it, made of the same
   stored candles by three programs, each in a process of its own on a lake of its own:

   bare      a script without the platform: reads the stored candle files, makes the same columns
             by the same formulas over whole histories, and writes a Parquet file a month and layer
             with the platform's settings (zstd, level 1). It hashes, checks and journals nothing.
   platform  `derive_layer`, layer by layer.
   dagster   one run of the derived assets over all partitions, as a backfill starts it, on an
             instance of its own; the step of the checks is told apart: the bar is for the assets.
   empty     a Dagster run of as many assets and partitions that does nothing: what Dagster's own
             events cost, whoever writes the assets.

2. The cost of a candle from 1 month to many: constant, or history costs.
3. A tick that adds one candle to every pair and timeframe, in seconds and by processor time;
   Dagster stands aside.

The lakes lie in temporary folders. Other work on the machine shows in the seconds, less in the
processor time.

    python benchmarks/features.py [--pairs 10] [--months 12] [--longest 60] [--only tick]
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from data_platform.domain.candles import merge_candles, places_between
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
TICKS = 3
SIDES = ("bare", "platform", "dagster", "empty")
SETTINGS = load_settings({}, config=PROJECT_ROOT / "configs/platform.yaml")
ONE = SETTINGS.feature_sets[0]
MINUTE = to_timeframe("1m")
JOINED = (MINUTE, *ONE.joins[MINUTE])


@dataclass(frozen=True)
class Cost:
    """What some work took."""

    seconds: float
    processor: float


@dataclass(frozen=True)
class Side:
    """What one program took."""

    seconds: float
    processor: float
    peak: float
    """GiB of resident memory."""
    checks: float = 0.0
    """Seconds in the step of the checks, which are no part of `seconds`."""


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


def joined(pairs: Sequence[str], timeframes: Iterable[Timeframe]) -> list[Series]:
    """Return the series of some pairs and timeframes."""
    return [Series("binance", Pair(f"{name}/USDT"), each) for each in timeframes for name in pairs]


def months_of(count: int) -> list[Period]:
    """Return so many months from the start."""
    return list(periods_between(START, START + timedelta(days=31 * count)))[:count]


def opened(folder: Path) -> Lake:
    """Open the lake below a folder, as a process with that environment would."""
    return open_lake(folder / "data", f"sqlite:///{folder / 'data' / 'state.db'}")


def run_bare(folder: Path, pairs: Sequence[str], months: Sequence[Period]) -> Side:
    """Make the derived layers of stored candles without the platform."""
    series = joined(pairs, JOINED)
    return to_side(measured(partial(write_whole_histories, folder, series, months)))


def write_whole_histories(folder: Path, series: Sequence[Series], months: Sequence[Period]) -> None:
    """Read candle files, compute whole histories, write a file a month and layer."""
    kept: dict[Series, pl.DataFrame] = {}
    for each in reversed(series):
        where = f"timeframe={each.timeframe}/pair={each.pair.key}"
        files = sorted((folder / "data/ohlcv/exchange=binance" / where).rglob("*.parquet"))
        candles = pl.read_parquet(files, hive_partitioning=False)
        grid = fill_candles(candles, None, [], each.timeframe, START, months[-1].end)
        frame = add_indicators(grid, SETTINGS.indicators)
        if each.timeframe != MINUTE:
            kept[each] = frame
        joins = ONE.joins.get(each.timeframe, {})
        coarse = {it: kept[each.at(it)] for it in joins if each.at(it) in kept}
        features = build_features(ONE, frame, Beside(coarse), each.timeframe)
        layers = {"filled": grid, "indicators": frame, "features": features}
        for layer, whole in layers.items():
            for month in months:
                first, last = places_between(whole["open_time"], month.start, month.end)
                path = folder / "bare" / layer / where / f"period={month}" / "rows.parquet"
                path.parent.mkdir(parents=True)
                rows = whole.slice(first, last - first)
                rows.write_parquet(path, compression="zstd", compression_level=1)


def run_platform(folder: Path, pairs: Sequence[str], months: Sequence[Period]) -> Side:
    """Derive the layers by what the assets call."""
    lake = opened(folder)
    side = to_side(measured(partial(derive, lake, joined(pairs, JOINED), months)))
    lake.state.close()
    return side


def run_dagster(folder: Path, pairs: Sequence[str], months: Sequence[Period]) -> Side:
    """Materialize the assets of the derived layers as one run, on an instance of its own."""
    import dagster as dg

    from data_platform.definitions import build_definitions
    from data_platform.partitions import to_ranges
    from data_platform.runs import BACKFILL_TAG, Selection

    config = folder / "bench.yaml"
    names = ", ".join(f"{name}/USDT" for name in NAMES)
    config.write_text(
        f"exchanges:\n  binance:\n    start: {START:%Y-%m-%d}\n    pairs: [{names}]\n"
        f"    timeframes: [{', '.join(map(str, JOINED))}]\n"
    )
    settings = load_settings({"DATA_PLATFORM_DATA": str(folder / "data")}, config=config)
    chosen = tuple(Pair(f"{name}/USDT") for name in pairs)
    layers = ("filled", "indicators", "features")
    selection = Selection("binance", chosen, JOINED, layers, months[0], months[-1])
    definitions = build_definitions(settings)
    (block,) = to_ranges(chosen, months[0], months[-1], settings.exchanges["binance"].pairs)
    alone = dg.AssetSelection.assets(*selection.keys).without_checks()
    jobs = dg.Definitions(jobs=[dg.define_asset_job("assets_alone", alone)])
    repository = dg.Definitions.merge(definitions, jobs).get_repository_def()
    whole = repository.get_implicit_job_def_for_assets(selection.keys)
    assert whole is not None
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        call: dict[str, Any] = {
            "instance": instance,
            "tags": {**block.tags, BACKFILL_TAG: "binance"},
            "run_config": {"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        }
        cost = measured(partial(repository.get_job("assets_alone").execute_in_process, **call))
        # Once more, with checks: nothing is left to compute, so that their step is what counts.
        done = whole.execute_in_process(asset_selection=selection.keys, **call)
        steps = instance.get_run_step_stats(done.run_id)
    (checks,) = [it for it in steps if it.step_key.endswith("_checks")]
    return to_side(cost, (checks.end_time or 0) - (checks.start_time or 0))


def run_empty(folder: Path, pairs: Sequence[str], months: Sequence[Period]) -> Side:
    """Materialize as many assets and partitions as `run_dagster`, with nothing in them."""
    import dagster as dg

    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    keys = [f"{name}|{month}" for name in pairs for month in months]
    partitions = dg.StaticPartitionsDefinition(keys)

    def named(name: str) -> dg.AssetsDefinition:
        @dg.asset(
            name=name, partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run()
        )
        def nothing() -> None: ...

        return nothing

    assets = [named(f"{layer}_{each}") for layer in ("a", "b", "c") for each in JOINED]
    job = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("all", dg.AssetSelection.all())])
    tags = {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        run = partial(
            job.resolve_job_def("all").execute_in_process,
            instance=instance,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )
        return to_side(measured(run))


def to_side(cost: Cost, checks: float = 0.0) -> Side:
    """Return what this process took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Side(cost.seconds, cost.processor, peak, checks)


def run_side(name: str, folder: Path, pairs: Sequence[str], months: Sequence[Period]) -> None:
    """Run one program on a lake and print what it took, for the process that asked."""
    run = {
        "bare": run_bare,
        "platform": run_platform,
        "dagster": run_dagster,
        "empty": run_empty,
    }[name]
    print(json.dumps(asdict(run(folder, pairs, months))))


def measure_backfill(folder: Path, asked: argparse.Namespace) -> None:
    """Print what a whole history costs against bare polars."""
    months = months_of(asked.months)
    lake = opened(folder / "candles")
    for each in joined(NAMES[: asked.pairs], JOINED):
        store(lake, each, candles_of(each, months[-1].end))
    lake.state.close()
    found = {}
    for name in SIDES:
        shutil.copytree(folder / "candles", folder / name)
        command = [sys.executable, __file__, "--side", name, "--lake", str(folder / name)]
        command += ["--pairs", str(asked.pairs), "--months", str(asked.months)]
        environ = {**os.environ, "DAGSTER_HOME": ""}
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = Side(**json.loads(done.stdout.splitlines()[-1]))
        shutil.rmtree(folder / name)
    print(
        f"{asked.pairs} pairs x {len(months)} months of 1m and of {len(JOINED) - 1} joined to it:"
    )
    bare = found["bare"]
    for name, side in found.items():
        wall, processor = bare.seconds / side.seconds, bare.processor / side.processor
        print(
            f"  {name:<9}{side.seconds:6.1f} s ({side.processor:6.1f} s of processor): bare polars "
            f"takes {wall:.0%} of it ({processor:.0%}; bar {BAR_SHARE:.0%}), "
            f"peak {side.peak:.2f} GiB (bar {BAR_MEMORY})"
            + (f"; its checks {side.checks:.1f} s more" if side.checks else "")
        )


def measure_history(folder: Path, asked: argparse.Namespace) -> None:
    """Print what a candle costs at the beginning and at the end of a long history."""
    lake = opened(folder)
    series = joined(NAMES[:1], JOINED)
    months = months_of(asked.longest)
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


def measure_tick(folder: Path, asked: argparse.Namespace) -> None:
    """Print what one candle more of everything costs."""
    lake = opened(folder)
    until = datetime(2021, 2, 27, tzinfo=UTC)
    series = joined(NAMES[: asked.pairs], TIMEFRAMES)
    later = {each: candles_of(each, until + timedelta(days=TICKS)) for each in series}
    for each, candles in later.items():
        store(lake, each, candles.filter(pl.col("open_time") < until))
    months = list(periods_between(START, until))
    derive(lake, series, months)
    costs = []
    for number in range(TICKS):
        for each, candles in later.items():
            store(lake, each, candles.filter(pl.col("open_time") >= until).slice(number, 1))
        costs.append(measured(partial(derive, lake, series, months[-1:])))
    print(
        f"one candle more of {asked.pairs} pairs x {len(TIMEFRAMES)} timeframes, three layers: "
        f"{statistics.median(it.seconds for it in costs):.1f} s "
        f"({statistics.median(it.processor for it in costs):.1f} s of processor; bar {BAR_TICK} s; "
        f"median of {', '.join(f'{it.seconds:.1f}' for it in costs)})"
    )
    lake.state.close()


PARTS = {"tick": measure_tick, "history": measure_history, "backfill": measure_backfill}


def main() -> None:
    """Measure all three, or what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--longest", type=int, default=60)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        run_side(asked.side, asked.lake, NAMES[: asked.pairs], months_of(asked.months))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only or PARTS:
            part = Path(folder) / name
            part.mkdir()
            PARTS[name](part, asked)


if __name__ == "__main__":
    main()
