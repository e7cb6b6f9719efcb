import shutil
from pathlib import Path

import pytest

from data_platform.domain.errors import DamagedFileError, StorageError
from data_platform.domain.periods import Period
from data_platform.storage.inventory import Chosen
from data_platform.storage.mending import (
    adopt,
    find_partitions,
    move_away_state,
    rebuild,
    remove_leftover,
    restore_kept,
    set_aside,
)
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State
from data_platform.storage.survey import survey
from data_platform_tests.damage import damage
from data_platform_tests.storage.lake import (
    candles,
    commit,
    everything,
    partition,
    series,
    store_every_kind,
)

FEBRUARY = Period(2024, 2)


def fresh(store: PartitionStore) -> PartitionStore:
    """The same files under a journal that knows of nothing."""
    return PartitionStore(store.root, State(f"sqlite:///{store.root.parent / 'fresh.db'}"))


def test_a_whole_file_is_adopted_as_it_is(store: PartitionStore) -> None:
    commit(store, candles(range(30)))
    before = everything(store.root)
    other = fresh(store)
    assert adopt(other, partition()) == 30
    row, known = other.journal(partition()), store.journal(partition())
    assert row is not None
    assert known is not None
    assert (row.reason, row.file_sha256, row.content_hash, row.last) == (
        "adopted",
        known.file_sha256,
        known.content_hash,
        known.last,
    )
    assert everything(store.root) == before
    other.state.close()


def test_a_file_that_does_not_prove_itself_is_not_adopted(store: PartitionStore) -> None:
    commit(store, candles(range(30)))
    damage(store.layout.partition(partition()), "flipped")
    other = fresh(store)
    with pytest.raises(DamagedFileError):
        adopt(other, partition())
    assert other.journal(partition()) is None
    other.state.close()


def test_a_journal_is_begun_anew_from_every_whole_file(store: PartitionStore) -> None:
    store_every_kind(store)
    damage(store.layout.partition(partition(period=FEBRUARY)), "flipped")
    (store.root / "ohlcv/odd.parquet").write_bytes(b"")
    before = everything(store.root)
    other = fresh(store)
    lost = rebuild(other)
    assert list(lost) == [partition(period=FEBRUARY)]
    found = list(find_partitions(other.layout))
    assert len(found) == 16
    rows = {(row.layer, row.series, row.period): row for row in other.journal_rows()}
    assert len(rows) == 15
    assert {row.reason for row in rows.values()} == {"rebuilt"}
    assert everything(store.root) == before
    faults = survey(other.root, other.state, Chosen(layers=frozenset({"ohlcv"})), "deep").findings
    assert [(it.kind, it.key["period"]) for it in faults] == [("unknown", "2024-02")]
    other.state.close()


def test_a_damaged_file_is_kept_aside_and_a_sound_one_stays(store: PartitionStore) -> None:
    commit(store, candles(range(30)))
    path = store.layout.partition(partition())
    relative = store.layout.relative(path)
    assert set_aside(store, relative) is None
    damage(path, "torn")
    spoilt = path.read_bytes()
    moved = set_aside(store, relative)
    assert moved is not None
    assert moved.read_bytes() == spoilt
    assert not path.exists()
    assert set_aside(store, relative) is None
    with pytest.raises(StorageError, match="no partition"):
        set_aside(store, "ohlcv/stray.parquet")


def test_only_the_very_bytes_that_the_journal_tells_of_are_put_back(store: PartitionStore) -> None:
    commit(store, candles(range(30)))
    path = store.layout.partition(partition())
    row = store.journal(partition())
    assert row is not None
    assert row.file_sha256
    kept = store.layout.history(partition(), row.file_sha256)
    kept.parent.mkdir(parents=True)
    assert not restore_kept(store, partition())
    assert not restore_kept(store, partition(series(pair="ETH/USDT")))
    shutil.copy(path, kept)
    damage(kept, "flipped")
    path.unlink()
    assert not restore_kept(store, partition())
    damage(kept, "flipped")
    assert restore_kept(store, partition())
    assert survey(store.root, store.state, Chosen(), "full").findings == ()
    assert survey(store.root, store.state, Chosen(), "quick").hashed == 0


def test_a_leftover_is_deleted_once(store: PartitionStore) -> None:
    left = store.root / ".candles.parquet.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    assert [remove_leftover(store, left.name) for _ in range(2)] == [True, False]
    assert not left.exists()


def test_a_damaged_state_is_moved_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    for name in ("state.db", "state.db-wal", "state.db-shm", "state.db.migration.lock"):
        (tmp_path / name).write_text(name)
    moved = move_away_state(tmp_path / "state.db")
    assert moved is not None
    assert moved.read_text() == "state.db"
    left = {path.name for path in tmp_path.iterdir() if ".damaged-" not in path.name}
    assert left == {"state.db.migration.lock"}
    assert move_away_state(tmp_path / "state.db") is None
