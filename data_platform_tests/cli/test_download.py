import json
import re
import socket
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from data_platform.cli.download import is_success
from data_platform.cli.main import main
from data_platform.cli.messages import Outcome
from data_platform.cli.status import REMEDY
from data_platform.cli.worker_pool import PoolResult
from data_platform.domain.breaker import BreakerState
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import period_of
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lake import opened_lake
from data_platform.settings import load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.factories import candles_at, files_of, grid, stored, time
from data_platform_tests.read_only import run_powerless, unwritable

PAIR = Pair("BTC/USDT")
DAY = to_timeframe("1d")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_one_exchange_is_downloaded_though_another_cannot_be_reached(
    lake: Path, closed_port: int
) -> None:
    simulated = SimulatorConfig({"okx": SimulatedExchange("okx", (PAIR,))})
    with run_simulator(simulated) as simulator:
        Path("configs/platform.yaml").write_text(
            "exchanges:\n"
            f"  binance: {{base_url: 'http://127.0.0.1:{closed_port}', pairs: [BTC/USDT],"
            " timeframes: [1d], history_days: 1, timeout: 2s}\n"
            f"  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
            " timeframes: [1d], history_days: 40}\n"
        )
        done = CliRunner().invoke(main, ["download", "--layer", "ohlcv", "--timeframe", "1D"])
        exchange = load_settings().exchanges["okx"]
        truth = simulator.candles(Series("okx", PAIR, DAY), exchange.start, exchange.start.max)
    assert done.exit_code == 1, done.output
    files = sorted(lake.rglob("exchange=okx/**/candles.parquet"))
    stored = pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files])
    assert stored.equals(truth)
    assert truth.height >= 40
    results = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("│")}
    assert f" {truth.height} " in results["okx"]
    assert " done " in results["okx"]
    assert " failed " in results["binance"]
    assert all(line.startswith("data-platform: ") for line in done.stderr.splitlines())
    assert "refused" not in done.stdout
    assert done.stderr.count("\n") == 1
    assert "2 partitions of binance/ohlcv_1d BTC/USDT: " in done.stderr
    assert "Check the network" in done.stderr
    assert "Traceback" not in done.output


def test_exchange_that_has_stopped_answering_fails_at_once_and_is_not_asked(lake: Path) -> None:
    until = datetime.now(UTC) + timedelta(minutes=4)
    with run_simulator(SimulatorConfig({"okx": SimulatedExchange("okx", (PAIR,))})) as simulator:
        Path("configs/platform.yaml").write_text(
            f"exchanges:\n  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
            " timeframes: [1d], history_days: 1}\n"
        )
        opened = BreakerState("open", 5, until - timedelta(hours=1), until, "okx: HTTP 503.")
        with opened_lake(lake, f"sqlite:///{lake / 'state.db'}") as found:
            found.breakers.change("okx", lambda _: opened)
        done = CliRunner().invoke(main, ["download"])
        assert simulator.candle_requests == {"okx": 0}
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    [line] = done.stderr.splitlines()
    assert line == (
        f"data-platform: okx is not asked since {until - timedelta(hours=1):%Y-%m-%d %H:%M:%S} "
        f"UTC, until {until:%Y-%m-%d %H:%M:%S} UTC: okx: HTTP 503. Run the same again after that."
    )


def serve(candles: pl.DataFrame) -> AbstractContextManager[Simulator]:
    """Serve candles as okx would."""
    return run_simulator(
        SimulatorConfig(
            {"okx": SimulatedExchange("okx", (PAIR,))}, replay={("okx", PAIR, DAY): candles}
        )
    )


def download_days(simulator: Simulator, *options: str) -> None:
    Path("configs/platform.yaml").write_text(
        f"exchanges:\n  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
        " timeframes: [1d], history_days: 40}\n"
    )
    done = CliRunner().invoke(main, ["download", "--layer", "ohlcv", *options])
    assert done.exit_code == 0, done.output


def journal_of(lake: Path) -> dict[str, tuple[int, str]]:
    """Return the version and the reason of every stored month."""
    with opened_lake(lake, f"sqlite:///{lake / 'state.db'}") as opened:
        rows = opened.store.journal_rows("ohlcv")
    return {str(row.period): (row.version, row.reason) for row in rows}


def stored_days(lake: Path) -> pl.DataFrame:
    with opened_lake(lake, f"sqlite:///{lake / 'state.db'}") as opened:
        return stored(opened, Series("okx", PAIR, DAY))


@pytest.mark.slow
def test_full_stores_what_the_exchange_changed_and_nothing_else(lake: Path) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    truth = candles_at(today - timedelta(days=number) for number in range(80, 0, -1))
    month = period_of(today).previous
    changed = pl.col("open_time") == month.start + timedelta(days=2)
    corrected = truth.with_columns(volume=pl.when(changed).then(99.0).otherwise("volume"))
    with serve(truth) as simulator:
        download_days(simulator)
        start = load_settings().exchanges["okx"].start
    journal, files = journal_of(lake), files_of(lake)
    with serve(corrected) as simulator:
        download_days(simulator)
        assert journal_of(lake) == journal
        download_days(simulator, "--full")
    assert stored_days(lake).equals(corrected.filter(pl.col("open_time") >= start))
    assert journal_of(lake) == {**journal, str(month): (2, "correction")}
    changed_files = [name for name, seen in files_of(lake).items() if files.get(name) != seen]
    assert sorted(name.split("/")[0] for name in changed_files) == ["history", "ohlcv"]
    journal, files = journal_of(lake), files_of(lake)
    with serve(corrected) as simulator:
        download_days(simulator, "--full")
        assert simulator.candle_requests["okx"] > 0
    assert (journal_of(lake), files_of(lake)) == (journal, files)


TOO_LARGE = """
import resource, signal, subprocess, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
sys.exit(subprocess.run([sys.executable, *sys.argv[2:]]).returncode)
"""
"""Runs a program that can write no file beyond a size, as on a disk that is full by then."""


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_r7_a_download_onto_a_full_or_unwritable_disk_fails_and_leaves_what_was_stored(
    lake: Path, fault: str
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    truth = candles_at(today - timedelta(days=number) for number in range(80, 0, -1))
    with serve(truth) as simulator:
        download_days(simulator)
    before, stored_before = files_of(lake / "ohlcv"), stored_days(lake)
    corrected = truth.with_columns(volume=pl.col("volume") + 1)
    command = ("-m", "data_platform.cli.main", "download", "--layer", "ohlcv", "--full")
    with serve(corrected) as simulator:
        config = Path("configs/platform.yaml")
        config.write_text(re.sub(r"http://[^/]+", simulator.url, config.read_text()))
        variables = {"DATA_PLATFORM_DATA": str(lake), "DATA_PLATFORM_CONFIG": str(config.resolve())}
        if fault == "full":
            done = run_powerless("-c", TOO_LARGE, "1500", *command, **variables)
        else:
            with unwritable(lake / "ohlcv"):
                done = run_powerless(*command, **variables)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(lake) in done.stderr
    assert files_of(lake / "ohlcv") == before
    assert stored_days(lake).equals(stored_before)
    assert not list(lake.rglob("*.tmp"))


def test_refused_rows_and_failed_checks_show_in_the_last_table(lake: Path) -> None:
    days = candles_at(grid("2024-03-01", "2024-03-20", "1d"))
    at = pl.col("open_time")
    untrue = (at == time("2024-03-07")) | (at == time("2024-03-09"))
    sent = days.with_columns(high=pl.when(untrue).then(pl.col("low") - 1).otherwise("high"))
    exchange = SimulatedExchange("okx", (PAIR,), listed_at={PAIR: time("2024-03-01")})
    replay = {("okx", PAIR, DAY): sent}
    config = SimulatorConfig({"okx": exchange}, clock=time("2024-03-19 12:00"), replay=replay)
    with run_simulator(config) as simulator:
        Path("configs/platform.yaml").write_text(
            "exchanges:\n"
            f"  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
            " timeframes: [1d], start: 2024-03-01}\n"
        )
        done = CliRunner().invoke(main, ["download", "--layer", "ohlcv", "--end", "2024-04-01"])
    titles, cells = table_of(done.stdout)
    row = dict(zip(titles, cells, strict=True))
    assert row["rows refused"] == "2"
    assert row["partitions"] == "1/1"
    assert "history_complete" in row["checks failed"]
    (line,) = done.stderr.splitlines()
    assert line.startswith("data-platform: okx/ohlcv_1d BTC-USDT|2024-03: candles came that cannot")
    assert str(lake / "quarantine") in line
    assert done.exit_code == 1
    assert stored_days(lake).height == 16


@pytest.mark.slow
@pytest.mark.usefixtures("lake")
def test_what_a_selection_leaves_stale_shows_and_is_mended_by_a_whole_run() -> None:
    exchange = SimulatedExchange("okx", (PAIR,))
    now = time("2024-03-02 12:00:07")
    with run_simulator(SimulatorConfig({"okx": exchange}, clock=now)) as simulator:
        Path("configs/platform.yaml").write_text(
            "exchanges:\n"
            f"  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
            " timeframes: [1h, 4h], start: 2024-02-01}\n"
        )
        fine = download_until_april("--timeframe", "1h")
        coarse = download_until_april("--timeframe", "4h")
        status = CliRunner().invoke(main, ["status", "--json"])
        shown = CliRunner().invoke(main, ["status"])
        whole = download_until_april()
    assert "stale" not in fine.stdout
    titles, cells = table_of(coarse.stdout)
    # The features of the hours of February and March join four hours.
    assert dict(zip(titles, cells, strict=True))["stale"] == "2"
    assert "computes them anew" in coarse.stdout
    stale = {line["timeframe"]: line["stale_partitions"] for line in json.loads(status.stdout)}
    assert stale == {"1h": 2, "4h": 0}
    assert REMEDY in shown.stdout
    assert "stale" not in whole.stdout
    assert [it.exit_code for it in (fine, coarse, whole)] == [0, 0, 0]
    # Each is repeated for every partition and hides what a log is read for.
    assert "Warning" not in Path(".dagster/download/okx.log").read_text()


def download_until_april(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["download", "--end", "2024-04-01", *arguments])


def table_of(text: str) -> tuple[list[str], list[str]]:
    """Return titles and cells of a table of one row."""
    (titles,) = [line for line in text.splitlines() if line.startswith("┃")]
    (cells,) = [line for line in text.splitlines() if line.startswith("│")]
    return split(titles, "┃"), split(cells, "│")


def split(line: str, bar: str) -> list[str]:
    return [cell.strip() for cell in line.strip(bar).split(bar)]


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--exchange", "binance"], "exchange 'binance' is unknown here. Accepted: kraken, okx."),
        (["--pair", "XRPUSDT"], "pair 'XRPUSDT' is unknown here. Accepted: BTC/USD, BTC/USDT."),
        (["--timeframe", "2h"], "unknown timeframe '2h'"),
        (["--timeframe", "1m"], "timeframe 1m is not configured. Accepted: 1h, 1d."),
        (["--layer", "candles"], "'candles' is not one of"),
        (["--start", "01/02/2024"], "is no date"),
        (["--start", "2024-02-01", "--end", "2024-01-01"], "--end 2024-01-01 must lie after"),
        (["--end", "2020-01-01"], "nothing configured is that pair, timeframe and time together"),
    ],
)
def test_a_selection_that_means_nothing_is_wrong_use(arguments: list[str], reason: str) -> None:
    done = CliRunner().invoke(main, ["download", *arguments])
    assert done.exit_code == 2
    assert reason in " ".join(done.stderr.split())
    assert not Path(".dagster").exists()


def test_only_all_of_it_unstopped_is_success() -> None:
    good, bad = Outcome("a", success=True), Outcome("b", success=False)
    assert is_success(PoolResult({"a": good}))
    assert not is_success(PoolResult({"a": good, "b": bad}))
    assert not is_success(PoolResult({"a": good}, is_stopped=True))
