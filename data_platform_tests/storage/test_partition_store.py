import json
import logging
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import TimeRange, merge_candles
from data_platform.domain.errors import ConflictError, DamagedFileError, StorageError
from data_platform.domain.periods import Period
from data_platform.storage.change import Judgement
from data_platform.storage.journal import ABSENT, CommitNote, InputRow
from data_platform.storage.ledger import Gap, Ledger
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.verdicts import VerdictRow, Verdicts
from data_platform_tests.storage import faults
from data_platform_tests.storage.faults import Faults
from data_platform_tests.storage.lake import (
    HOUR,
    at,
    candles,
    commit,
    everything,
    filled,
    keep_all,
    open_store,
    partition,
    series,
    utc,
)

NOON = utc(2024, 3, 1, 12)


def stored(store: PartitionStore) -> pl.DataFrame:
    found = store.read(partition())
    assert found is not None
    return found.frame


def reasons(store: PartitionStore) -> list[str]:
    from data_platform.storage.tables import COMMITS

    with store.state.read() as connection:
        return [str(row.reason) for row in connection.execute(COMMITS.select())]


def test_a_commit_stores_the_rows_and_says_so(store: PartitionStore, root: Path) -> None:
    result = commit(store, candles(range(5)))
    assert stored(store).equals(candles(range(5)))
    assert (result.rows, result.first, result.last) == (5, at(0), at(4))
    assert (result.added, result.changed, result.refused) == (5, 0, 0)
    assert result.written
    assert result.path == root / (
        "ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet"
    )
    row = store.journal(partition())
    assert row is not None
    assert (row.rows, row.content_hash, row.reason) == (5, result.content_hash, "new")


def test_the_same_content_again_writes_neither_file_nor_row(store: PartitionStore) -> None:
    first = commit(store, candles(range(5)))
    assert first.path
    before = first.path.stat()
    again = commit(store, candles(range(3)))
    after = first.path.stat()
    assert not again.written
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert reasons(store) == ["new"]
    assert again.content_hash == first.content_hash


def test_the_journal_names_what_happened(store: PartitionStore) -> None:
    commit(store, candles([2, 3]))
    commit(store, candles([4, 5]))
    commit(store, candles([1]))
    commit(store, candles([4], price=7))
    commit(store, candles([9]), note=CommitNote(reason="by hand"))
    assert reasons(store) == ["new", "extend", "repair", "correction", "by hand"]


def test_only_what_rewrites_the_past_keeps_the_replaced_file(
    store: PartitionStore, root: Path
) -> None:
    commit(store, candles([2, 3]))
    first = commit(store, candles([4, 5])).path
    assert first
    assert not (root / "history").exists()
    replaced = first.read_bytes()
    commit(store, candles([3], price=7))
    (kept,) = (root / "history").rglob("*.parquet")
    assert kept.read_bytes() == replaced


def test_an_empty_partition_is_one_row_and_no_file(store: PartitionStore, root: Path) -> None:
    for _ in range(2):
        result = commit(store, candles([]))
    assert (result.rows, result.path, result.written) == (0, None, False)
    assert everything(root) == {}
    assert reasons(store) == ["new"]
    assert store.read(partition()) is None
    commit(store, candles([1]))
    assert stored(store).height == 1


def test_a_derived_partition_that_becomes_empty_loses_its_file_but_not_its_history(
    store: PartitionStore, root: Path
) -> None:
    one = partition(layer="filled")
    commit(store, filled(candles([1])), one, merge=None)
    result = commit(store, filled(candles([1])).clear(), one, merge=None)
    assert (result.rows, result.path) == (0, None)
    assert store.read(one) is None
    assert [name.split("/")[0] for name in everything(root)] == ["history"]


def test_refused_rows_go_to_quarantine_and_the_good_ones_are_stored(
    store: PartitionStore, root: Path
) -> None:
    def audit(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        bad = pl.col("close") > 102
        return frame.filter(~bad), frame.filter(bad).with_columns(reason=pl.lit("too high"))

    result = store.commit(
        partition(), candles(range(5)), merge=merge_candles, audit=audit, note=CommitNote()
    )
    assert result.refused == 2
    assert stored(store)["open_time"].to_list() == [at(0), at(1), at(2)]
    (kept,) = (root / "quarantine").rglob("*.parquet")
    held = pl.read_parquet(kept, hive_partitioning=False)
    assert held.select("open_time", "reason").rows() == [
        (at(3), "too high"),
        (at(4), "too high"),
    ]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (candles([1, 1]), "strictly increasing"),
        (candles([-1, 1]), "outside the period"),
        (candles([1]).with_columns(pl.col("open_time") + pl.duration(minutes=1)), "off the grid"),
        (candles([1]).with_columns(pl.col("close").cast(pl.Float32)), "as Float64"),
        (candles([1]).with_columns(x=pl.lit(1)), "expected the columns"),
    ],
)
def test_r19_rows_that_break_the_partition_are_never_published(
    store: PartitionStore, root: Path, rows: pl.DataFrame, fault: str
) -> None:
    commit(store, candles([5]))
    before = everything(root)
    with pytest.raises(StorageError, match=fault):
        commit(store, rows, merge=None)
    assert everything(root) == before


def test_an_expected_version_that_is_gone_is_a_conflict(store: PartitionStore) -> None:
    commit(store, candles([1]))
    read = store.read(partition())
    assert read is not None

    def expecting(version: str) -> None:
        store.commit(
            partition(),
            candles([2]),
            merge=merge_candles,
            audit=keep_all,
            note=CommitNote(),
            expected=version,
        )

    expecting(read.version)
    with pytest.raises(ConflictError, match="read and merge again"):
        expecting(read.version)
    with pytest.raises(ConflictError):
        expecting(ABSENT)


def test_r5_a_stale_writer_adds_what_is_missing_and_loses_the_rest(
    store: PartitionStore, caplog: pytest.LogCaptureFixture
) -> None:
    commit(store, candles(range(3), price=1), note=CommitNote(fetched_at=NOON))
    later = CommitNote(fetched_at=NOON + timedelta(hours=2))
    commit(store, candles(range(2, 6), price=2), note=later)
    stale = CommitNote(fetched_at=NOON + timedelta(hours=1))
    with caplog.at_level(logging.WARNING):
        result = commit(store, candles(range(8), price=3), note=stale)
    # 0 and 1 were fetched before the stale batch, 2 to 5 after it, 6 and 7 never.
    assert stored(store)["close"].to_list() == [3, 4, 4, 5, 6, 7, 9, 10]
    assert result.outdated == 4
    assert "4 candles" in caplog.text


def test_r5_a_stale_batch_that_became_the_newest_row_does_not_hide_the_later_fetch(
    store: PartitionStore,
) -> None:
    for hours, price in ((3, 1), (1, 2), (2, 3)):
        note = CommitNote(fetched_at=NOON + timedelta(hours=hours))
        commit(store, candles(range(3), price=price), note=note)
    assert stored(store).equals(candles(range(3), price=1))


def test_changed_inputs_or_code_are_noted_without_writing(store: PartitionStore) -> None:
    one = partition(layer="filled")
    rows = filled(candles([1]))

    def derive(content: str, code: str = "1") -> bool:
        inputs = (InputRow("ohlcv", series(), at(0), at(1), content),)
        note = CommitNote(code_version=code, inputs=inputs)
        return commit(store, rows, one, note=note, merge=None).written

    assert derive("a")
    assert not derive("a")
    assert not derive("b")
    assert [row.content_hash for row in store.inputs(one)] == ["b"]
    assert not derive("b", code="2")
    row = store.journal(one)
    assert row is not None
    assert (row.version, row.code_version, row.reason) == (3, "2", "recomputed")


def test_the_judgement_is_noted_even_when_nothing_changed(store: PartitionStore) -> None:
    def judging(count: int) -> None:
        gap = Gap(series(), at(2), at(2 + count), count, "open", confirmed=True, evidence="")
        row = VerdictRow("sane", NOON.date(), "error", count, 2, "[]", "{}", NOON)
        commit(store, candles([0, 1]), judge=lambda _: Judgement(gaps=(gap,), verdicts=(row,)))

    for count in (1, 2):
        judging(count)
        (held,) = Ledger(store.state).gaps(series(), at(0), at(99))
        assert held.missing == count
        verdicts = Verdicts(store.state).newest("binance", "ohlcv", HOUR)
        assert verdicts["count"].to_list() == [count]
    assert reasons(store) == ["new"]


def test_the_judge_sees_the_whole_partition_and_only_its_month_is_replaced(
    store: PartitionStore,
) -> None:
    seen: list[int] = []
    february = Period(2024, 2)
    outside = Gap(
        series(), at(1, february), at(2, february), 1, "open", confirmed=True, evidence=""
    )

    def judge(rows: pl.DataFrame) -> Judgement:
        seen.append(rows.height)
        return Judgement(gaps=())

    with store.state.write() as connection:
        Ledger(store.state).record(connection, series(), february.start, february.end, [outside])
    commit(store, candles([0, 1]))
    commit(store, candles([2]), judge=judge)
    assert seen == [3]
    assert Ledger(store.state).gaps(series(), at(0), february.end) == [outside]


def test_a_judgement_replaces_only_the_range_it_covers(store: PartitionStore) -> None:
    gaps = tuple(
        Gap(series(), at(hour), at(hour + 1), 1, "open", confirmed=True, evidence="")
        for hour in (2, 4, 6)
    )
    commit(store, candles([0, 7]), judge=lambda _: Judgement(gaps=gaps))
    covers = TimeRange(at(3), at(5))
    commit(store, candles([8]), judge=lambda _: Judgement(gaps=(), covers=covers))
    held = Ledger(store.state).gaps(series(), at(0), at(99))
    assert [gap.start for gap in held] == [at(2), at(6)]


def test_a_file_without_a_journal_row_is_adopted(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, candles([1]))
    with monkeypatch.context() as patched:
        # As if the process had died between rename and journal.
        patched.setattr(PartitionStore, "_note", lambda *_: None)
        commit(store, candles([2]))
    assert stored(store).height == 2
    result = commit(store, candles([2]))
    assert not result.written
    row = store.journal(partition())
    assert row is not None
    assert (row.rows, row.reason) == (2, "adopted")


def test_a_file_that_is_gone_is_fetched_again(store: PartitionStore) -> None:
    path = commit(store, candles([1, 2])).path
    assert path
    path.unlink()
    assert store.read(partition()) is None
    result = commit(store, candles([1, 2]))
    assert result.written
    assert stored(store).height == 2
    assert reasons(store) == ["new", "repair"]


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_damaged_file_is_never_merged_into(store: PartitionStore, keep: int) -> None:
    path = commit(store, candles([1, 2])).path
    assert path
    torn = path.read_bytes()[:keep]
    path.write_bytes(torn)
    with pytest.raises(DamagedFileError, match=r"BTC-USDT\|2024-01.*download"):
        commit(store, candles([3]))
    assert path.read_bytes() == torn


def test_a_flipped_bit_is_noticed_by_readers_and_writers(store: PartitionStore) -> None:
    path = commit(store, candles(range(100))).path
    assert path
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DamagedFileError):
        store.read(partition())
    with pytest.raises(DamagedFileError):
        store.read_range("ohlcv", series(), at(0), at(99))
    with pytest.raises(DamagedFileError):
        commit(store, candles([3]))


def test_an_older_file_put_back_is_refused(store: PartitionStore) -> None:
    path = commit(store, candles(range(3))).path
    assert path
    older = path.read_bytes()
    commit(store, candles(range(5)))
    path.write_bytes(older)
    for read in (lambda: stored(store), lambda: store.times("ohlcv", series(), at(0), at(9))):
        with pytest.raises(DamagedFileError, match="it holds 3 rows, 5 were stored"):
            read()
    with pytest.raises(DamagedFileError, match="move the file away"):
        commit(store, candles([7]))


GRID = partition(layer="filled")


@pytest.mark.parametrize("how", ["gone", "empty", "torn", "flipped", "older", "another's"])
def test_a_damaged_file_gives_way_to_what_is_computed_whole(
    store: PartitionStore, root: Path, how: str
) -> None:
    older, rows = filled(candles(range(50), price=3)), filled(candles(range(50)))
    path = commit(store, older, GRID, merge=None).path
    assert path
    first = path.read_bytes()
    commit(store, rows, GRID, merge=None)
    whole = everything(root)
    content = path.read_bytes()
    other = partition(series(pair="ETH/USDT"), layer="filled")
    foreign = commit(store, rows, other, merge=None).path
    assert foreign
    damaged = {
        "empty": b"",
        "torn": content[:-9],
        "flipped": content[:90] + bytes([content[90] ^ 4]) + content[91:],
        "older": first,
        "another's": foreign.read_bytes(),
    }
    path.unlink()
    if how in damaged:
        path.write_bytes(damaged[how])
    result = commit(store, rows, GRID, merge=None)
    assert (result.written, result.rows) == (True, 50)
    assert path.read_bytes() == content
    foreign.unlink()
    # Damage is no history.
    assert everything(root) == whole
    assert reasons(store) == ["new", "correction", "new", "repair"]


@pytest.mark.parametrize("content", [b"", b"something"])
def test_a_file_in_the_place_of_an_empty_partition_is_removed(
    store: PartitionStore, root: Path, content: bytes
) -> None:
    none = filled(candles([1])).clear()
    commit(store, none, GRID, merge=None)
    path = store.layout.partition(GRID)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    result = commit(store, none, GRID, merge=None)
    assert (result.rows, result.path, result.written) == (0, None, True)
    assert everything(root) == {}
    assert reasons(store) == ["new", "repair"]


def test_a_lake_that_cannot_be_written_names_the_path(store: PartitionStore, root: Path) -> None:
    (root / "ohlcv").touch()
    with pytest.raises(StorageError, match=str(root / "ohlcv")):
        commit(store, candles([1]))
    assert store.journal(partition()) is None


def test_a_commit_inside_a_commit_is_refused(store: PartitionStore) -> None:
    def judge(_: pl.DataFrame) -> Judgement:
        commit(store, candles([1]), partition(series(pair="ETH/USDT")))
        return Judgement()

    with pytest.raises(StorageError, match="second lock"):
        commit(store, candles([1]), judge=judge)


WRITER = """
import sys
from pathlib import Path
from data_platform_tests.storage.lake import candles, commit, open_store
store = open_store(Path(sys.argv[1]))
first = int(sys.argv[2])
for hour in range(first, 400, 4):
    commit(store, candles([hour]))
"""


def test_r4_four_writers_of_one_partition_keep_every_candle(root: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), str(first)])
        for first in range(4)
    ]
    store = open_store(root)
    heights = [0]
    while any(writer.poll() is None for writer in writers):
        # A reader among them sees the old or the new, never less and never an error.
        found = store.read(partition())
        heights.append(found.frame.height if found else 0)
        time.sleep(0.01)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert stored(store).equals(candles(range(400)))
    assert heights == sorted(heights)
    row = store.journal(partition())
    assert row is not None
    assert (row.rows, row.version) == (400, 400)
    store.state.close()


OLD = candles(range(5))
UPDATE = candles([0], price=60).vstack(candles([5, 6]))
NEW = candles([0], price=60).vstack(candles(range(1, 7)))


def prepared(root: Path) -> None:
    """A lake in which the update changes one candle and adds two, its folders made already."""
    store = open_store(root)
    commit(store, candles(range(5), price=1))
    commit(store, OLD)
    store.state.close()


def check_sound(folder: Path) -> int:
    """The old or the new is stored, and the next writer can work with it; returns the height."""
    store = open_store(folder)
    left = stored(store)
    assert left.equals(OLD) or left.equals(NEW)
    commit(store, UPDATE)
    assert stored(store).equals(NEW)
    row = store.journal(partition())
    assert row is not None
    assert row.rows == 7
    store.state.close()
    return left.height


def test_r1_a_kill_at_every_operation_leaves_the_old_or_the_new(root: Path, tmp_path: Path) -> None:
    """R1: killed at, or halfway through, each file operation of a commit."""
    prepared(root)
    driver = Path(__file__).with_name("fault_driver.py")
    run = subprocess.run(
        [sys.executable, str(driver), str(root), str(tmp_path / "points")],
        check=True,
        capture_output=True,
        text=True,
    )
    points = json.loads(run.stdout)
    assert len(points) >= 20
    assert {point["code"] for point in points} == {9}
    assert {check_sound(Path(point["folder"])) for point in points} == {5, 7}


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO"])
def test_r1_r7_an_error_at_every_operation_leaves_the_old_or_the_new(
    root: Path, tmp_path: Path, kind: str
) -> None:
    """R1 and R7: refused at each file operation of a commit."""
    prepared(root)
    for at_operation in range(1, 60):
        folder = tmp_path / str(at_operation)
        shutil.copytree(root, folder)
        store = open_store(folder)
        fault = Faults(at_operation, kind)
        faults.install(fault)
        try:
            commit(store, UPDATE)
            refused = False
        except StorageError as error:
            assert str(folder) in str(error)  # noqa: PT017
            refused = True
        finally:
            faults.remove()
        assert refused or stored(store).equals(NEW), "done with the old data"
        assert not list(folder.rglob("*.tmp"))
        store.state.close()
        check_sound(folder)
        if len(fault.seen) < at_operation:
            break
    assert at_operation > 20
