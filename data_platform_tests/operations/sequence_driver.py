"""Random operations on a lake, held after each against a dictionary that remembers everything.

Run as a program: `sequence_driver.py TEMPLATE FOLDER FIRST LAST`; runs one sequence for each seed
and prints the tally as JSON, or the first seed that failed. What a sequence does between two kills
is a fork of this process, which uses no polars itself: its threads would not survive a fork.
"""

import json
import os
import random
import shutil
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandera.polars  # noqa: F401  # takes 1.5 s, which each fork would pay
import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import TransientError
from data_platform.domain.markets import Pair
from data_platform.domain.periods import period_of
from data_platform.operations.backlog import Scope
from data_platform.operations.doctor import Cells, Doctor
from data_platform.operations.lake import Lake
from data_platform.storage.past import PastReader
from data_platform_tests.damage import DAMAGES, damage
from data_platform_tests.factories import GRACE, lake_at, partitions_of, series_of, stored, time
from data_platform_tests.forks import Tell, heard
from data_platform_tests.operations.scripted import ScriptedSource
from data_platform_tests.storage import faults
from data_platform_tests.storage.faults import Faults
from data_platform_tests.storage.test_past import moment

SERIES = series_of()
START = time("2024-01-25")
MONTHS = partitions_of(SERIES, "2024-01", "2024-02")
HOUR = timedelta(hours=1)
Prices = dict[str, float]
"""The close of each hour by its number from the start."""

KILLED = 9


@dataclass
class Model:
    """What a sequence knows, handed from one fork to the next."""

    clock: int = 30
    """Hours since the start."""
    truth: Prices = field(default_factory=dict)
    """What the exchange would answer."""
    known: Prices = field(default_factory=dict)
    """What is stored."""
    moments: list[tuple[float, Prices]] = field(default_factory=list)
    compare_from: int | None = None
    """Of the update that a kill has ended."""
    is_torn_off: bool = False
    done: dict[str, int] = field(default_factory=dict)


class Sequence:
    """One lake, its exchange, and what both should hold."""

    def __init__(self, root: Path, model: Model, dice: random.Random) -> None:
        self.root, self.model, self.dice = root, model, dice
        self.lake = lake_at(root)

    def run(self, tell: Tell, *, is_last: bool) -> None:
        """Do some operations, and as the last one an update that is killed, unless it is over."""
        if self.model.is_torn_off:
            self.resume()
        for _ in range(self.dice.randint(2, 4)):
            name = self.dice.choice(["fetch", "fetch", "fail", "correct", "repair", "past", "past"])
            getattr(self, name)()
            self.count(name)
            tell(json.dumps(asdict(self.model)))
        if not is_last:
            self.killed(tell)
        for number in range(len(self.model.moments)):
            self.check_past(number)
        tell(json.dumps(asdict(self.model)))

    def fetch(self) -> None:
        self.grow()
        self.update()

    def fail(self) -> None:
        """Fetch while some pages fail: nothing stored may go, nothing untrue may come."""
        self.grow()
        old = dict(self.model.known)
        source = self.source()
        for hour in self.dice.sample(range(self.model.clock), 2):
            source.fails_at[START + hour * HOUR] = TransientError("planted")
        source.update(self.lake, MONTHS, start=START)
        self.accept(old)
        self.remember()

    def correct(self) -> None:
        self.update(self.change())

    def repair(self) -> None:
        """Spoil a file, and let the doctor bring back what it held."""
        self.fetch()
        files = sorted((self.root / "ohlcv").rglob("*.parquet"))
        damage(self.dice.choice(files), self.dice.choice(DAMAGES))
        self.lake.state.close()
        scope = Scope(
            "binance", {SERIES.pair: START}, [SERIES.timeframe], GRACE, {SERIES.timeframe: []}, ()
        )
        doctor = Doctor(self.root, f"sqlite:///{self.root / 'state.db'}", [scope], lambda: self.now)
        treatment = doctor.treat(self.relaunch)
        assert treatment.remaining == [], treatment
        self.lake = lake_at(self.root)
        self.check()

    def relaunch(self, cells: Cells) -> list[str]:
        assert {pair for pair, _ in cells["binance"]} == {Pair("BTC/USDT")}
        with_doctor: Lake = lake_at(self.root)
        report = self.source().update(with_doctor, MONTHS, start=START)
        with_doctor.state.close()
        return list(report.failures.values())

    def past(self) -> None:
        if self.model.moments:
            self.check_past(self.dice.randrange(len(self.model.moments)))

    def killed(self, tell: Tell) -> None:
        """Update until the file operation at which this process dies, if there is one."""
        self.grow()
        self.model.compare_from = self.change() if self.dice.random() < 0.5 else None
        self.model.is_torn_off = True
        tell(json.dumps(asdict(self.model)))
        kind = self.dice.choice(["kill", "kill", "half"])
        faults.install(Faults(self.dice.randint(1, 20 if kind == "kill" else 2), kind))
        self.update(self.model.compare_from)
        faults.remove()
        self.model.is_torn_off = False
        self.count("kill that came too late")

    def resume(self) -> None:
        """Look at what a kill has left, and do again what it ended."""
        # No moment to remember: what the journal does not tell of is known once it is adopted.
        self.accept(self.model.known)
        self.update(self.model.compare_from)
        self.model.is_torn_off = False
        self.count("kill")

    def grow(self) -> None:
        model = self.model
        model.clock += self.dice.choice([0, 1, 5, 40])
        for hour in range(model.clock):
            model.truth.setdefault(str(hour), 100.0 + hour)

    def change(self) -> int:
        """Let the exchange change some candles; return the first of them."""
        self.grow()
        first = self.dice.randrange(self.model.clock)
        for hour in range(first, min(first + self.dice.randint(1, 3), self.model.clock)):
            self.model.truth[str(hour)] = 1000.0 + self.dice.randrange(10**6)
        return first

    def update(self, compare_from: int | None = None) -> None:
        since = None if compare_from is None else START + compare_from * HOUR
        report = self.source().update(self.lake, MONTHS, start=START, compare_from=since)
        assert not report.failures
        self.model.known = dict(self.model.truth)
        self.check()

    def accept(self, old: Prices) -> None:
        """Take over what is stored: each candle old or as the exchange has it, and none gone."""
        found = self.found()
        for hour, price in found.items():
            assert price in (old.get(hour), self.model.truth[hour]), hour
        assert not old.keys() - found.keys()
        self.model.known = found

    def check(self) -> None:
        found, known = self.found(), self.model.known
        assert found == known, {it for it in known if known[it] != found.get(it)}
        self.remember()

    def remember(self) -> None:
        self.model.moments.append((moment().timestamp(), dict(self.model.known)))

    def check_past(self, number: int) -> None:
        at, then = self.model.moments[number]
        reader = PastReader(self.lake.store, datetime.fromtimestamp(at, START.tzinfo))
        found = reader.read_range("ohlcv", SERIES, START, START + 2000 * HOUR)
        assert prices_of(found) == then, f"as of moment {number} of {len(self.model.moments)}"

    def found(self) -> Prices:
        frame = stored(self.lake, SERIES)
        assert frame["open_time"].is_sorted()
        assert frame["open_time"].is_unique().all()
        return prices_of(frame)

    @property
    def now(self) -> datetime:
        return START + self.model.clock * HOUR + 2 * GRACE

    def source(self) -> ScriptedSource:
        return ScriptedSource({SERIES: frame_of(self.model.truth)}, clock=self.now, page=24)

    def count(self, name: str) -> None:
        self.model.done[name] = self.model.done.get(name, 0) + 1


def frame_of(prices: Prices) -> pl.DataFrame:
    times = [START + int(hour) * HOUR for hour in prices]
    close = list(prices.values())
    columns: dict[str, Any] = {"open_time": times, "open": close, "high": close}
    columns |= {"low": close, "close": close, "volume": close}
    return pl.DataFrame(columns, schema=CANDLE_SCHEMA).sort("open_time")


def prices_of(frame: pl.DataFrame) -> Prices:
    assert frame["close"].equals(frame["volume"].alias("close"))
    rows = frame.select("open_time", "close").rows()
    return {str((at - START) // HOUR): price for at, price in rows}


def live(root: Path, model: Model, dice: random.Random, is_last: bool, tell: Tell) -> None:
    Sequence(root, model, dice).run(tell, is_last=is_last)


def run_sequence(root: Path, seed: int) -> dict[str, int]:
    """Run one sequence, in as many lives as it takes; return how often it did what."""
    dice, model = random.Random(seed), Model()
    lives = dice.randint(1, 3)
    for life in range(lives):
        is_last = life == lives - 1
        lines, code = heard(partial(live, root, model, random.Random(dice.random()), is_last))
        assert code in (0, KILLED), f"seed {seed}, life {life}: exit code {code}"
        model = Model(**json.loads(lines[-1]))
    return model.done


def main(template: Path, folder: Path, seeds: range) -> None:
    tally: Counter[str] = Counter(sequences=0)
    for seed in seeds:
        root = folder / str(seed)
        root.mkdir(parents=True)
        shutil.copy(template, root / "state.db")
        tally.update(run_sequence(root, seed))
        tally["sequences"] += 1
        shutil.rmtree(root)
    # Flushed, since the process ends without the interpreter's own end.
    print(json.dumps(tally), flush=True)  # noqa: T201  # the answer to the test that runs it


if __name__ == "__main__":
    assert period_of(START) == MONTHS[0].period
    main(Path(sys.argv[1]), Path(sys.argv[2]), range(int(sys.argv[3]), int(sys.argv[4])))
    os._exit(0)
