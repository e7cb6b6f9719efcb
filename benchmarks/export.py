"""How fast our exports are written and read, against each program's own files.

1. A year of 1m candles of one market written by our converters in this environment, and by each
   program's own writer in its own; both files read by its own loader. Best of several runs, reads
   of the two files in turn.
2. One candle appended to 5 years of 1m: `export_layer` on a real lake, flushes included, and what a
   tick does besides: whether the files hold the stored candles, bar for bar. Other work on the
   machine shows in the seconds, not in the processor time.

Ratios count: both sides run on the same machine within minutes. `CONSUMERS_ENV` names the folder
of the programs' environments, as for `make test-consumers`.

    CONSUMERS_ENV=.cache/consumers python benchmarks/export.py
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import polars as pl
from stopwatch import seconds_of

from data_platform.converters import CONVERTERS, CONVERTERS_BY_NAME
from data_platform.converters.converter import Converter, ExportFile
from data_platform.domain.candles import merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.export import export_layer
from data_platform.operations.lake import Lake, open_lake
from data_platform.operations.prove_exports import prove_exports
from data_platform.operations.watch import nobody_watches
from data_platform.storage.journal import CommitNote

START = datetime(2021, 1, 1, tzinfo=UTC)
SERIES = Series("binance", Pair("ETH/USDT"), to_timeframe("1m"))
SIDES = Path(__file__).parent
READS = {
    "freqtrade": "freqtrade/binance",
    "nautilus": "nautilus",
    "vectorbt": "vectorbt/binance/1m/ETH_USDT",
}
"""What each program opens, below our exports."""
BAR_APPEND = 0.5
Spent = tuple[float, float]
"""Seconds, and seconds of processor."""


@dataclass(frozen=True)
class Bars:
    """What must hold of a program, as ratios to its own."""

    write: float | None
    """Times as fast, at least."""
    read: float
    """Of its own time, at most."""
    size: float | None
    """Of its own bytes, at most."""

    def __str__(self) -> str:
        asked = {"faster": self.write, "share": self.read, "size": self.size}
        return "bar: " + ", ".join(f"{name} {bar}" for name, bar in asked.items() if bar)


BARS = {
    "freqtrade": Bars(write=10, read=1.0, size=1.25),
    "nautilus": Bars(write=10, read=1.1, size=None),
    "vectorbt": Bars(write=None, read=1.0, size=None),
}


def main() -> None:
    """Measure and print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=525_600)
    parser.add_argument("--months", type=int, default=60, help="Of the lake that is appended to.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_load()
        measure_year(Path(folder), options.rows, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        measure_append(Path(folder), options.months, options.rounds)
        print_load()


def print_load() -> None:
    """Print how busy the machine is."""
    print("load of the machine:", *(f"{it:.1f}" for it in os.getloadavg()))


def candles_until(end: datetime) -> pl.DataFrame:
    """Return the series' candles from the start to a time."""
    return generate_candles(11, SERIES.market, SERIES.timeframe, START, end).candles


def by_month(candles: pl.DataFrame) -> list[tuple[Period, pl.DataFrame]]:
    """Return candles cut into their months."""
    months = candles.group_by(pl.col("open_time").dt.strftime("%Y-%m"), maintain_order=True)
    return [(month_of(rows["open_time"][0]), rows) for _, rows in months]


def month_of(at: datetime) -> Period:
    """Return the month of a time."""
    return next(periods_between(at, at + timedelta(minutes=1)))


def write_all(converter: Converter, candles: pl.DataFrame, root: Path) -> None:
    """Write a program's files, anew."""
    parts = by_month(candles) if converter.scope == "period" else [(None, candles)]
    for period, rows in parts:
        file = ExportFile(SERIES, period)
        path = root / converter.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        converter.write(rows, file, path)
        for place, write in converter.companions(file).items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            write(root / place)


def measure_year(folder: Path, rows: int, rounds: int) -> None:
    """Print our time, reading and size against each program's own."""
    candles = candles_until(START + timedelta(minutes=rows))
    stored = folder / "candles.parquet"
    candles.write_parquet(stored)
    print(f"{candles.height:,} candles of 1m, best of {rounds}")
    print(f"{'':<12}{'written s':>24}{'read s':>24}{'MB':>22}")
    ours_own = f"{'ours':>8}{'own':>8}"
    print(f"{'':<12}{ours_own}{'faster':>8}" + f"{ours_own}{'share':>8}" * 2)
    for name, bars in BARS.items():
        converter = CONVERTERS_BY_NAME[name]
        ours = folder / "exports"
        write = lambda converter=converter, ours=ours: write_all(converter, candles, ours)  # noqa: E731
        spent = min(seconds_of(write) for _ in range(rounds))
        own = folder / f"own-{name}"
        own.mkdir()
        found = ask(name, [stored, ours / READS[name], own], rounds)
        size = sum(it.stat().st_size for it in (ours / name).rglob("*") if it.is_file())
        print_row(
            name, (spent, found["write"]), (found["ours"], found["own"]), (size, found["bytes"])
        )
        print(f"{'':<12}{bars}")


def print_row(
    name: str, write: tuple[float, float], read: tuple[float, float], size: tuple[float, float]
) -> None:
    """Print one program's line: ours, its own, and the ratio."""
    cells = f"{write[0]:>8.3f}{write[1]:>8.3f}{write[1] / write[0]:>8.1f}"
    cells += f"{read[0]:>8.3f}{read[1]:>8.3f}{read[0] / read[1]:>8.2f}"
    cells += f"{size[0] / 1e6:>8.1f}{size[1] / 1e6:>8.1f}{size[0] / size[1]:>8.2f}"
    print(f"{name:<12}{cells}")


def ask(name: str, places: list[Path], rounds: int) -> dict[str, float]:
    """Run a program's side by its own interpreter."""
    python = Path(os.environ["CONSUMERS_ENV"], name, "bin/python")
    script = SIDES / f"export_{name}.py"
    command = [str(python), "-W", "ignore", str(script), *map(str, places), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_append(folder: Path, months: int, rounds: int) -> None:
    """Print what the three exports cost after one candle more."""
    candles = candles_until(START + timedelta(days=31 * months)).head(months * 43_829)
    lake = open_lake(folder, f"sqlite:///{folder / 'state.db'}")
    for period, rows in by_month(candles[:-rounds]):
        store(lake, period, rows)
    for converter in CONVERTERS:
        export(lake, converter, [it for it, _ in by_month(candles)])
    spent: dict[str, list[tuple[Spent, Spent]]] = {converter.name: [] for converter in CONVERTERS}
    for at in range(candles.height - rounds, candles.height):
        row = candles[at : at + 1]
        period = month_of(row["open_time"][0])
        store(lake, period, row)
        for converter in CONVERTERS:
            run = partial(export, lake, converter, [period])
            check = partial(prove, lake, converter, period)
            spent[converter.name].append((spent_by(run), spent_by(check)))
    lake.state.close()
    print(f"\none candle appended to {candles.height:,} candles in {months} months, {rounds} times")
    print(f"{'':<12}{'export, s (bar ' + str(BAR_APPEND) + ' for all)':>36}{'check, s':>36}")
    print(f"{'':<12}" + f"{'best':>12}{'median':>12}{'processor':>12}" * 2)
    for name, values in spent.items():
        print_spent(name, values)
    print_spent(
        "all",
        [tuple(map(sum_of, zip(*it, strict=True))) for it in zip(*spent.values(), strict=True)],
    )


def spent_by(run: Callable[[], object]) -> Spent:
    """Return what one call costs."""
    begun = time.process_time()
    return seconds_of(run), time.process_time() - begun


def sum_of(several: Iterable[Spent]) -> Spent:
    """Return what several calls cost together."""
    seconds, processor = zip(*several, strict=True)
    return sum(seconds), sum(processor)


def print_spent(name: str, values: Sequence[tuple[Spent, ...]]) -> None:
    """Print a line: what the export and its check cost."""
    cells = ""
    for part in zip(*values, strict=True):
        seconds, processor = zip(*part, strict=True)
        cells += f"{min(seconds):>12.3f}{median(seconds):>12.3f}{min(processor):>12.3f}"
    print(f"{name:<12}{cells}")


def store(lake: Lake, period: Period, rows: pl.DataFrame) -> None:
    """Put candles into a month."""
    lake.store.commit(
        Partition("ohlcv", SERIES, period),
        rows,
        merge=merge_candles,
        audit=lambda frame: (frame, frame.clear()),
        note=CommitNote(source="benchmark"),
    )


def export(lake: Lake, converter: Converter, months: list[Period]) -> None:
    """Bring a program's files of some months up to date."""
    wanted = [Partition(converter.name, SERIES, month) for month in months]
    report = export_layer(lake, wanted, converter, nobody_watches())
    assert not report.failures, report.failures


def prove(lake: Lake, converter: Converter, month: Period) -> None:
    """Hold a program's files against the lake, as a run that has carried a month does."""
    prove_exports(lake, converter, [SERIES], {f"{SERIES.pair.key}|{month}"})


if __name__ == "__main__":
    main()
