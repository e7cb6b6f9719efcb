"""A doctor on a whole small line: each fault planted, cured, and the second visit with nothing."""

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.periods import to_period
from data_platform.operations.doctor import Cells, Doctor, Treatment
from data_platform.operations.verify import verify_lake
from data_platform.storage.archive import archive, bring_back
from data_platform.storage.inventory import Chosen
from data_platform.storage.layout import Layout
from data_platform.storage.state import State
from data_platform_tests.damage import damage
from data_platform_tests.small_line import BTC, SmallLine, series
from data_platform_tests.storage.faults import Faults
from data_platform_tests.storage.lake import candles, commit, open_store, partition
from data_platform_tests.storage.test_archive import copies_of, spoiled

MONTH = "2024-02"
CORRECTED = datetime(2024, 2, 10, 5, tzinfo=UTC)
CANDLES = Partition("ohlcv", series(BTC, "1h"), to_period(MONTH))


class Visit:
    """A doctor whose line is asked in this process, by the line's own clock."""

    def __init__(self, line: SmallLine) -> None:
        settings = line.settings
        scopes = [settings.scope_of(it) for it in settings.exchanges.values()]
        self.line = line
        self.asked: list[Cells] = []
        self.doctor = Doctor(settings.data_root, settings.state_url, scopes, lambda: line.clock[0])

    def relaunch(self, cells: Cells) -> Sequence[str]:
        self.asked.append(cells)
        (found,) = cells.values()
        months = sorted(period.key for _, period in found)
        pairs = sorted({pair for pair, _ in found})
        return self.line.materialize(pairs, months=(months[0], months[-1])).failures

    def treat(self) -> Treatment:
        assert self.doctor.plan().steps, "nothing was planned"
        return self.doctor.treat(self.relaunch)

    def is_sound(self) -> bool:
        """Tell whether a second visit has nothing to do, and does nothing."""
        before = self.line.files()
        again = self.doctor.treat(self.relaunch)
        assert self.doctor.plan().steps == ()
        assert (again.done, again.remaining) == ([], [])
        assert self.line.files() == before
        settings = self.line.settings
        return verify_lake(settings.data_root, settings.state_url, Chosen()).verdict == "sound"


@pytest.fixture
def visit(stored_line: SmallLine) -> Visit:
    return Visit(stored_line)


def place(line: SmallLine, partition: Partition = CANDLES) -> Path:
    return Layout(line.root / "data").partition(partition)


def test_a_sound_lake_is_left_alone(visit: Visit) -> None:
    assert visit.is_sound()
    assert visit.asked == []


@pytest.mark.parametrize(("how", "timeframe"), [("gone", "4h"), ("rotten", "1h")])
def test_damaged_candles_are_made_again_and_are_the_same(
    visit: Visit, how: str, timeframe: str
) -> None:
    """Those of 1h are fetched, those of 4h are computed from them."""
    candles = Partition("ohlcv", series(BTC, timeframe), to_period(MONTH))
    path = place(visit.line, candles)
    before = path.read_bytes()
    damage(path, how)
    spoilt = path.read_bytes() if how != "gone" else b""
    done = visit.treat()
    assert done.remaining == []
    rows = {"1h": 696, "4h": 174}[timeframe]
    assert f"{candles}: repaired, the same {rows} candles as before" in done.done
    assert path.read_bytes() == before
    kept = [each.read_bytes() for each in (visit.line.root / "data/damaged").rglob("*.parquet")]
    assert kept == ([] if how == "gone" else [spoilt])
    assert visit.is_sound()
    with visit.line.lake() as lake:
        row = lake.store.journal(candles)
    assert row is not None
    assert row.reason == "repair"


def test_other_candles_than_before_are_stored_as_a_correction(visit: Visit) -> None:
    damage(place(visit.line), "torn")
    visit.line.simulator.faults.add(
        "correction", exchange="binance", symbol="BTC/USDT", time=CORRECTED, minutes=60
    )
    done = visit.treat()
    assert done.remaining == []
    assert any("stored as a correction" in line for line in done.done)
    with visit.line.lake() as lake:
        row = lake.store.journal(CANDLES)
    assert row is not None
    assert row.reason == "correction"
    assert visit.is_sound()


def test_what_history_has_kept_is_put_back_without_a_request(visit: Visit) -> None:
    path = place(visit.line)
    with visit.line.lake() as lake:
        row = lake.store.journal(CANDLES)
        assert row is not None
        assert row.file_sha256
        kept = lake.store.layout.history(CANDLES, row.file_sha256)
    kept.parent.mkdir(parents=True)
    shutil.copy(path, kept)
    damage(path, "torn")
    done = visit.treat()
    assert done.remaining == []
    assert any("put back what history had kept" in line for line in done.done)
    assert visit.is_sound()


def test_candles_that_nobody_gives_any_more_stay_named(visit: Visit) -> None:
    damage(place(visit.line), "torn")
    visit.line.simulator.faults.add("http_403_html", exchange="binance")
    done = visit.treat()
    assert f"{CANDLES}: 696 candles are lost: nobody gives them any more" in done.remaining
    assert any("gone; " in line for line in done.remaining)
    assert list((visit.line.root / "data/damaged").rglob("*.parquet"))


def test_what_is_computed_and_exported_is_made_again(visit: Visit) -> None:
    root = visit.line.root / "data"
    spoilt = [
        next((root / layer).rglob(f"pair=BTC-USDT/period={MONTH}/candles.parquet"))
        for layer in ("filled", "indicators", "features")
    ]
    for program in ("vectorbt", "freqtrade", "nautilus"):
        files = sorted((root / "exports" / program).rglob("*.*"))
        spoilt.append(next(it for it in files if it.is_file()))
    before = [path.read_bytes() for path in spoilt]
    for path in spoilt:
        damage(path, "rotten")
    assert visit.treat().remaining == []
    assert [path.read_bytes() for path in spoilt] == before
    assert visit.is_sound()


def test_a_whole_file_without_a_row_is_taken_over(visit: Visit) -> None:
    """As a crash between rename and journal leaves it."""
    from data_platform.storage.journal import partition_key
    from data_platform.storage.tables import COMMITS, FILES, PARTITIONS

    with visit.line.lake() as lake, lake.state.write() as connection:
        for table in (COMMITS, FILES, PARTITIONS):
            key = partition_key(CANDLES).items()
            connection.execute(table.delete().where(*(table.c[name] == it for name, it in key)))
    done = visit.treat()
    assert done.remaining == []
    assert any("took over 696 rows" in line for line in done.done)
    assert visit.is_sound()


def test_leftovers_are_deleted_and_strange_files_moved_away(visit: Visit) -> None:
    left = place(visit.line).with_name(".candles.parquet.0123456789abcdef.tmp")
    left.write_bytes(b"half")
    strange = place(visit.line, Partition("ohlcv", series(BTC, "1h"), to_period("2023-01")))
    strange.parent.mkdir()
    strange.write_bytes(b"not ours")
    done = visit.treat()
    assert done.remaining == []
    assert not left.exists()
    assert not strange.exists()
    assert next((visit.line.root / "data/damaged").rglob("*.parquet")).read_bytes() == b"not ours"
    assert visit.is_sound()


@pytest.mark.parametrize("kind", ["kill", "half"])
@pytest.mark.parametrize("move", [archive, bring_back], ids=["archive", "bring back"])
def test_r1_a_killed_move_to_or_from_the_archive_leaves_one_file_and_all_rows(
    root: Path, tmp_path: Path, move: Callable[..., bool], kind: str
) -> None:
    store = open_store(root)
    commit(store, candles([1, 2, 5]))
    if move is bring_back:
        archive(store, partition())
    rows, (content,) = store.read(partition()), copies_of(root)
    assert rows is not None
    store.state.close()
    twins = 0
    for number in range(1, 60):
        copy = tmp_path / f"killed-{number}"
        shutil.copytree(root, copy)
        is_over = spoiled(copy, move, Faults(number, kind))
        twins += len(copies_of(copy)) == 2
        url = f"sqlite:///{copy / 'state.db'}"
        done = Doctor(copy, url, [], lambda: datetime.now(UTC)).treat(lambda _: [])
        assert done.remaining == []
        assert copies_of(copy) == [content]
        found = verify_lake(copy, url, Chosen())
        assert (found.verdict, found.survey.findings) == ("sound", ())
        after = open_store(copy)
        row, again = after.journal(partition()), after.read(partition())
        assert row is not None
        assert again is not None
        assert again.frame.equals(rows.frame)
        assert (copy / str(row.path)).read_bytes() == content
        after.state.close()
        if is_over:
            break
    assert is_over
    assert (twins > 4) == (kind == "kill")


@pytest.mark.slow
def test_partitions_that_should_be_stored_are_fetched(empty_line: SmallLine) -> None:
    assert empty_line.materialize([BTC], months=(MONTH, MONTH)).success
    visit = Visit(empty_line)
    assert visit.treat().remaining == []
    (cells,) = visit.asked[0].values()
    assert len(cells) == 6 - 1
    assert visit.is_sound()


def test_that_the_running_month_lacks_its_newest_candles_is_no_fault(visit: Visit) -> None:
    from datetime import timedelta

    visit.line.clock[0] += timedelta(hours=3)
    assert visit.is_sound()


def lose(line: SmallLine, how: str) -> None:
    path = line.root / "data/state.db"
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if how == "empty" else b"SQLite format 3\0" + b"x" * 9000)


def stored_candles(line: SmallLine) -> dict[str, bytes]:
    root = line.root / "data"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("candles.parquet"))
    }


def test_a_state_of_a_newer_program_is_left_alone(visit: Visit) -> None:
    with visit.line.lake() as lake, lake.state.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    state = visit.line.root / "data/state.db"
    for refused in (visit.doctor.plan, lambda: visit.doctor.treat(visit.relaunch)):
        with pytest.raises(StorageError, match="newer data-platform wrote it"):
            refused()
    assert [path.name for path in state.parent.glob("state.db.damaged*")] == []


def test_a_state_that_cannot_be_read_now_is_left_alone(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: State) -> str:
        raise StorageError("cannot read the state database: database is locked.")

    monkeypatch.setattr(State, "fault", refuse)
    with pytest.raises(StorageError, match="locked"):
        visit.doctor.treat(visit.relaunch)
    assert not list((visit.line.root / "data").glob("state.db.damaged*"))


@pytest.mark.parametrize("how", ["gone", pytest.param("torn", marks=pytest.mark.slow)])
def test_a_lost_state_is_begun_anew_from_the_files(visit: Visit, how: str) -> None:
    before = stored_candles(visit.line)
    damage(place(visit.line), "flipped")
    lose(visit.line, how)
    steps = visit.doctor.plan().steps
    assert steps[0].startswith("begin the state database anew from ")
    state = visit.line.root / "data/state.db"
    assert state.exists() == (how != "gone"), "a plan has begun a new journal"
    done = visit.treat()
    assert done.remaining == []
    assert any(line.startswith("not taken over: ") for line in done.done)
    assert stored_candles(visit.line) == before
    assert visit.is_sound()
    assert len(list(state.parent.glob("state.db.damaged-*"))) == (how != "gone")
