"""A restore as people do it, and the drill: a lake lost amid its work, brought back, carried on."""

import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import data_platform
from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.backup import Source, back_up
from data_platform.operations.restore import Places, prove, restore
from data_platform.runs import RunOutcome
from data_platform.storage.backup_store import BackupStore
from data_platform.storage.generation import Generation
from data_platform_tests.cli.conftest import StoreCandles
from data_platform_tests.damage import damage
from data_platform_tests.small_line import (
    BTC,
    NOW,
    SmallLine,
    open_small_line,
    series,
)

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
START = datetime(2024, 1, 1, tzinfo=UTC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def saved(lake: Path, store_candles: StoreCandles) -> Path:
    """Return a lake of which two backups were made, with two and with five candles."""
    for count in (2, 5):
        store_candles(SERIES, START, count)
        assert run("backup", "kept").exit_code == 0
    return lake


@pytest.mark.usefixtures("saved")
def test_any_backup_is_listed_restored_and_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = run("restore", "kept", "--list").stdout
    assert listed.endswith("2 backups\n")
    first = next(
        line.split()[1] for line in listed.splitlines() if "state" not in line and "T" in line
    )
    newest = run("restore", "kept", "--to", "new", "--verify")
    assert newest.exit_code == 0, newest.output
    assert "all sound" in newest.stdout
    assert f"export DATA_PLATFORM_DATA={Path('new').absolute()}" in newest.stdout
    oldest = run("restore", "kept", "--to", "old", "--at", first)
    assert oldest.stdout.startswith(first)
    words = ("query", "select count(*) as n from candles", "--format", "csv")
    for place, rows in (("old", "2"), ("new", "5")):
        monkeypatch.setenv("DATA_PLATFORM_DATA", place)
        assert run(*words).stdout.split() == ["n", rows]


@pytest.mark.usefixtures("saved")
def test_wrong_use_exits_two_and_a_lost_content_one() -> None:
    assert run("restore", "kept").exit_code == 2
    assert run("restore", "kept", "--to", "data").exit_code == 2
    assert run("restore", "kept", "--to", "new", "--at", "2024-13-01").exit_code == 2
    assert run("restore", "none", "--to", "new").exit_code == 1
    assert run("restore", "kept", "--to", "new", "--at", "2024-01-01").exit_code == 1
    store = BackupStore(Path("kept"))
    damage(store.content(store.choose(None).files[0].sha256), "rotten")
    assert run("restore", "kept", "--to", "new", "--verify").exit_code == 1
    assert not Path("new").exists()


def test_what_the_backup_lacks_is_said_again(saved: Path) -> None:
    store = next((saved / "ohlcv").rglob("*.parquet"))
    store.unlink()
    shutil.rmtree("kept")
    assert run("backup", "kept").exit_code == 1
    done = run("restore", "kept", "--to", "new", "--verify")
    assert done.exit_code == 1
    assert "the backup lacks ohlcv/" in done.stderr


def test_j05_a_lake_lost_amid_its_work_is_brought_back_and_carried_on(
    stored_root: Path, tmp_path: Path
) -> None:
    """Back up while a real line commits; lose everything; restore; fetch only what is missing."""
    shutil.copytree(stored_root, tmp_path / "line")
    kept = tmp_path / "kept"
    with open_small_line(tmp_path / "line") as line:
        line.clock[0] = NOW + timedelta(days=3)
        made = _back_up_amid(line, kept)
    with open_small_line(tmp_path / "line") as line:
        code, told = _command(line, "backup", str(kept))
        assert code == 0, told
        before = _bytes(line)
        shutil.rmtree(line.root / "data")
        shutil.rmtree(line.root / "home")
        data, home = str(line.root / "data"), str(line.root / "home")
        words = ("restore", str(kept), "--to", data, "--home", home, "--verify")
        code, told = _command(line, *words)
        assert code == 0, told
        assert _bytes(line) == before
    # What the lake held amid the tick is as sound.
    assert len({it.files for it in made}) > 1, "nothing was committed meanwhile"
    for number, generation in enumerate(made):
        places = Places(tmp_path / f"then-{number}")
        restore(kept, places, generation.created_at)
        assert prove(places).exit_code == 0
    with open_small_line(tmp_path / "line") as line:
        line.clock[0] = NOW + timedelta(days=3, hours=3)
        assert len(line.materialized("ohlcv", "1h")) == 6
        assert line.materialize(layers=("ohlcv",), timeframes=("1h",)).success
        assert line.simulator.candle_requests == {"binance": 3}
        with line.lake() as lake:
            end = datetime(2024, 4, 1, tzinfo=UTC)
            found = lake.store.read_range("ohlcv", series(BTC, "1h"), START, end)
            truth = line.simulator.candles(series(BTC, "1h"), found["open_time"][0], end)
        assert found.equals(truth)
        assert found["open_time"][-1] == NOW.replace(hour=14, second=0) + timedelta(days=3)


def _back_up_amid(line: SmallLine, kept: Path) -> list[Generation]:
    """Make backups for as long as a tick of one pair takes, all layers of it, eight at most."""
    source = Source(
        line.settings.data_root, line.settings.state_url, Path(line.environment["DAGSTER_HOME"]), ""
    )
    outcomes: list[RunOutcome] = []
    ticking = threading.Thread(target=lambda: outcomes.append(line.materialize((BTC,))))
    ticking.start()
    made: list[Generation] = []
    while ticking.is_alive() and len(made) < 8:
        made.append(back_up(source, kept).generation)
        ticking.join(0.5)
    ticking.join()
    assert [it.success for it in outcomes] == [True]
    assert not [it for it in made if it.faults]
    return made


def _command(line: SmallLine, *arguments: str) -> tuple[int, str]:
    path = str(Path(data_platform.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "data_platform.cli.main", *arguments],
        env={**line.environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _bytes(line: SmallLine) -> dict[str, bytes]:
    data = line.root / "data"
    rebuilt = ("catalog.duckdb", "damaged.json")
    return {name: (data / name).read_bytes() for name in line.files() if name not in rebuilt}
