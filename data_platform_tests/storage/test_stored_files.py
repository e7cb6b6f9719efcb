import os
import shutil
from pathlib import Path, PurePosixPath

import pytest

from data_platform.domain.periods import Period
from data_platform.storage import stored_files
from data_platform.storage.atomic import FileState, hash_with_tail
from data_platform.storage.change import Export
from data_platform.storage.journal import CommitNote
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.stored_files import StoredFile, StoredFiles
from data_platform_tests.damage import damage
from data_platform_tests.read_only import run_powerless, unwritable
from data_platform_tests.storage.lake import (
    DAY,
    HOUR,
    JANUARY,
    at,
    candles,
    commit,
    filled,
    partition,
    series,
)

FEBRUARY = Period(2024, 2)
ETH = series(pair="ETH/USDT")


@pytest.fixture
def lake(store: PartitionStore) -> PartitionStore:
    for month in (JANUARY, FEBRUARY):
        commit(store, candles(range(40), period=month), partition(period=month))
    commit(store, candles(range(40)), partition(ETH))
    commit(store, candles(range(4), timeframe=DAY), partition(series(timeframe=DAY)))
    commit(store, candles(range(40)), partition(series(exchange="okx")))
    commit(store, filled(candles(range(40))), partition(layer="filled"), merge=None)
    return store


@pytest.fixture
def files(lake: PartitionStore) -> StoredFiles:
    return StoredFiles(lake.root, lake.state)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names, as they happen, the files that are read and hashed."""
    seen: list[str] = []

    def noting(path: Path) -> tuple[FileState, bytes]:
        seen.append(path.parent.name)
        return hash_with_tail(path)

    monkeypatch.setattr(stored_files, "hash_with_tail", noting)
    return seen


def look(files: StoredFiles, *, thorough: bool = False) -> list[tuple[str, str, str]]:
    """Pair, month and fault of each damaged hourly file."""
    listed = files.of_table("ohlcv", "binance", HOUR)
    found = files.damaged(listed, hashed=lambda _: thorough)
    return [(it.file.pair, it.file.period, it.fault) for it in found]


def place(lake: PartitionStore, month: Period = JANUARY) -> Path:
    return lake.layout.partition(partition(period=month))


def test_files_are_listed_by_table_and_by_series(files: StoredFiles) -> None:
    table = files.of_table("ohlcv", "binance", HOUR)
    assert [(it.pair, it.period) for it in table] == [
        ("BTC-USDT", "2024-01"),
        ("BTC-USDT", "2024-02"),
        ("ETH-USDT", "2024-01"),
    ]
    assert [it.period for it in files.of_series("ohlcv", ETH)] == ["2024-01"]
    assert len(files.of_series("filled", series())) == 1
    assert files.of_table("ohlcv", "kraken", HOUR) == []


def test_what_was_just_written_is_as_written_and_needs_no_hash(
    files: StoredFiles, hashed: list[str]
) -> None:
    assert look(files) == []
    assert hashed == []
    assert look(files, thorough=True) == []
    assert len(hashed) == 3


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "gone; {} bytes were written"),
        (b"", "0 bytes, {} were written"),
        (b"PAR1" + b"x" * 2000, "2,004 bytes, {} were written"),
    ],
)
def test_another_size_is_damage_without_a_hash(
    lake: PartitionStore, files: StoredFiles, hashed: list[str], content: bytes | None, fault: str
) -> None:
    path = place(lake)
    size = path.stat().st_size
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert look(files) == [("BTC-USDT", "2024-01", fault.format(f"{size:,}"))]
    assert hashed == []


def test_a_file_of_the_same_size_that_was_written_since_is_hashed(
    lake: PartitionStore, files: StoredFiles, hashed: list[str]
) -> None:
    damage(place(lake), "flipped")
    for _ in range(2):
        assert look(files) == [("BTC-USDT", "2024-01", "its bytes are not those that were written")]
    assert hashed == ["period=2024-01"] * 2


def test_a_restored_copy_is_hashed_once(
    lake: PartitionStore, files: StoredFiles, hashed: list[str]
) -> None:
    copy = lake.root / "copy"
    shutil.copy(place(lake), copy)
    copy.replace(place(lake))
    assert look(files) == []
    assert look(files) == []
    assert hashed == ["period=2024-01"]


def test_what_a_disk_lost_by_itself_is_found_by_hashing_alone(
    lake: PartitionStore, files: StoredFiles
) -> None:
    damage(place(lake, FEBRUARY), "rotten")
    assert look(files) == []
    ((_, period, _),) = look(files, thorough=True)
    assert period == "2024-02"


def test_only_the_files_that_are_asked_for_are_hashed(
    files: StoredFiles, hashed: list[str]
) -> None:
    listed = files.of_table("ohlcv", "binance", HOUR)
    files.damaged(listed, hashed=lambda file: file.period == "2024-02")
    assert hashed == ["period=2024-02"]


def test_a_place_that_is_no_file_is_damage(lake: PartitionStore, files: StoredFiles) -> None:
    size = place(lake).stat().st_size
    place(lake).unlink()
    place(lake).mkdir()
    ((_, _, fault),) = look(files)
    assert fault != f"gone; {size:,} bytes were written"


def test_a_new_commit_is_what_is_compared_from_then_on(
    lake: PartitionStore, files: StoredFiles
) -> None:
    before = place(lake).read_bytes()
    commit(lake, candles(range(50)))
    assert look(files, thorough=True) == []
    place(lake).write_bytes(before)
    assert [it[1] for it in look(files)] == ["2024-01"]


def test_an_adopted_file_is_what_is_compared_from_then_on(
    lake: PartitionStore, files: StoredFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        # As if the process had died between rename and journal.
        patched.setattr(PartitionStore, "_note", lambda *_: None)
        commit(lake, candles(range(50)))
    assert len(look(files)) == 1
    commit(lake, candles([1]))
    assert look(files, thorough=True) == []


def test_a_partition_that_became_empty_has_no_file(
    lake: PartitionStore, files: StoredFiles
) -> None:
    assert files.of_series("filled", series())
    commit(lake, filled(candles([1])).clear(), partition(layer="filled"), merge=None)
    assert files.of_series("filled", series()) == []


def test_files_that_no_commit_noted_are_named(lake: PartitionStore, files: StoredFiles) -> None:
    listed = files.of_table("ohlcv", "binance", HOUR)
    assert files.unknown("ohlcv", "binance", HOUR, listed) == []
    strange = place(lake, Period(2024, 3))
    strange.parent.mkdir()
    strange.write_bytes(b"")
    (found,) = files.unknown("ohlcv", "binance", HOUR, listed)
    assert lake.root / found.file.path == strange
    assert (found.file.pair, found.file.period) == ("BTC-USDT", "2024-03")
    assert files.unknown("ohlcv", "binance", DAY, files.of_table("ohlcv", "binance", DAY)) == []
    assert files.is_in_the_way(partition(period=Period(2024, 3)))
    assert not files.is_in_the_way(partition(period=Period(2024, 4)))


def test_feature_sets_are_told_apart(store: PartitionStore) -> None:
    files = StoredFiles(store.root, store.state)
    rows = candles(range(4)).select("open_time")
    for name in ("base-v1", "base-v2"):
        commit(store, rows, partition(layer="features", feature_set=name), merge=None)
    listed = files.of_table("features", "binance", HOUR)
    assert [it.feature_set for it in listed] == ["base-v1", "base-v2"]
    assert [it.belongs_to(JANUARY, "base-v2") for it in listed] == [False, True]
    (found,) = files.unknown("features", "binance", HOUR, listed[:1])
    assert (found.file.path, found.file.feature_set) == (listed[1].path, "base-v2")


def test_a_shared_file_belongs_to_every_export_of_its_market(store: PartitionStore) -> None:
    files = StoredFiles(store.root, store.state)
    for timeframe, month in ((HOUR, JANUARY), (HOUR, FEBRUARY), (DAY, JANUARY)):
        one = series(timeframe=timeframe)
        store.publish(
            Export(
                layer="nautilus",
                series=one,
                period=month,
                path=PurePosixPath(f"nautilus/{timeframe}-{month}"),
                write=Path.touch,
                companions={PurePosixPath("nautilus/market"): Path.touch},
                source_hash="aa",
                months=(month,),
                rows=1,
                first=at(0),
                last=at(0),
            ),
            CommitNote(),
        )
    listed = files.of_series("nautilus", series(timeframe=DAY))
    assert [it.path for it in listed] == [f"exports/nautilus/{name}" for name in NAMES]
    assert [it.is_shared for it in listed] == [False, True]
    assert [it.belongs_to(FEBRUARY) for it in listed] == [False, True]
    assert len(files.of_table("nautilus", "binance", HOUR)) == 3


NAMES = ("1d-2024-01", "market")


LOOK = """
import sys
from pathlib import Path
from data_platform.storage.stored_files import StoredFiles
from data_platform_tests.storage.lake import HOUR, open_store
store = open_store(Path(sys.argv[1]))
files = StoredFiles(store.root, store.state)
listed = files.of_table("ohlcv", "binance", HOUR)
print(len(listed), files.damaged(listed, hashed=lambda _: False))
"""


def test_a_lake_that_cannot_be_written_is_looked_at_all_the_same(lake: PartitionStore) -> None:
    os.utime(place(lake), ns=(0, 0))
    lake.state.close()
    with unwritable(lake.root):
        done = run_powerless("-c", LOOK, str(lake.root))
    assert done.stdout == "3 []\n", done


def test_a_file_is_named_by_its_place_below_the_root(files: StoredFiles) -> None:
    file: StoredFile = files.of_series("ohlcv", ETH)[0]
    assert file.path == (
        "ohlcv/exchange=binance/timeframe=1h/pair=ETH-USDT/period=2024-01/candles.parquet"
    )
