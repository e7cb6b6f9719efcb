"""How soon a new candle is stored while a backfill of the same exchange uses its limit to the full.

Everything is real but the exchange: the simulator in a process of its own enforces okx's documented
limit on the real clock; Dagster's daemon evaluates the sensors every 10 seconds and starts a
process for each run; the backfill is a run of all candles over a year of ten pairs, with the tag
that such runs carry, through the daemon's queue. `refresh.candles` is 1m. Lateness of a candle =
its commit in the journal - (its close + grace), of the last of the ten pairs.

Beside it, in the same daemon, the named alternative: the same ticks before the backfill begins.
Where a candle is late, the columns tell where its time went: until the sensor asked for a run,
until the run's process worked, until the candle was stored.

    python benchmarks/tick_amid_backfill.py --candles 5
"""

import argparse
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MODULE = ("-m", "data_platform.definitions")
PAIRS = ("ADA", "AVAX", "BTC", "DOGE", "DOT", "ETH", "LINK", "LTC", "SOL", "XRP")
GRACE = timedelta(seconds=5)
MINUTE = timedelta(minutes=1)
BAR_SECONDS = 30
LATENCY_MS = 50
BUSY_REQUESTS = 100
"""Requests after which a backfill is well on its way."""
PATIENCE_SECONDS = 240

CONFIG = """\
exchanges:
  okx:
    start: {start}
    pairs: [{pairs}]
    {rate}
refresh: {{candles: 1m, derived: 1h, exports: 1d}}
automation: running
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one line lives."""

    folder: Path
    now: datetime
    """When it was made: its running month is stored already."""

    @property
    def month(self) -> str:
        """Return the running month."""
        return f"{self.now:%Y-%m}"

    def config(self, *, rate: str = "") -> Path:
        """Write a config of ten pairs since a year ago; return its path."""
        path = self.folder / f"platform{len(rate)}.yaml"
        pairs = ", ".join(f"{base}/USDT" for base in PAIRS)
        start = f"{self.now.year - 1}-{self.now:%m}-01"
        path.write_text(CONFIG.format(start=start, pairs=pairs, rate=rate))
        return path

    def environ(self, config: Path, url: str = "") -> dict[str, str]:
        """Return the environment of every process of the line."""
        mine = {name: it for name, it in os.environ.items() if "DATA_PLATFORM" not in name}
        return {
            **mine,
            "DATA_PLATFORM_CONFIG": str(config),
            "DATA_PLATFORM_DATA": str(self.folder / "data"),
            "DAGSTER_HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder),
            **({"DATA_PLATFORM_SIMULATOR": url} if url else {}),
        }


@dataclass(frozen=True, slots=True)
class Stored:
    """How one candle came into the lake; seconds since its close and grace."""

    opened: datetime
    asked: float
    """When the sensor asked for the run that stored it."""
    worked: float
    """When that run's process began to work."""
    first: float
    """When its first pair was stored."""
    last: float
    """When its last pair was stored."""


def main() -> None:
    """Measure both sides and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candles", type=int, default=5, help="amid the backfill")
    parser.add_argument("--alone", type=int, default=2, help="before it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tick-") as folder, ExitStack() as stack:
        place = Place(Path(folder), datetime.now(UTC))
        store_running_month(place)
        config = place.config()
        url = stack.enter_context(simulator(place, config, "--limits"))
        environ = place.environ(config, url)
        stack.enter_context(process("daemon", place, environ, BIN / "dagster-daemon", "run"))
        wait_for("a first tick", lambda: bool(ended_ticks(place)))
        alone = await_candles(place, options.alone)
        launch_backfill(place, environ)
        wait_for("the backfill", lambda: score(url)["ohlcv_requests"] > BUSY_REQUESTS)
        begun, before = time.monotonic(), score(url)
        amid = await_candles(place, options.candles)
        used = (score(url)["ohlcv_requests"] - before["ohlcv_requests"]) / (
            time.monotonic() - begun
        )
        load = os.getloadavg()
        print_table(alone, amid)
        found = score(url)
    rejected, banned = found["rejected"], found["banned"]
    print(f"amid it {used:.1f} requests a second of 10; rejected {rejected}, banned {banned}")
    print(f"load of the machine, mean of 1 and 5 minutes: {load[0]:.1f}, {load[1]:.1f}")


def store_running_month(place: Place) -> None:
    """Fetch the running month without a limit, so that ticks have only new candles to fetch."""
    config = place.config(rate="rate_limit: 60000")
    with simulator(place, config) as url:
        subprocess.run(
            [BIN / "data-platform", "download", "--layer", "ohlcv", "--start", f"{place.month}-01"],
            env=place.environ(config, url),
            cwd=PROJECT,
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def simulator(place: Place, config: Path, *options: str) -> Iterator[str]:
    """Serve the exchange from a process of its own; yield the URL."""
    command = [str(BIN / "data-platform"), "simulate", "--port", "0", "--latency", str(LATENCY_MS)]
    environ = place.environ(config)
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *options], env=environ, stdout=pipe, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


@contextmanager
def process(name: str, place: Place, environ: dict[str, str], *command: Any) -> Iterator[None]:  # noqa: ANN401
    """Run a process of Dagster's while the block runs."""
    log = place.folder / f"{name}.log"
    with log.open("w") as out:
        started = subprocess.Popen(
            [*map(str, command), *MODULE],
            env=environ,
            cwd=PROJECT,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            yield
        finally:
            # The backfill's own process outlives the daemon that has started it.
            os.killpg(started.pid, signal.SIGTERM)
            started.wait(timeout=60)
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            time.sleep(1)


def launch_backfill(place: Place, environ: dict[str, str]) -> None:
    """Put a run of all candles over all months but the running one into the queue."""
    first = f"{place.now.year - 1}-{place.now:%m}"
    last = f"{place.now.replace(day=1) - timedelta(days=1):%Y-%m}"
    tags = {
        "dagster/asset_partition_range_start": f"{PAIRS[0]}-USDT|{first}",
        "dagster/asset_partition_range_end": f"{PAIRS[-1]}-USDT|{last}",
        "backfill": "okx",
    }
    command = [str(BIN / "dagster"), "job", "launch", "-j", "fetch_okx_candles_job", *MODULE]
    subprocess.run(
        [*command, "--tags", json.dumps(tags)],
        env=environ,
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )


def wait_for(what: str, is_done: Any) -> None:  # noqa: ANN401
    """Wait until something has happened.

    Raises:
        TimeoutError: it did not.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {PATIENCE_SECONDS} s")
        time.sleep(1)


def await_candles(place: Place, count: int) -> list[Stored]:
    """Wait until as many candles in a row, all opening from now on, are stored of every pair."""
    first = datetime.now(UTC).replace(second=0, microsecond=0)
    wanted = [first + number * MINUTE for number in range(count)]
    found: dict[datetime, Stored] = {}

    def look() -> bool:
        runs = tick_runs(place)
        commits = commits_of(place)
        found.update(
            (opened, stored)
            for opened in wanted
            if (stored := how_stored(opened, commits, runs)) is not None
        )
        return len(found) == count

    time.sleep((wanted[-1] + MINUTE - datetime.now(UTC)).total_seconds())
    wait_for(f"the candle of {wanted[-1]:%H:%M}", look)
    return [found[opened] for opened in wanted]


Commit = tuple[str, datetime, datetime, str]
"""Pair, newest candle, when, and the run."""


def commits_of(place: Place) -> list[Commit]:
    """Return the journal's rows of the running month's 1m candles, in order."""
    state = f"file:{place.folder / 'data/state.db'}?mode=ro"
    query = (
        "SELECT pair, last_open, committed_at, run_id FROM commits "
        "WHERE layer = 'ohlcv' AND timeframe = '1m' AND period = ? ORDER BY id"
    )
    with closing(sqlite3.connect(state, uri=True, timeout=60)) as connection:
        rows = connection.execute(query, (place.month,)).fetchall()
    return [(pair, to_time(last), to_time(at), run) for pair, last, at, run in rows]


def how_stored(
    opened: datetime, commits: Sequence[Commit], runs: dict[str, tuple[float, float]]
) -> Stored | None:
    """Return how a candle was stored; None while a pair of it is not."""
    due = opened + MINUTE + GRACE
    by_pair: dict[str, Commit] = {}
    for commit in commits:
        if commit[1] >= opened:
            by_pair.setdefault(commit[0], commit)
    if len(by_pair) < len(PAIRS):
        return None
    last = max(by_pair.values(), key=lambda commit: commit[2])
    asked, worked = runs.get(last[3], (0.0, 0.0))
    stored = [(commit[2] - due).total_seconds() for commit in by_pair.values()]
    zero = due.timestamp()
    return Stored(opened, asked - zero, worked - zero, min(stored), max(stored))


def tick_runs(place: Place) -> dict[str, tuple[float, float]]:
    """Return when each run of a tick was asked for and began, as UNIX times."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(place.folder / "home")) as instance:
        records = instance.get_run_records(dg.RunsFilter(tags={"tick": "okx"}), limit=20)
    return {
        record.dagster_run.run_id: (record.create_timestamp.timestamp(), record.start_time or 0.0)
        for record in records
    }


def ended_ticks(place: Place) -> list[str]:
    """Return the runs of ticks that have succeeded."""
    import dagster as dg

    done = dg.RunsFilter(tags={"tick": "okx"}, statuses=[dg.DagsterRunStatus.SUCCESS])
    with dg.DagsterInstance.from_config(str(place.folder / "home")) as instance:
        return [run.run_id for run in instance.get_runs(done, limit=1)]


def score(url: str) -> dict[str, Any]:
    """Return the simulator's score of the exchange."""
    with urllib.request.urlopen(f"{url}/_score") as answer:  # noqa: S310 - http on loopback
        found: dict[str, Any] = json.load(answer)["okx"]
    return found


def to_time(ms: int | None) -> datetime:
    """Return a time of the journal."""
    return datetime.fromtimestamp((ms or 0) / 1000, UTC)


def print_table(alone: Sequence[Stored], amid: Sequence[Stored]) -> None:
    """Print each candle, and the longest beside the bar."""
    print(f"1m candles of {len(PAIRS)} pairs of okx; seconds after close and grace")
    print(f"{'':<16}{'candle':<8}{'asked':>8}{'working':>9}{'first':>8}{'stored':>8}")
    for name, candles in (("alone", alone), ("amid a backfill", amid)):
        for it in candles:
            times = "".join(f"{it_:>8.1f}" for it_ in (it.first, it.last))
            print(f"{name:<16}{it.opened:%H:%M}   {it.asked:>8.1f}{it.worked:>9.1f}{times}")
    longest = max(it.last for it in amid)
    medians = [statistics.median(it.last for it in side) for side in (amid, alone)]
    print(f"longest amid a backfill: {longest:.1f} s (bar {BAR_SECONDS})")
    print(f"median amid / alone: {medians[0]:.1f} / {medians[1]:.1f} = ", end="")
    print(f"{medians[0] / medians[1]:.2f}")


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
