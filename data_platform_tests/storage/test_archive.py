"""A partition moves whole, is known and read as before, and a crash at any step loses nothing."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.domain.errors import ArchivedError, DamagedFileError, StorageError
from data_platform.storage.archive import archive, bring_back, find_size, finish_move
from data_platform.storage.catalog import build_catalog, open_catalog
from data_platform.storage.inventory import Chosen
from data_platform.storage.journal import CommitNote, InputRow
from data_platform.storage.manifest import Manifest
from data_platform.storage.mending import rebuild
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.past import PastReader
from data_platform.storage.snapshots import Snapshots
from data_platform.storage.survey import survey
from data_platform_tests.damage import damage, fill_disk
from data_platform_tests.storage import faults
from data_platform_tests.storage.faults import Faults
from data_platform_tests.storage.lake import (
    at,
    candles,
    commit,
    everything,
    open_store,
    partition,
    series,
    utc,
)

WHERE = partition()
FIRST, END = utc(2024, 1), utc(2024, 2)


@pytest.fixture
def lake(store: PartitionStore) -> PartitionStore:
    """January has three candles, one of them corrected since."""
    commit(store, candles([1, 2, 5]))
    commit(store, candles([2], price=500.0), note=CommitNote(code_version="7"))
    return store


def read(store: PartitionStore) -> list[float]:
    return store.read_range("ohlcv", series(), FIRST, END)["close"].to_list()


def test_the_same_bytes_lie_elsewhere_and_are_read_as_before(lake: PartitionStore) -> None:
    inputs = (InputRow("ohlcv", series(), at(1), at(5), "hash"),)
    commit(lake, candles([1]), note=CommitNote(code_version="8", inputs=inputs))
    before, row, rows = everything(lake.root), lake.journal(WHERE), read(lake)
    assert row is not None
    size = find_size(lake, WHERE)
    assert archive(lake, WHERE, "run-7")
    path = f"archive/{row.path}"
    after = everything(lake.root)
    assert after == {(path if name == row.path else name): it for name, it in before.items()}
    assert size == len(after[path])
    assert find_size(lake, WHERE) is None
    assert read(lake) == rows == [101.0, 502.0, 105.0]
    moved = lake.journal(WHERE)
    assert moved is not None
    assert (moved.reason, moved.path, moved.run_id) == ("archived", path, "run-7")
    same = ("rows", "first", "last", "content_hash", "file_sha256", "code_version", "rewrite_id")
    assert all(getattr(moved, name) == getattr(row, name) for name in same)
    assert lake.inputs(WHERE) == inputs
    assert lake.read_before("ohlcv", series(), END, 1)["close"].to_list() == [105.0]
    assert lake.times("ohlcv", series(), FIRST, END).to_list() == [at(1), at(2), at(5)]


def test_it_comes_back_as_it_was(lake: PartitionStore) -> None:
    before = everything(lake.root)
    assert archive(lake, WHERE)
    assert not archive(lake, WHERE)
    assert bring_back(lake, WHERE)
    assert everything(lake.root) == before
    assert not bring_back(lake, WHERE)
    assert [row.reason for row in lake.versions(WHERE)][-2:] == ["archived", "brought back"]


def test_queries_over_all_series_do_not_see_it(lake: PartitionStore) -> None:
    commit(lake, candles([3]), partition(series("okx")))
    build_catalog(lake.root)
    archive(lake, WHERE)
    with open_catalog(lake.root, lake.state) as door:
        assert door.sql("SELECT count(*) FROM candles").fetchall() == [(1,)]


def test_the_past_and_snapshots_read_it(lake: PartitionStore) -> None:
    before = datetime.now(UTC)
    archive(lake, WHERE)
    then = PastReader(lake, before).read_range("ohlcv", series(), FIRST, END)
    assert then["close"].to_list() == read(lake)
    blank = Manifest("one", datetime(2024, 3, 1, tzinfo=UTC), "0.1", "abc", ())
    snapshots = Snapshots(lake.root)
    (pinned,) = snapshots.create(lake, [lake.journal(WHERE)], blank).partitions  # type: ignore[list-item]
    assert snapshots.read(pinned)["close"].to_list() == read(lake)
    assert lake.replaced(WHERE)["old_close"].to_list() == [102.0]


def test_a_correction_of_an_archived_month_merges_with_it(lake: PartitionStore) -> None:
    archive(lake, WHERE)
    assert not commit(lake, candles([1])).written
    assert lake.journal(WHERE).path.startswith("archive/")  # type: ignore[union-attr]
    done = commit(lake, candles([5], price=900.0))
    assert (done.written, done.changed, done.rows) == (True, 1, 3)
    assert read(lake) == [101.0, 502.0, 905.0]
    assert lake.journal(WHERE).path.startswith("ohlcv/")  # type: ignore[union-attr]
    assert sorted(lake.replaced(WHERE)["old_close"].to_list()) == [102.0, 105.0]
    assert archive(lake, WHERE)
    assert read(lake) == [101.0, 502.0, 905.0]


def test_an_archive_that_is_away_is_named_and_nothing_of_it_missing(lake: PartitionStore) -> None:
    archive(lake, WHERE)
    (lake.root / "archive").rename(lake.root.parent / "elsewhere")
    grid = [at(hour) for hour in range(1, 6)]
    assert lake.times("ohlcv", series(), FIRST, END).to_list() == grid
    for use in (read, lambda it: it.read(WHERE), lambda it: commit(it, candles([4]))):
        with pytest.raises(ArchivedError, match=r"archived by retention, and .* is not there"):
            use(lake)


def test_a_damaged_file_stays_where_it_is(lake: PartitionStore) -> None:
    place = lake.layout.partition(WHERE)
    damage(place, "flipped")
    with pytest.raises(DamagedFileError, match="not those that the journal tells of"):
        archive(lake, WHERE)
    assert place.exists()
    assert not (lake.root / "archive").exists()
    place.unlink()
    assert not archive(lake, WHERE)


def test_a_journal_that_cannot_be_written_leaves_the_file_where_it_is(
    lake: PartitionStore,
) -> None:
    rows = read(lake)
    fill_disk(lake.state, "read-only")
    with pytest.raises(StorageError, match="state database"):
        archive(lake, WHERE)
    assert lake.layout.partition(WHERE).exists()
    again = open_store(lake.root)
    assert read(again) == rows
    assert archive(again, WHERE)
    assert len(copies_of(again.root)) == 1
    again.state.close()


@pytest.mark.parametrize("spoilt", ["moved", "left"])
def test_a_copy_goes_only_where_the_file_that_the_journal_tells_of_is_whole(
    lake: PartitionStore, spoilt: str
) -> None:
    """As a kill leaves it between the journal and the removal of the old file."""
    archive(lake, WHERE)
    moved, left = lake.layout.archived(WHERE), lake.layout.partition(WHERE)
    content = moved.read_bytes()
    left.parent.mkdir()
    left.write_bytes(content)

    def kinds() -> dict[str, str]:
        found = survey(lake.root, lake.state, Chosen(), "full").findings
        return {it.path.split("/")[0]: it.kind for it in found}

    damage(moved if spoilt == "moved" else left, "flipped")
    assert kinds() == (
        {"archive": "damaged", "ohlcv": "unjournalled"}
        if spoilt == "moved"
        else {"ohlcv": "unknown"}
    )
    assert not finish_move(lake, WHERE)
    assert moved.exists()
    assert left.exists()
    for place in (moved, left):
        place.write_bytes(content)
    assert kinds() == {"ohlcv": "leftover"}
    assert finish_move(lake, WHERE)
    assert copies_of(lake.root) == [content]
    assert moved.exists()
    assert not finish_move(lake, WHERE)


def test_a_lost_journal_is_begun_anew_from_the_archive_too(lake: PartitionStore) -> None:
    rows = read(lake)
    archive(lake, WHERE)
    lake.state.close()
    for path in lake.root.glob("state.db*"):
        path.unlink()
    again = open_store(lake.root)
    assert rebuild(again) == {}
    assert read(again) == rows
    assert again.journal(WHERE).path.startswith("archive/")  # type: ignore[union-attr]
    again.state.close()


@pytest.mark.parametrize("kind", ["kill", "half", "ENOSPC"])
@pytest.mark.parametrize("move", [archive, bring_back], ids=["archive", "bring_back"])
def test_r1_a_fault_at_any_step_loses_nothing_and_a_second_move_finishes(
    lake: PartitionStore, tmp_path: Path, move: Callable[..., bool], kind: str
) -> None:
    if move is bring_back:
        archive(lake, WHERE)
    rows, (content,) = read(lake), copies_of(lake.root)
    lake.state.close()
    for number in range(1, 60):
        root = tmp_path / f"{kind}-{number}"
        shutil.copytree(lake.root, root)
        is_over = spoiled(root, move, Faults(number, kind))
        store = open_store(root)
        assert read(store) == rows
        assert set(copies_of(root)) == {content}
        move(store, WHERE)
        assert read(store) == rows
        assert copies_of(root) == [content]
        archived = str(store.journal(WHERE).path).startswith("archive/")  # type: ignore[union-attr]
        assert archived == (move is archive)
        store.state.close()
        shutil.rmtree(root)
        if is_over:
            break
    else:
        pytest.fail("the faults never ended")
    assert number > (1 if kind == "half" else 12)


def spoiled(root: Path, move: Callable[..., bool], fault: Faults) -> bool:
    """Move with a fault; tell whether it never came."""
    store = open_store(root)
    with store.state.read():
        pass

    def die(code: int) -> None:
        raise KeyboardInterrupt(code)

    real, os._exit = os._exit, die  # type: ignore[assignment]
    faults.install(fault)
    try:
        move(store, WHERE)
    except (KeyboardInterrupt, StorageError):
        pass
    finally:
        faults.remove()
        os._exit = real
        store.state.close()
    seen = fault.seen.count("write") if fault.kind == "half" else len(fault.seen)
    return seen < fault.at


def copies_of(root: Path) -> list[bytes]:
    return [it for name, it in everything(root).items() if name.endswith("candles.parquet")]
