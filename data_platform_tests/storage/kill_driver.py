"""Kill a writer in mid-loop again and again, and hold what it left against what it had told.

Run as a program: `kill_driver.py FOLDER KILLS SEED`; prints the tally as JSON. Each writer and each
look is a fork of this process, which uses no polars itself: its threads would not survive a fork.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from data_platform.domain.errors import DamagedFileError
from data_platform.domain.periods import Period
from data_platform_tests.forks import Tell, forked, heard
from data_platform_tests.storage.lake import JANUARY, candles, commit, open_store, partition

MONTHS = (JANUARY, Period(2024, 2))
Known = list[dict[str, float]]
"""The close of each hour, one dictionary a month."""
Order = tuple[int, list[int], float]
"""A month, hours, and the price that their candles are committed with."""


def write_until_killed(root: Path, known: Known, seed: int, tell: Tell) -> None:
    """Extend, correct and fill in, telling of each commit before and after it."""
    store, dice = open_store(root), random.Random(seed)
    for step in range(100_000):
        month = dice.randrange(len(MONTHS))
        newest = max((int(hour) for hour in known[month]), default=-1)
        first = dice.choice([newest + 1, newest + 2, dice.randint(0, newest + 1)])
        hours = [hour for hour in range(first, first + dice.randint(1, 4)) if hour < 28 * 24]
        price = dice.choice([100.0, 1000.0 * (1 + seed) + step])
        tell(json.dumps((month, hours, price)))
        rows = candles(hours, price=price, period=MONTHS[month])
        commit(store, rows, partition(period=MONTHS[month]))
        add(known, (month, hours, price))
        tell("done")


def add(known: Known, order: Order) -> None:
    month, hours, price = order
    known[month].update({str(hour): price + hour for hour in hours})


def look(root: Path) -> dict[str, object]:
    """Return what is stored, and what is wrong with it by itself."""
    store = open_store(root)
    found: Known = []
    wrong: Counter[str] = Counter()
    for month in MONTHS:
        try:
            read = store.read(partition(period=month))
        except DamagedFileError:
            wrong["torn"] += 1
            found.append({})
            continue
        times = read.frame["open_time"].to_list() if read else []
        closes = read.frame["close"].to_list() if read else []
        wrong["duplicates"] += len(times) - len(set(times))
        wrong["unsorted"] += times != sorted(times)
        hours = [str(int((at - month.start).total_seconds()) // 3600) for at in times]
        found.append(dict(zip(hours, closes, strict=True)))
    return {"found": found, "wrong": dict(wrong)}


def kill_one(root: Path, known: Known, seed: int, dice: random.Random) -> list[str]:
    """Let a writer begin some commits, kill it within the last, and return what it had told."""
    child, reading = forked(lambda tell: write_until_killed(root, known, seed, tell))
    with os.fdopen(reading) as pipe:
        told = [pipe.readline() for _ in range(2 * dice.randint(0, 6) + 1)]
        time.sleep(dice.uniform(0, 0.008))
        os.kill(child, signal.SIGKILL)
        told += pipe.readlines()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return [line.strip() for line in told]


def look_in_a_fork(root: Path) -> tuple[Known, dict[str, int]]:
    lines, code = heard(lambda tell: tell(json.dumps(look(root))))
    assert code == 0
    seen = json.loads(lines[0])
    return seen["found"], seen["wrong"]


def lost_of(told: Known, found: Known) -> int:
    return sum(
        was[hour] != now.get(hour) for was, now in zip(told, found, strict=True) for hour in was
    )


def main(root: Path, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    known: Known = [{} for _ in MONTHS]
    tally: Counter[str] = Counter(torn=0, lost=0, duplicates=0, unsorted=0, foreign=0)
    for kill in range(kills):
        lines = kill_one(root, known, seed + kill, dice)
        for begun in lines[: len(lines) // 2 * 2 : 2]:
            add(known, json.loads(begun))
        tally["commits"] += len(lines) // 2
        maybe: Known = json.loads(json.dumps(known))
        if len(lines) % 2:
            tally["killed in a commit"] += 1
            add(maybe, json.loads(lines[-1]))
        found, wrong = look_in_a_fork(root)
        tally.update(wrong)
        is_new = found == maybe != known
        tally["of them stored"] += is_new
        tally["lost"] += 0 if is_new else lost_of(known, found)
        # Neither the old nor the new: part of a commit, or something that nobody has written.
        tally["foreign"] += found not in (known, maybe)
        known = found
    tally["kills"], tally["candles"] = kills, sum(map(len, known))
    print(json.dumps(tally))  # noqa: T201  # the answer to the test that runs it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
